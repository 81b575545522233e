// The smallest history that makes another server session like a client's: settings, prepared statements,
// channels listened to. What a transaction changes counts when it commits; what a savepoint undoes is
// forgotten; a setting set again replaces what it was.
//
//     base      as of the last safe point (outside a transaction, nothing unanswered): what restore() says
//     changes   since, in order; keep() folds them into the base, undo() forgets them all, because the
//               requests that made them will be run again on another server
//
// Each change of the base has a number, so that a server that was like the session at one of them is told
// only what came after it (catch_up()).
//
// Prepared statements do not obey transactions (PostgreSQL documentation, "PREPARE"); settings and LISTEN do
// ("SET", "LISTEN"). Owned by a session; used on its worker.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/bytes.h"
#include "proxy/statement_traits.h"
#include "proxy/unseen_settings.h"

namespace understudy::proxy {

class SessionHistory {
 public:
  // A statement of the client was completed by the server.
  void completed(const StatementEffect& effect);
  // A Parse message was completed; `message` is the whole message. Of the unnamed statement the last counts.
  void parsed(std::string_view name, ByteView message, std::string sql);
  // A Close of a prepared statement was completed.
  void closed(std::string_view name);
  // The transaction, explicit or not, ended. (COMMIT and ROLLBACK statements say so by completed().)
  void committed();
  void rolled_back();
  // What was committed since the last safe point is to vanish with the next rolled_back().
  void unsettle();

  // The text of a statement prepared by a Parse; null when there is none of that name. (Of one prepared by
  // SQL only the PREPARE is known, not what it does.)
  [[nodiscard]] const std::string* prepared(std::string_view name) const;

  void keep();
  void undo() {
    changes_.clear();
    changed_bytes_ = 0;
  }

  // Why the session cannot move, in words; empty when it can. What came since the last safe point does not
  // count: it will be made again.
  [[nodiscard]] const std::string& pinned() const;
  // Of that, what the server can be asked about (kHeldTemporary, ...); what came since the last safe point is
  // with it.
  [[nodiscard]] std::uint8_t held() const;
  // The server said, at a safe point, that none of these is there; or that they are.
  void let_go(std::uint8_t kinds);
  void found(std::uint8_t kinds);
  // It holds something else that cannot move, until DISCARD ALL.
  void pin(std::string why) {
    if (pin_.empty()) pin_ = std::move(why);
  }
  // Adds the names of the settings it has to those that a server is asked for (unseen_settings.h).
  void seek_settings(std::string& sought) const;
  // The server said, at a safe point, which settings the session has; `user`: who logged in. What is known
  // already stays where it is: who may make a setting hangs on the role that was set before it.
  enum class News : std::uint8_t {
    kNone,
    kPerhaps,  // of what the client has set: what that came to was not known
    kSome
  };
  News learn(const std::vector<LearnedSetting>& settings, std::string_view user);
  [[nodiscard]] bool listens() const { return !channels_.empty(); }

  struct Answers {
    unsigned due = 0;      // ReadyForQuery that will answer it
    unsigned lenient = 0;  // so many of them, the last, may come with an error: a statement that can no
                           // longer be prepared (its table is gone) would fail for the client as well
  };
  // Appends what makes a new server session like this one as of the last safe point.
  Answers restore(ByteBuffer& out) const;

  // How many changes the base has seen; 0 is a server session as it comes from a login or DISCARD ALL.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  // Appends what makes a server session that was like this one at `version` like it as of the last safe
  // point; of statements prepared by the protocol those whose text `wanted` likes, and the unnamed one where
  // `unnamed`. Statements prepared by SQL are left out: whoever wants those, or listens, is where they were
  // made.
  Answers catch_up(ByteBuffer& out, std::uint64_t version, bool unnamed,
                   const std::function<bool(const std::string& sql)>& wanted) const;
  // Bytes it takes to say so, for a bound.
  [[nodiscard]] std::size_t size_bytes() const { return size_bytes_; }
  // Bytes of what came since the last safe point.
  [[nodiscard]] std::size_t changed_bytes() const { return changed_bytes_; }

 private:
  struct Change {
    StatementEffect effect;
    ByteBuffer message;         // of a protocol-level Parse
    bool settled = false;       // committed: a rollback does not touch it
    bool transactional = true;  // else it stays whatever becomes of the transaction

    [[nodiscard]] std::size_t size_bytes() const {
      return sizeof(Change) + effect.name.size() + effect.text.size() + message.size();
    }
  };
  struct Prepared {
    std::string name;
    std::string sql;
    ByteBuffer message;  // empty: prepared by SQL, which is `sql`
    std::uint64_t version = 0;
  };
  struct Setting {
    std::string name;
    std::string text;
    std::uint64_t version = 0;
    bool learned = false;  // by asking: the text says what the setting is, not only how it was set
  };
  struct Removed {
    std::string statement;
    std::uint64_t version = 0;
  };

  [[nodiscard]] bool has_unnamed() const;
  void add(StatementEffect effect, bool transactional, ByteBuffer message = {});
  void roll_back_to(std::string_view savepoint);
  void release(std::string_view savepoint);
  void apply(Change&& change);
  void apply_pin(const StatementEffect& effect);
  News learn_one(const LearnedSetting& learned);
  void forget_setting(std::string_view name);
  void forget_prepared(std::string_view name);
  void measure();
  void measure_changes();

  std::vector<Change> changes_;
  std::vector<Setting> settings_;  // in the order last set: a role may be needed for what follows it
  std::vector<Prepared> prepared_;
  std::vector<std::string> channels_;
  std::string pin_;                             // until DISCARD ALL
  std::array<std::string, kHeldKinds> held_{};  // by kind: the first of it, in words
  std::size_t size_bytes_ = 0;
  std::size_t changed_bytes_ = 0;  // of changes_
  std::uint64_t version_ = 0;
  std::uint64_t undone_ = 0;      // the last change that only DISCARD ALL makes elsewhere
  std::vector<Removed> removed_;  // prepared statements, since then
};

}  // namespace understudy::proxy
