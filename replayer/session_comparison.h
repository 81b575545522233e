// Compares the replies to one session, exchange by exchange, on two servers. Both recordings are read side by
// side, a reply at a time, so nothing is held but rows that have no counterpart yet. One thing that happened
// is one difference: what merely follows from it is left out, or told as downstream. One thread at a time.
#pragma once

#include <optional>

#include "replayer/diff_result.h"
#include "replayer/exchange_reader.h"
#include "replayer/session_directory.h"

namespace understudy::replayer {

// One side's session: where it is recorded, and whether its client is a replay's, which waits for answers.
struct ComparedSession {
  const Recording& recording;
  const SessionDirectory::Entry& entry;
  bool is_replay = false;
};

class SessionComparison {
 public:
  // The recordings and the result must outlive the comparison.
  SessionComparison(const ComparedSession& a, const ComparedSession& b, DiffResult& result);

  // Compares one exchange. False when there was none left: the session is then accounted for.
  [[nodiscard]] bool step();
  // A time not after A's next event; none at its end.
  [[nodiscard]] std::optional<TimeNs> next_time() { return a_.next_time(); }
  // Between steps: lets go of decoded chunks.
  void release();

 private:
  void begin();
  void compare_logins();
  void compare_settings();
  [[nodiscard]] bool refused_in_production_only() const;
  [[nodiscard]] bool align(bool& more_a, bool& more_b);
  void finish(bool more_a, bool more_b);
  void compare_endings(bool more_a, bool more_b);
  void end_unanswered(const ExchangeReader& unanswered, bool is_replay);

  // One exchange (exchange_comparison.cpp).
  void compare_exchange();
  void compare_replies();
  void compare_failures();
  void compare_rows();
  [[nodiscard]] bool compare_same_type();
  void compare_other_types();
  void compare_errors();
  void compare_tags();
  void compare_columns();
  void compare_parameters();
  void compare_function_results();
  void compare_copies();
  void compare_ends();
  void compare_asides();
  void next_a();
  void next_b();
  void drain();
  [[nodiscard]] bool only_errors() const { return a_only_errors_ || b_only_errors_; }
  [[nodiscard]] bool same_farewell() const;

  // Of the session as a whole; of the exchange at which a reader stands, or a statement of it.
  [[nodiscard]] Difference difference(DifferenceClass kind) const;
  [[nodiscard]] Difference difference(DifferenceClass kind, const ExchangeReader& at,
                                      const Reply* reply) const;
  void report_session(DifferenceClass kind, std::string in_a, std::string in_b);
  void report(DifferenceClass kind, std::string in_a, std::string in_b);
  void report_rows(const RowOutcome& outcome, const Reply& at);
  void add(Difference difference);

  DiffResult& result_;
  const SessionId id_a_;
  const SessionId id_b_;
  const TimeNs opened_at_;
  const bool a_is_replay_;
  const bool b_is_replay_;
  // One side was imported from a log: errors are compared, and nothing else.
  const bool a_only_errors_;
  const bool b_only_errors_;
  // It replays a recorded session: of this diff or another.
  const bool a_replays_;
  const bool b_replays_;
  SessionIdentity identity_a_;
  SessionIdentity identity_b_;
  ExchangeReader a_;
  ExchangeReader b_;
  CellNoise noise_;
  RowComparison rows_;
  RowFormat copy_format_ = RowFormat::kCopyText;
  const Reply* reply_a_ = nullptr;
  const Reply* reply_b_ = nullptr;
  bool begun_ = false;
  bool session_different_ = false;
  bool exchange_different_ = false;
  bool timed_a_ = true;  // in this exchange: when it was answered is known, not only by when
  bool timed_b_ = true;
  bool rows_different_ = false;  // of the result at hand
  bool failure_told_ = false;    // errors that differ, in this exchange
  bool transaction_diverged_ = false;
  bool end_told_ = false;  // why nothing that follows can be compared
};

}  // namespace understudy::replayer
