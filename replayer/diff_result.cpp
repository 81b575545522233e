#include "replayer/diff_result.h"

#include <array>
#include <limits>

namespace understudy::replayer {
namespace {

struct Name {
  std::string_view words;
  std::string_view key;
};

constexpr std::array<Name, kDifferenceClasses> kNames = {{
    {"session in one recording only", "session"},
    {"new login failure", "new_login_failure"},
    {"vanished login failure", "vanished_login_failure"},
    {"login", "login"},
    {"new error", "new_error"},
    {"vanished error", "vanished_error"},
    {"SQLSTATE", "sqlstate"},
    {"command tag", "command_tag"},
    {"row count", "row_count"},
    {"columns", "columns"},
    {"rows", "rows"},
    {"row order", "row_order"},
    {"kind of reply", "reply"},
    {"transaction state", "transaction_state"},
    {"unanswered", "unanswered"},
    {"other requests", "requests"},
    {"notices and settings", "notices"},
    {"notifications", "notifications"},
}};

void count(StatementLatency& statement, Side side, TimeNs latency) {
  std::unique_ptr<Histogram>& histogram = side == Side::kA ? statement.a : statement.b;
  if (histogram == nullptr) histogram = std::make_unique<Histogram>();
  histogram->add(latency);
  TimeNs& total = side == Side::kA ? statement.total_a : statement.total_b;
  if (__builtin_add_overflow(total, latency, &total)) total = std::numeric_limits<TimeNs>::max();
}

}  // namespace

std::string_view class_words(DifferenceClass difference) {
  return kNames[static_cast<std::size_t>(difference)].words;
}
std::string_view class_key(DifferenceClass difference) {
  return kNames[static_cast<std::size_t>(difference)].key;
}

void DiffResult::add(const Difference& difference) {
  ++totals.differences;
  if (difference.downstream) ++totals.downstream;
  if (sink_) sink_(difference);
  const std::pair key(difference.difference, difference.statement);
  auto found = groups_.find(key);
  if (found == groups_.end()) {
    if (groups_.size() >= kMaxGroups) {
      ++ungrouped_;
      return;
    }
    found = groups_.emplace(key, DifferenceGroup{}).first;
  }
  DifferenceGroup& group = found->second;
  const bool better = group.first.downstream && !difference.downstream;
  if (group.count == 0 || better) group.first = difference;
  ++group.count;
  if (difference.downstream) ++group.downstream;
}

void DiffResult::add_latency(Side side, StatementId statement, TimeNs latency) {
  if (latencies_.size() <= statement) latencies_.resize(std::size_t{statement} + 1);
  count(latencies_[statement], side, latency);
  count(all_, side, latency);
}

void DiffResult::add_cut(Side side, const std::string& reason) {
  constexpr std::size_t kMaxReasons = 50;  // some name a byte
  const std::string name = side == Side::kA ? "A: " : "B: ";
  if (const auto known = cuts_.find(name + reason); known != cuts_.end()) {
    ++known->second;
  } else {
    ++cuts_[name + (cuts_.size() < kMaxReasons ? reason : "other reasons")];
  }
}

}  // namespace understudy::replayer
