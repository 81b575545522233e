// What a text of SQL means to a session that may have to move to another server: what state of the session
// it changes, whether it may be run again without harm, and whether it could leave something behind.
//
// Judged from the text alone (libpg_query for what a look at the first words does not settle); where a text
// cannot be understood the answer is the careful one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace understudy::proxy {

enum class EffectKind : std::uint8_t {
  kNone,
  kBegin,               // BEGIN, START TRANSACTION
  kCommit,              // COMMIT, END; also AND CHAIN (then chain is true)
  kRollback,            // ROLLBACK, ABORT
  kSavepoint,           // name
  kRelease,             // name
  kRollbackTo,          // name
  kPrepareTransaction,  // PREPARE TRANSACTION: the transaction leaves the session
  kSet,                 // name: the setting in lower case ("timezone", "role", "session_authorization"); the
                        // statement's text sets it again
  // SET LOCAL, SET TRANSACTION, SET CONSTRAINTS, and set_config(..., true) in any statement that pins
  // nothing: over when the transaction is. No name where there is not just one constant name.
  kSetLocal,
  kReset,  // name: RESET x, SET x TO DEFAULT, RESET ROLE
  kResetAll,
  kPrepare,        // name: of the prepared statement; the text prepares it again
  kDeallocate,     // name
  kDeallocateAll,  // DEALLOCATE ALL, DISCARD PLANS does not count
  kListen,         // name: the channel
  kUnlisten,       // name
  kUnlistenAll,
  kDiscardAll,  // settings, prepared statements, LISTEN, temporary tables, advisory locks: all gone
  kDiscardTemp,
  // Nothing can move the session after this; name says why, in words for an error's detail:
  // "temporary table \"x\"", "session-level advisory lock", "cursor WITH HOLD \"c\"", "LOAD", ...
  kPin,
};

// Of what pins a session, that of which the server can say whether it is still there (bits of a set).
inline constexpr std::uint8_t kHeldTemporary = 1;  // temporary tables, and all else in pg_temp
inline constexpr std::uint8_t kHeldLock = 2;       // session-level advisory locks
inline constexpr std::uint8_t kHeldCursor = 4;     // cursors WITH HOLD
inline constexpr std::size_t kHeldKinds = 3;
inline constexpr std::uint8_t kHeldAnything = 7;
// Besides those, settings: they can be made elsewhere, once they are known.
inline constexpr std::uint8_t kUnseenSettings = 8;

// One statement of the text.
struct StatementEffect {
  EffectKind kind = EffectKind::kNone;
  std::string name = {};
  std::string text = {};  // the statement itself, without a semicolon; kept for kSet and kPrepare only
  bool chain = false;     // of kCommit and kRollback: AND CHAIN
  // May be run again, on another server, without anyone noticing but by its reply: reads only, takes no
  // lasting lock, calls nothing volatile. SHOW, transaction control and SET are read-safe too, and what else
  // only changes the session if it may be repeated: not PREPARE and DEALLOCATE of one name, not LISTEN, which
  // a standby refuses.
  bool read_safe = false;
  // May assign a transaction id: INSERT, UPDATE, DELETE, MERGE, DDL, and everything not understood. False for
  // what is read-safe, and for statements that only change the session.
  bool may_write = false;
  // A replica that has replayed as much gives the same answer: reads tables, and nothing that is a server's
  // or a session's own.
  bool on_replica = false;
  // Runs code that is not PostgreSQL's own (a function, DO, CALL), which may have changed the session unseen.
  bool opaque = false;
  std::uint8_t holds = 0;     // of kPin: what pins, if all that does can be asked for
  std::uint8_t releases = 0;  // what may be gone after it
  // What may be there after it: made by the code that it runs (DO, CALL), or since it was not parsed.
  std::uint8_t unseen = 0;
  bool tells_change = false;  // of that: what it says may make it, or what it runs is not known
  // Of unseen settings, those that can only be asked for by name, or where to look for them (see
  // unseen_settings.h).
  std::string sought = {};
  bool operator==(const StatementEffect&) const = default;
};

struct StatementTraits {
  std::vector<StatementEffect> statements;  // in order; empty for an empty text
  // The parser did not understand it (or it is longer, or of more statements, than it is given): statements
  // then holds one entry, which may write and is not read-safe.
  bool understood = true;
  // The word stands in it somewhere: COPY data may follow.
  bool may_copy = false;
  // Writes, and may be put into a transaction of the proxy's own: statements that stand in a transaction
  // block as well as outside, and leave it open (INSERT, UPDATE, DELETE, MERGE, SELECT, most DDL).
  bool wrappable = false;
  // Likewise, and the client sends data: one COPY ... FROM STDIN.
  bool wrappable_copy = false;
  // A text that is the same but for its numbers has the same traits.
  bool any_numbers = false;
};

[[nodiscard]] StatementTraits classify_statement(std::string_view sql);

// Remembers what texts mean: a worker's own, bounded in entries and bytes. Texts that are the same but for
// their numbers are one where that does not matter. Kept is what is seen twice: clients that write other
// values into their texts would only fill it. One thread.
class StatementTraitsCache {
 public:
  // Good until the next call.
  [[nodiscard]] const StatementTraits& of(std::string_view sql);
  // How often a text was judged, because it was not known.
  [[nodiscard]] std::uint64_t judgements() const { return judgements_; }

 private:
  static constexpr std::size_t kMaxEntries = 4096;  // of either kind
  static constexpr std::size_t kMaxTextBytes = std::size_t{64}
                                               << 10;              // of longer ones only the last is known
  static constexpr std::size_t kMaxBytes = std::size_t{16} << 20;  // of all texts
  static constexpr std::size_t kMaxSeen = 1024;
  static constexpr std::size_t kMaxRecent = 64;
  static constexpr std::size_t kMaxRecentBytes = 512;

  [[nodiscard]] std::string_view without_numbers(std::string_view sql);
  [[nodiscard]] const StatementTraits& judged(std::string_view sql);
  void forget();

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Known = std::unordered_map<std::string, StatementTraits, Hash, std::equal_to<>>;
  Known shapes_;  // by texts without their numbers: where any_numbers
  Known known_;   // others
  struct Recent {
    std::string text;
    const StatementTraits* traits = nullptr;  // in shapes_
  };
  std::array<Recent, kMaxRecent> recent_;     // texts that were found lately, without a look at their numbers
  std::array<std::size_t, kMaxSeen> seen_{};  // hashes of shapes and texts seen once
  std::string shape_;                         // kept for its memory
  StatementTraits last_;                      // of the text last judged
  std::string last_text_;
  std::size_t bytes_ = 0;
  std::uint64_t judgements_ = 0;
};

}  // namespace understudy::proxy
