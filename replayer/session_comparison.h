// Compares the replies to one session, exchange by exchange, on two servers. Both recordings are read side by
// side, a reply at a time, so nothing is held but rows that have no counterpart yet. One thread at a time.
#pragma once

#include <optional>

#include "replayer/diff_result.h"
#include "replayer/exchange_reader.h"
#include "replayer/session_directory.h"

namespace understudy::replayer {

class SessionComparison {
 public:
  // All references must outlive the comparison.
  SessionComparison(const Recording& a, const SessionDirectory::Entry& entry_a, const Recording& b,
                    const SessionDirectory::Entry& entry_b, DiffResult& result);

  // Compares one exchange. False when there was none left: the session is then accounted for.
  [[nodiscard]] bool step();
  // A time not after A's next event; none at its end.
  [[nodiscard]] std::optional<TimeNs> next_time() { return a_.next_time(); }
  // Between steps: lets go of decoded chunks.
  void release();

 private:
  void begin();
  void compare_logins();
  void compare_setting(const std::string& name, const std::string& a, const std::string& b);
  [[nodiscard]] bool align(bool more_a, bool more_b);
  [[nodiscard]] bool ended(bool more_a, bool more_b);
  void finish(bool more_a, bool more_b);
  void compare_endings(bool more_a, bool more_b);

  // One exchange (exchange_comparison.cpp).
  void compare_exchange();
  void compare_replies();
  void compare_rows();
  [[nodiscard]] bool compare_same_type();
  void compare_errors();
  void compare_tags();
  void compare_columns();
  void compare_parameters();
  void compare_asides();
  void compare_ends();
  void next_a();
  void next_b();
  void drain();

  // Of the session as a whole, or of the exchange at which a reader stands.
  [[nodiscard]] Difference difference(DifferenceClass kind) const;
  [[nodiscard]] Difference difference(DifferenceClass kind, const ExchangeReader& at) const;
  void report_session(DifferenceClass kind, std::string in_a, std::string in_b);
  void report(DifferenceClass kind, std::string in_a, std::string in_b);
  void report_rows(const RowOutcome& outcome, StatementId statement);
  void add(Difference difference);

  DiffResult& result_;
  SessionId id_a_;
  SessionId id_b_;
  TimeNs opened_at_;
  std::string user_a_;
  std::string user_b_;
  ExchangeReader a_;
  ExchangeReader b_;
  CellNoise noise_;
  RowComparison rows_;
  const Reply* reply_a_ = nullptr;
  const Reply* reply_b_ = nullptr;
  std::map<StatementId, std::vector<std::string>> column_names_;
  bool begun_ = false;
  bool session_different_ = false;
  bool exchange_different_ = false;
  bool rows_different_ = false;  // of the result at hand
  bool transaction_diverged_ = false;
  bool ended_early_ = false;  // a difference after which nothing can be compared
};

}  // namespace understudy::replayer
