// What a client has asked of a server session and not been answered, in as much detail as a move to another
// server needs: which replies each request is due, what they will mean, whether it may have committed
// something. Values, but for the queue; no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/bytes.h"
#include "proxy/statement_traits.h"

namespace understudy::proxy {

// One reply that is due, and what it will mean when it comes.
struct DueReply {
  // The message type that says so: '1', '2', '3', or 'C' for the end of a statement (also 'I' and 's'); 'D'
  // for what a Describe brings (a RowDescription or NoData).
  char type = 0;
  StatementEffect effect = {};  // of a statement; of a Parse: name and text (the statement's SQL)
  ByteBuffer message = {};      // of a Parse: the whole message
  bool own = false;             // to a question the proxy has put between the client's
};

struct OpenRequest {
  bool own = false;            // the proxy's own question between the client's
  bool pipeline = false;       // extended protocol; else a Query or FunctionCall
  bool whole = false;          // its Sync was sent, or it needs none
  bool asks_mark = false;      // and it is the one for the transaction's id
  bool asks_position = false;  // or the one for the primary's position
  std::uint8_t asks_held = 0;  // or whether these still pin the session, and what settings it has
  std::string sought = {};     // of those, by name
  bool unlearned = false;      // lost before the server had said what settings its code has made
  bool silent = false;         // or makes the server what the client knows already
  bool has_rows = false;       // some of its answer's came
  bool failed = false;         // the server said so; what else was due will not come
  bool ends_transaction = false;
  bool wrapped = false;   // a single write that the proxy has put into a transaction of its own
  bool may_copy = false;  // COPY data may follow it: nothing of our own may come between
  // It may have committed something that cannot be undone by not being answered: a COMMIT of a transaction
  // that wrote, or a write outside of one.
  bool doubtful = false;
  std::uint64_t transaction = 0;  // its number in the session, of what is doubtful
  bool begins = false;            // a transaction, at its end
  bool begins_surely = false;     // and nothing can have kept it from that
  bool parsed_anew = false;       // the statement last bound was parsed in it
  bool committed = false;         // a COMMIT in it was answered
  bool asks_behind = false;       // the id may be asked for behind it: its last statement took a snapshot
  unsigned statements = 0;
  unsigned commits_in_doubt = 0;
  bool writes_outside = false;  // of a transaction block, perhaps
  std::uint64_t ends_at = 0;    // in the client's stream
  std::vector<DueReply> due;
  std::size_t next_due = 0;

  // As new, but for the memory of what was due.
  void reset() {
    constexpr std::size_t kMostKept = 8;
    std::vector<DueReply> kept = std::move(due);
    kept.clear();
    if (kept.capacity() > kMostKept) kept = {};
    *this = OpenRequest();
    due = std::move(kept);
  }

  // Of what is due but a COMMIT there is nothing whose answer the proxy could not give.
  [[nodiscard]] bool lacks_but_commit() const {
    unsigned others = 0;
    bool commit = true;
    for (std::size_t at = next_due; at < due.size(); ++at) {
      if (due[at].type != 'C' || due[at].own) continue;
      ++others;
      const EffectKind kind = due[at].effect.kind;
      commit =
          (kind == EffectKind::kCommit && !due[at].effect.chain) || kind == EffectKind::kPrepareTransaction;
    }
    return others <= 1 && commit && !failed;
  }
  // The next reply is to a question of the proxy's own.
  [[nodiscard]] bool own_is_due() const {
    return own || (!failed && next_due < due.size() && due[next_due].own);
  }
};

// A transaction's identity at its server, learned before its COMMIT: an id is only good with the position of
// the write-ahead log at which it was known to be given out (see continuity.h).
struct TransactionMark {
  std::uint64_t id = 0;      // 0: it had none
  std::uint64_t lsn = 0;     // of a record that carries it
  std::uint64_t number = 0;  // of the transaction in the session
  std::uint32_t timeline = 0;
  std::string server_started;  // microseconds since 1970
};

}  // namespace understudy::proxy
