#include "replayer/diff_report.h"

#include <algorithm>
#include <iomanip>
#include <ostream>

#include "formats/command.h"
#include "replayer/readable.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kColumns = 98;

std::string cut(const std::string& text, std::size_t columns) {
  return text.size() <= columns
             ? text
             : readable_text(std::string_view(text).substr(0, columns - 3), columns) + "...";
}

std::string counted(std::uint64_t count, const char* one, const char* many = nullptr) {
  return std::to_string(count) + " " + (count == 1 ? one : many != nullptr ? many : std::string(one) + "s");
}

void print_subject(std::ostream& out, const char* name, const Recording& recording) {
  const auto [first, last] = recording.time_range();
  out << "  " << name << "  " << recording.path() << "\n     recorded " << format_time(first, 0) << ", "
      << format_duration(last - first) << "\n";
}

void print_verdict(std::ostream& out, const DiffResult& result) {
  const DiffTotals& totals = result.totals;
  out << (result.same() ? "Same" : "Different") << ": " << counted(totals.exchanges, "exchange") << " of "
      << counted(totals.sessions, "session") << " compared, " << counted(totals.rows, "row") << "; ";
  if (result.same()) {
    out << "no difference\n";
  } else {
    out << counted(totals.differences, "difference") << " in "
        << counted(totals.exchanges_different, "exchange") << "\n";
  }
}

void print_classes(std::ostream& out, const DiffResult& result) {
  if (result.same()) return;
  std::array<std::uint64_t, kDifferenceClasses> primary{};
  std::array<std::uint64_t, kDifferenceClasses> downstream{};
  for (const auto& [key, group] : result.groups()) {
    const auto index = static_cast<std::size_t>(key.first);
    primary[index] += group.count - group.downstream;
    downstream[index] += group.downstream;
  }
  out << "\n  " << std::left << std::setw(36) << "Differences" << std::right << std::setw(12) << "primary"
      << std::setw(14) << "downstream"
      << "\n";
  for (std::size_t i = 0; i < kDifferenceClasses; ++i) {
    if (primary[i] + downstream[i] == 0) continue;
    out << "    " << std::left << std::setw(34) << class_words(static_cast<DifferenceClass>(i)) << std::right
        << std::setw(12) << primary[i] << std::setw(14) << downstream[i] << "\n";
  }
  if (result.ungrouped() > 0)
    out << "    " << counted(result.ungrouped(), "more difference") << " of further statements\n";
  if (result.totals.downstream > 0)
    out << "  Downstream: its transaction had already diverged; most likely a consequence.\n";
}

void print_noise(std::ostream& out, const NoiseCounts& noise) {
  if (noise.total() == 0) return;
  out << "\n  Left out, different by nature:\n";
  for (std::size_t i = 0; i < kNoiseRules; ++i) {
    const auto rule = static_cast<NoiseRule>(i);
    if (noise.of(rule) == 0) continue;
    out << "    " << std::left << std::setw(34) << noise_words(rule) << std::right << std::setw(12)
        << noise.of(rule) << "\n";
  }
}

// What is missing from the comparison, and why.
void print_gaps(std::ostream& out, const DiffResult& result) {
  const DiffTotals& totals = result.totals;
  const struct {
    std::uint64_t count;
    const char* words;
  } lines[] = {
      {totals.sessions_only_a, "sessions only A has"},
      {totals.sessions_only_b, "sessions only B has"},
      {totals.sessions_replication, "replication sessions"},
      {totals.sessions_lost, "sessions whose opening is damaged"},
      {totals.sessions_cut, "sessions, behind a hole"},
      {totals.exchanges_left_out, "exchanges without a counterpart"},
      {totals.exchanges_added, "exchanges a replay added to go on"},
  };
  bool any = false;
  for (const auto& line : lines) {
    if (line.count == 0) continue;
    if (!any) out << "\n  Not compared:\n";
    any = true;
    out << "    " << std::left << std::setw(34) << line.words << std::right << std::setw(12) << line.count
        << "\n";
  }
  for (const auto& [hole, count] : result.holes)
    out << "      " << counted(count, "hole") << " in " << hole << "\n";
  if (totals.requests_changed > 0)
    out << "\n  " << counted(totals.requests_changed, "exchange") << " asked the same with other values\n";
}

std::string column_list(const Difference& difference, const RowExample& row) {
  std::string out;
  for (const std::size_t column : row.columns) {
    if (!out.empty()) out += ", ";
    out += column < difference.columns.size() ? difference.columns[column] : "#" + std::to_string(column + 1);
  }
  return out;
}

void print_rows(std::ostream& out, const Difference& difference) {
  const RowOutcome& rows = difference.rows;
  if (rows.rows_a + rows.rows_b == 0) return;
  out << "     rows: ";
  if (rows.same_rows()) {
    out << counted(rows.moved, "row") << " at other places\n";
    return;
  }
  out << rows.changed << " changed, " << rows.only_a << " only in A, " << rows.only_b << " only in B"
      << (rows.counted_only ? " (estimated)" : "") << "\n";
  for (const RowExample& row : rows.examples) {
    if (!row.columns.empty() && !row.a.empty() && !row.b.empty())
      out << "     differs in " << cut(column_list(difference, row), kColumns - 16) << "\n";
    if (!row.a.empty()) out << "       A  " << cut(row.a, kColumns - 10) << "\n";
    if (!row.b.empty()) out << "       B  " << cut(row.b, kColumns - 10) << "\n";
  }
}

void print_example(std::ostream& out, const Difference& difference, const DiffSubjects& subjects) {
  if (!difference.request.empty()) out << "     " << cut(difference.request, kColumns - 5) << "\n";
  const bool has_a = difference.session_a != SessionId{};
  const TimeNs start = (has_a ? subjects.a : subjects.b).time_range().first;
  out << "     session " << (has_a ? difference.session_a.to_string() : "-")
      << " (B: " << (difference.session_b != SessionId{} ? difference.session_b.to_string() : "-") << ")";
  if (difference.exchange > 0) out << ", exchange " << difference.exchange;
  out << ", " << format_duration(std::max<TimeNs>(0, difference.time - start)) << " into the recording\n";
  if (!difference.in_a.empty())
    out << "       A  " << cut(readable_text(difference.in_a, 400), kColumns - 10) << "\n";
  if (!difference.in_b.empty())
    out << "       B  " << cut(readable_text(difference.in_b, 400), kColumns - 10) << "\n";
  print_rows(out, difference);
}

void print_examples(std::ostream& out, const DiffResult& result, const DiffSubjects& subjects,
                    std::size_t most) {
  std::vector<const DiffResult::Groups::value_type*> order;
  for (const auto& entry : result.groups()) order.push_back(&entry);
  const auto rank = [](const auto* entry) {
    return std::pair(entry->second.count - entry->second.downstream, entry->second.count);
  };
  std::stable_sort(order.begin(), order.end(), [&](auto* one, auto* two) { return rank(one) > rank(two); });
  const std::size_t shown = std::min(most, order.size());
  if (shown == 0) return;
  out << "\n  Examples, biggest first"
      << (shown < order.size() ? " (" + std::to_string(shown) + " of " + std::to_string(order.size()) +
                                     "; --examples N for more, --json FILE for all)"
                               : "")
      << "\n";
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& [key, group] = *order[i];
    out << "\n"
        << std::setw(3) << i + 1 << ". " << class_words(key.first) << ", " << counted(group.count, "time")
        << ": " << cut(result.catalog.text(key.second), kColumns - 40) << "\n";
    print_example(out, group.first, subjects);
  }
}

std::string percentiles(const StatementLatency& latency, double fraction) {
  const auto one = [fraction](const std::unique_ptr<Histogram>& histogram) {
    return histogram == nullptr ? std::string("-") : format_duration(histogram->percentile(fraction));
  };
  return one(latency.a) + " > " + one(latency.b);
}

void print_latency(std::ostream& out, const StatementLatency& latency, const std::string& name) {
  const std::uint64_t calls =
      std::max(latency.a ? latency.a->count() : 0, latency.b ? latency.b->count() : 0);
  out << "    " << std::right << std::setw(9) << calls;
  for (const double fraction : {0.5, 0.95, 0.99}) out << std::setw(25) << percentiles(latency, fraction);
  out << "\n      " << cut(name, kColumns - 6) << "\n";
}

void print_latencies(std::ostream& out, const DiffResult& result, std::size_t most) {
  if (result.all_latencies().a == nullptr || most == 0) return;
  std::vector<StatementId> order;
  for (StatementId id = 0; id < result.latencies().size(); ++id) {
    if (result.latencies()[id].a != nullptr || result.latencies()[id].b != nullptr) order.push_back(id);
  }
  const auto spent = [&](StatementId id) {
    return result.latencies()[id].total_a + result.latencies()[id].total_b;
  };
  std::stable_sort(order.begin(), order.end(), [&](auto one, auto two) { return spent(one) > spent(two); });
  const std::size_t shown = std::min(most, order.size());
  out << "\n  Latency, A > B, the " << shown << " of " << counted(order.size(), "statement")
      << " that took the most time in all\n    " << std::right << std::setw(9) << "calls";
  for (const char* const title : {"p50", "p95", "p99"}) out << std::setw(25) << title;
  out << "\n";
  print_latency(out, result.all_latencies(), "(all statements)");
  for (std::size_t i = 0; i < shown; ++i)
    print_latency(out, result.latencies()[order[i]], result.catalog.text(order[i]));
}

}  // namespace

std::string paired_words(SessionPairs::By by) {
  switch (by) {
    case SessionPairs::By::kBReplaysA:
      return "B replays A";
    case SessionPairs::By::kAReplaysB:
      return "A replays B";
    case SessionPairs::By::kBothReplay:
      return "both replay the same recording";
    case SessionPairs::By::kName:
      break;
  }
  return "neither replays the other: sessions are paired by user, database, application and order";
}

void print_diff(std::ostream& out, const DiffResult& result, const DiffSubjects& subjects,
                const DiffReportOptions& options) {
  print_verdict(out, result);
  print_subject(out, "A", subjects.a);
  print_subject(out, "B", subjects.b);
  out << "  " << paired_words(subjects.paired_by) << "\n";
  print_classes(out, result);
  print_gaps(out, result);
  print_noise(out, result.noise);
  print_examples(out, result, subjects, options.examples);
  print_latencies(out, result, options.statements);
}

}  // namespace understudy::replayer
