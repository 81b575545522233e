// What a diff found: differences by class and statement, with examples; latency by statement; what was left
// out and why. Memory is bounded: groups and statements beyond a bound share one; a sink is told of every
// difference as it is found. One thread at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "replayer/column_names.h"
#include "replayer/diff_noise.h"
#include "replayer/histogram.h"
#include "replayer/row_comparison.h"
#include "replayer/statement_catalog.h"

namespace understudy::replayer {

// In a report's order.
enum class DifferenceClass : std::uint8_t {
  kSession,               // only one recording has it
  kNewLoginFailure,       // B did not let the client in, A did
  kVanishedLoginFailure,  // the other way round
  kLogin,                 // both let it in and told it other settings, or neither did, for other reasons
  kNewError,              // an error of B where A answered
  kVanishedError,         // the other way round
  kSqlstate,              // both failed, with other severities or SQLSTATEs
  kCommandTag,            // another command
  kRowCount,              // the same command, another number of rows
  kColumns,               // columns, their types, or parameters
  kRows,                  // as many rows, other cells
  kRowOrder,              // the same rows in another order
  kReply,                 // another kind of reply
  kTransactionState,      // idle, in a transaction, failed
  kUnanswered,            // only one server answered
  kRequests,              // the clients asked different things
  kNotices,               // notices, or settings reported after SET
  kNotifications          // what LISTEN brought
};
inline constexpr std::size_t kDifferenceClasses = 18;

// "new error", ...; and a key for JSON: "new_error".
[[nodiscard]] std::string_view class_words(DifferenceClass difference);
[[nodiscard]] std::string_view class_key(DifferenceClass difference);

struct Difference {
  DifferenceClass difference = DifferenceClass::kRows;
  // Its transaction, or a value that its client sent, had already diverged: most likely a consequence.
  bool downstream = false;
  SessionId session_a;  // {0, 0}: none
  SessionId session_b;
  std::uint64_t exchange = 0;  // counted from 1 in its session, in A; 0: the session as a whole
  TimeNs time = 0;             // in A (in B, when A has none)
  StatementId statement = StatementCatalog::kNone;
  std::string request;     // as it was asked, abridged; empty in extended protocol
  std::string parameters;  // likewise: "'7', 'ada', NULL"; empty in simple protocol
  std::string in_a;        // what was answered, in words; may be empty when `rows` say it
  std::string in_b;
  RowOutcome rows;                   // of kRows, kRowCount and kRowOrder
  std::vector<std::string> columns;  // names, where they are known
};

// Differences of one class in one kind of statement.
struct DifferenceGroup {
  std::uint64_t count = 0;
  std::uint64_t downstream = 0;
  Difference first;  // the first that is primary, or the first
};

struct StatementLatency {
  std::unique_ptr<Histogram> a;
  std::unique_ptr<Histogram> b;
  TimeNs total_a = 0;  // sums
  TimeNs total_b = 0;
};

struct DiffTotals {
  std::uint64_t sessions = 0;  // compared
  std::uint64_t sessions_only_a = 0;
  std::uint64_t sessions_only_b = 0;
  std::uint64_t sessions_different = 0;
  std::uint64_t sessions_replication = 0;  // passed over: a stream of WAL is no reply
  std::uint64_t sessions_lost = 0;         // their opening is damaged
  std::uint64_t sessions_cut = 0;          // compared up to where a recording goes no further
  std::uint64_t exchanges = 0;             // compared
  std::uint64_t exchanges_different = 0;
  std::uint64_t exchanges_by_errors = 0;  // of those: by errors alone, a side is a log's
  std::uint64_t exchanges_left_out = 0;   // behind a hole, or a difference that ends the session
  std::uint64_t exchanges_added = 0;      // a Sync by itself that only one side has: a replay's, to go on
  std::uint64_t requests_changed = 0;     // the same statement with other values on the two sides
  std::uint64_t rows = 0;                 // compared
  std::uint64_t differences = 0;
  std::uint64_t downstream = 0;
};

class DiffResult {
 public:
  static constexpr std::size_t kMaxGroups = 1000;
  using Sink = std::function<void(const Difference&)>;
  using Groups = std::map<std::pair<DifferenceClass, StatementId>, DifferenceGroup>;

  void tell(Sink sink) { sink_ = std::move(sink); }
  void add(const Difference& difference);
  void add_latency(Side side, StatementId statement, TimeNs latency);
  // Why the recording of a side goes no further in a session: "a gap".
  void add_cut(Side side, const std::string& reason);

  // Without differences; noise and sessions passed over are none.
  [[nodiscard]] bool same() const { return totals.differences == 0; }
  // Nothing was left out that damage, a hole or the end of a recording keeps from being compared.
  [[nodiscard]] bool complete() const {
    return totals.exchanges_left_out + totals.sessions_cut + totals.sessions_lost == 0;
  }
  [[nodiscard]] const Groups& groups() const { return groups_; }
  [[nodiscard]] std::uint64_t ungrouped() const { return ungrouped_; }
  // By StatementId; entries may be empty.
  [[nodiscard]] const std::vector<StatementLatency>& latencies() const { return latencies_; }
  [[nodiscard]] const StatementLatency& all_latencies() const { return all_; }
  // Sessions by reason, "A: a gap".
  [[nodiscard]] const std::map<std::string, std::uint64_t>& cuts() const { return cuts_; }

  DiffTotals totals;
  NoiseCounts noise;
  StatementCatalog catalog;
  ColumnNames columns;

 private:
  Sink sink_;
  Groups groups_;
  std::uint64_t ungrouped_ = 0;
  std::vector<StatementLatency> latencies_;
  StatementLatency all_;
  std::map<std::string, std::uint64_t> cuts_;
};

}  // namespace understudy::replayer
