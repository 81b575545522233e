// A condition asked of a recording: of each statement, with what must be known of its session beforehand, or
// of whole sessions. Holds a few words a session, and only if the condition asks for what is known at a
// session's end. Borrows the recording; one thread at a time.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <unordered_map>

#include "formats/transcript/session_set.h"
#include "replayer/condition.h"
#include "replayer/statement_scan.h"

namespace understudy::replayer {

class ConditionScope {
 public:
  // Kinds of statements told apart where they are asked for.
  static constexpr std::size_t kMostStatements = 20'000;

  // `text`: as typed after --where; empty: everything holds. Throws std::invalid_argument when it is no
  // condition.
  ConditionScope(const Recording& recording, const std::string& text);

  [[nodiscard]] bool is_everything() const { return !condition_; }
  [[nodiscard]] bool holds(const ScannedSession& session, const Statement& statement,
                           const StatementCatalog& catalog) const;
  // Of the session as a whole, all of which was read.
  [[nodiscard]] bool holds(const ScannedSession& ended) const;

  // Whether it is meant: by one of its statements, or, if it has none, as a whole. Reads the recording once,
  // when first asked, unless the descriptor tells.
  [[nodiscard]] bool means(const SessionDescriptor& session);
  // Reads it now: then any thread may ask.
  void prepare();
  // There is a condition, and it held for nothing that was asked so far.
  [[nodiscard]] bool unmatched() const { return condition_ && !met_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] bool note(bool holds) const {
    if (holds) met_.store(true, std::memory_order_relaxed);
    return holds;
  }
  [[nodiscard]] bool fulfils(const ScannedSession& session, const Statement& statement,
                             const StatementCatalog& catalog) const;
  [[nodiscard]] bool fulfils(const ScannedSession& ended) const;
  class Chooser;
  void read_totals();
  void choose_sessions();
  [[nodiscard]] const SessionTotals* totals_of(SessionId session) const;

  const Recording& recording_;
  std::optional<Condition> condition_;
  std::unordered_map<SessionId, SessionTotals> totals_;
  std::optional<SessionSet> chosen_;
  mutable std::atomic<bool> met_{false};
};

// Says on standard error that a condition held for nothing: an empty answer looks like a failure.
void tell_if_unmatched(const char* command, const ConditionScope& scope);

}  // namespace understudy::replayer
