#include "proxy/health_query.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

namespace understudy::proxy {
namespace {

constexpr std::size_t kTimelineDigits = 8;
constexpr std::size_t kWalFileNameDigits = 24;
enum Column : std::uint8_t { kInRecovery, kWalFile, kPosition, kFlushed, kReplicaTimeline, kLag, kColumns };

// pg_walfile_name() fails during recovery, so CASE keeps it from being called, and the subquery keeps the two
// from being asked at different times: OFFSET 0 lets no planner merge it.
// A replica's timeline: the one it receives, else the one it has replayed into, else its last checkpoint's.
// Its lag: a replica without a transaction replayed since its start is behind since then, at least.
constexpr std::string_view kStateQuery = R"sql(SELECT r,
 CASE WHEN NOT r THEN pg_walfile_name(pg_current_wal_insert_lsn()) END,
 CASE WHEN r THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,
 CASE WHEN NOT r THEN pg_current_wal_flush_lsn() END,
 CASE WHEN r THEN greatest((SELECT received_tli FROM pg_stat_wal_receiver),
  (pg_control_recovery()).min_recovery_end_timeline, (pg_control_checkpoint()).timeline_id) END,
 CASE WHEN r AND pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn()
  THEN (extract(epoch FROM clock_timestamp()
   - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) * 1000000)::bigint END
FROM (SELECT pg_is_in_recovery() AS r OFFSET 0) AS s)sql";

template <typename Integer>
std::optional<Integer> parse_number(std::string_view text, int base) {
  Integer value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint32_t> timeline_of(const QueryRow& row, bool in_recovery) {
  const auto& column = row[in_recovery ? kReplicaTimeline : kWalFile];
  if (!column) return std::nullopt;
  if (in_recovery) return parse_number<std::uint32_t>(*column, 10);
  if (column->size() != kWalFileNameDigits) return std::nullopt;
  return parse_number<std::uint32_t>(std::string_view(*column).substr(0, kTimelineDigits), 16);
}

std::optional<TimelineSwitch> parse_history_line(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto next_word = [&] {
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
    line.remove_prefix(word.size());
    return word;
  };
  const auto timeline = parse_number<std::uint32_t>(next_word(), 10);
  const auto at = parse_lsn(next_word());
  if (!timeline || !at) return std::nullopt;
  return TimelineSwitch{*timeline, *at};
}

}  // namespace

std::string_view state_query() { return kStateQuery; }

std::optional<CheckResult> parse_state(const QueryRow& row) {
  if (row.size() != kColumns) return std::nullopt;
  CheckResult result;
  const auto& in_recovery = row[kInRecovery];
  if (in_recovery != "t" && in_recovery != "f") return std::nullopt;
  result.in_recovery = in_recovery == "t";
  const auto timeline = timeline_of(row, result.in_recovery);
  if (!timeline || *timeline == 0) return std::nullopt;
  result.timeline = *timeline;
  // A replica that has replayed nothing has no position; only a primary has one that it has flushed.
  const std::pair<Column, Lsn&> positions[] = {{kPosition, result.lsn}, {kFlushed, result.flushed}};
  for (const auto& [column, position] : positions) {
    if (!row[column]) continue;
    const auto lsn = parse_lsn(*row[column]);
    if (!lsn) return std::nullopt;
    position = *lsn;
  }
  if (row[kLag]) {
    constexpr TimeNs kMicrosecond = 1'000;
    constexpr std::int64_t kLongest = std::int64_t{1} << 50;  // 35 years; clocks may differ by anything
    const auto lag = parse_number<std::int64_t>(*row[kLag], 10);
    if (!lag) return std::nullopt;
    result.lag = TimeNs{std::clamp<std::int64_t>(*lag, 0, kLongest)} * kMicrosecond;
  }
  return result;
}

std::string history_query(std::uint32_t timeline) {
  // The length is far beyond any real one; `true`: a missing file is NULL.
  char text[96];
  std::snprintf(text, sizeof text, "SELECT pg_read_file('pg_wal/%08X.history', 0, 524288, true)", timeline);
  return text;
}

std::vector<TimelineSwitch> parse_history(std::string_view text) {
  std::vector<TimelineSwitch> history;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (const auto entry = parse_history_line(line)) history.push_back(*entry);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return history;
}

}  // namespace understudy::proxy
