#include "replayer/diff_report.h"

#include <algorithm>
#include <iomanip>
#include <ostream>

#include "formats/command.h"
#include "replayer/counted.h"
#include "replayer/readable.h"
#include "replayer/recording_lookup.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kIndent = 5;      // of an example's lines
constexpr std::size_t kLabelBytes = 7;  // "asked  "

void print_count(std::ostream& out, std::string_view words, std::uint64_t count) {
  out << "    " << std::left << std::setw(36) << words << std::right << std::setw(12) << count << "\n";
}

void print_subject(std::ostream& out, const char* name, const Recording& recording, std::size_t columns) {
  const auto [first, last] = recording.time_range();
  out << "  " << name << "  " << abridged(readable_text(recording.path(), columns), columns - 5) << "\n     ";
  if (recording.chunks_by_time().empty()) {
    out << "nothing recorded\n";
  } else {
    out << "recorded " << format_time(first, 0) << ", " << format_duration(time_between(first, last)) << "\n";
  }
  if (recording.unclosed() == 0) return;
  out << wrapped(
             "     It was not closed: its recorder was killed, lost power, or still writes. What was said "
             "after "
             "what it had written is not in it, and is not compared.",
             columns, 5)
      << "\n";
}

void print_verdict(std::ostream& out, const DiffResult& result) {
  const DiffTotals& totals = result.totals;
  const bool in_part = totals.exchanges_left_out + totals.sessions_cut + totals.sessions_lost +
                           totals.sessions_only_a + totals.sessions_only_b >
                       0;
  const std::string compared = counted(totals.exchanges, "exchange") + " of " +
                               counted(totals.sessions, "session") + " compared, " +
                               counted(totals.rows, "row");
  if (totals.sessions == 0 && result.same()) {
    out << "Nothing was compared\n";
  } else if (result.same()) {
    out << (in_part ? "Same, as far as it could be compared: " : "Same: ") << compared << "\n";
  } else {
    out << "Different: " << counted(totals.differences, "difference") << " in "
        << counted(totals.exchanges_different, "exchange") << "\n  " << compared << "\n";
  }
}

void print_classes(std::ostream& out, const DiffResult& result, std::size_t columns) {
  if (result.same()) return;
  std::array<std::uint64_t, kDifferenceClasses> primary{};
  std::array<std::uint64_t, kDifferenceClasses> downstream{};
  for (const auto& [key, group] : result.groups()) {
    const auto index = static_cast<std::size_t>(key.first);
    primary[index] += group.count - group.downstream;
    downstream[index] += group.downstream;
  }
  out << "\n  " << std::left << std::setw(38) << "Differences" << std::right << std::setw(12) << "primary"
      << std::setw(14) << "downstream"
      << "\n";
  for (std::size_t i = 0; i < kDifferenceClasses; ++i) {
    if (primary[i] + downstream[i] == 0) continue;
    out << "    " << std::left << std::setw(36) << class_words(static_cast<DifferenceClass>(i)) << std::right
        << std::setw(12) << primary[i] << std::setw(14) << downstream[i] << "\n";
  }
  if (result.ungrouped() > 0)
    out << "    " << counted(result.ungrouped(), "more difference") << " in further statements\n";
  if (result.totals.downstream > 0) {
    out << wrapped(
               "  Downstream: most likely a consequence, for its transaction had already diverged, or its "
               "client "
               "sent other values. Look at the primary ones first.",
               columns, 2)
        << "\n";
  }
}

bool unpaired_are_differences(const DiffResult& result) {
  return std::any_of(result.groups().begin(), result.groups().end(),
                     [](const auto& entry) { return entry.first.first == DifferenceClass::kSession; });
}

// What is missing from the comparison, and why.
void print_gaps(std::ostream& out, const DiffResult& result, std::size_t columns) {
  const DiffTotals& totals = result.totals;
  const struct {
    std::uint64_t count;
    const char* words;
  } lines[] = {
      {totals.sessions_only_a, "sessions only A has"},
      {totals.sessions_only_b, "sessions only B has"},
      {totals.sessions_replication, "replication sessions"},
      {totals.sessions_lost, "sessions whose opening is damaged"},
      {totals.sessions_cut, "sessions from some point on"},
      {totals.exchanges_left_out, "exchanges without a counterpart"},
      {totals.exchanges_by_errors, "replies other than errors (import)"},
      {totals.exchanges_added, "lone Syncs, by a replay to go on"},
  };
  bool any = false;
  for (const auto& line : lines) {
    if (line.count == 0) continue;
    if (!any) out << "\n  Not compared:\n";
    any = true;
    print_count(out, line.words, line.count);
  }
  if (unpaired_are_differences(result)) {
    out << wrapped(
               "      Each session that only one has is a difference. If they were left out on purpose "
               "(replay "
               "--from, --until, marks, --where), --ignore-unpaired only counts them.",
               columns, 6)
        << "\n";
  }
  for (const auto& [reason, count] : result.cuts())
    out << "      in " << counted(count, "session") << ", " << abridged(reason, columns - 30) << "\n";
  if (totals.requests_changed > 0)
    out << "\n  " << counted(totals.requests_changed, "exchange") << " asked the same with other values\n";
}

void print_noise(std::ostream& out, const NoiseCounts& noise, std::size_t columns) {
  if (noise.total() == 0) return;
  out << "\n  Left out, different by nature:\n";
  for (std::size_t i = 0; i < kNoiseRules; ++i) {
    const auto rule = static_cast<NoiseRule>(i);
    if (noise.of(rule) > 0) print_count(out, noise_words(rule), noise.of(rule));
  }
  if (noise.of(NoiseRule::kRefusedLogin) == 0) return;
  out << wrapped(
             "      Logins that failed in production are not repeated: a recording holds no passwords, and "
             "the "
             "replay logged in by its own.",
             columns, 6)
      << "\n";
}

// One line of an example. What was recorded is readable already, but may be long.
void print_line(std::ostream& out, std::size_t columns, std::string_view label, const std::string& text) {
  if (text.empty()) return;
  out << std::string(kIndent, ' ') << std::left << std::setw(kLabelBytes) << label << std::right
      << abridged(readable_text(text, columns), columns - kIndent - kLabelBytes) << "\n";
}

std::string column_list(const Difference& difference, const RowExample& row) {
  std::string out;
  for (const std::size_t column : row.columns) {
    if (!out.empty()) out += ", ";
    out += column < difference.columns.size() ? difference.columns[column]
                                              : "column " + std::to_string(column + 1);
  }
  return out;
}

void print_rows(std::ostream& out, const Difference& difference, std::size_t columns) {
  const RowOutcome& rows = difference.rows;
  if (rows.rows_a + rows.rows_b == 0) return;
  if (rows.same_rows()) {
    print_line(out, columns, "rows",
               "the same, " + std::to_string(rows.moved) + " of " + counted(rows.rows_a, "row") +
                   " at another place");
    return;
  }
  print_line(out, columns, "rows",
             (rows.estimated ? "about " : "") + std::to_string(rows.changed) + " changed, " +
                 std::to_string(rows.only_a) + " only in A, " + std::to_string(rows.only_b) + " only in B");
  for (const RowExample& row : rows.examples) {
    const bool changed = !row.a.empty() && !row.b.empty() && !row.columns.empty();
    print_line(out, columns, "  in", changed ? column_list(difference, row) : "");
    print_line(out, columns, "   A", row.a);
    print_line(out, columns, "   B", row.b);
  }
}

bool says_order_by(const std::string& statement) {
  constexpr std::string_view kOrderBy = "ORDER BY";
  const auto same_letter = [](char one, char other) { return (one | 0x20) == (other | 0x20); };
  return std::search(statement.begin(), statement.end(), kOrderBy.begin(), kOrderBy.end(), same_letter) !=
         statement.end();
}

void print_where(std::ostream& out, const Difference& difference, const DiffSubjects& subjects,
                 std::size_t columns) {
  const bool has_a = difference.session_a != SessionId{};
  const bool has_b = difference.session_b != SessionId{};
  std::string where = has_a ? "session " + difference.session_a.to_string() : std::string();
  if (has_b) where += std::string(has_a ? " (in B " : "session ") + difference.session_b.to_string();
  if (has_a && has_b) where += ")";
  if (difference.exchange > 0) where += ", exchange " + std::to_string(difference.exchange);
  const TimeNs start = (has_a ? subjects.a : subjects.b).time_range().first;
  where += ", " + format_duration(std::max<TimeNs>(0, time_between(start, difference.time))) +
           " after the start of " + (has_a ? "A" : "B");
  print_line(out, columns, "where", where);
}

void print_example(std::ostream& out, const Difference& difference, const DiffResult& result,
                   const DiffSubjects& subjects, std::size_t columns) {
  const std::string& statement = result.catalog.text(difference.statement);
  if (difference.statement != StatementCatalog::kNone)
    out << std::string(kIndent, ' ') << abridged(statement, columns - kIndent) << "\n";
  if (difference.request != statement) print_line(out, columns, "asked", difference.request);
  print_line(out, columns, "with", difference.parameters);
  print_line(out, columns, "A", difference.in_a);
  print_line(out, columns, "B", difference.in_b);
  print_rows(out, difference, columns);
  if (difference.difference == DifferenceClass::kRowOrder && !says_order_by(statement))
    print_line(out, columns, "", "It has no ORDER BY: a server may return its rows in any order.");
  print_where(out, difference, subjects, columns);
}

using GroupList = std::vector<const DiffResult::Groups::value_type*>;

// Those with the most primary differences first.
GroupList by_size(const DiffResult& result) {
  GroupList order;
  for (const auto& entry : result.groups()) order.push_back(&entry);
  const auto rank = [](const auto* entry) {
    return std::pair(entry->second.count - entry->second.downstream, entry->second.count);
  };
  std::stable_sort(order.begin(), order.end(), [&](auto* one, auto* two) { return rank(one) > rank(two); });
  return order;
}

void print_examples(std::ostream& out, const DiffResult& result, const GroupList& order,
                    const DiffSubjects& subjects, const DiffReportOptions& options) {
  const std::size_t shown = std::min(options.examples, order.size());
  if (shown == 0) return;
  out << "\n  Examples, biggest first";
  if (shown < order.size()) out << " (" << shown << " of " << order.size() << "; --examples N shows more)";
  out << "\n";
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& [key, group] = *order[i];
    out << "\n"
        << std::setw(3) << i + 1 << ". " << class_words(key.first) << ", " << counted(group.count, "time");
    if (group.downstream > 0) out << " (" << group.downstream << " downstream)";
    out << "\n";
    print_example(out, group.first, result, subjects, options.columns);
  }
}

// A path as a shell takes it; a name for it when it is long.
std::string argument(const Recording& recording, const char* name) {
  constexpr std::size_t kPathBytes = 60;
  const std::string& path = recording.path();
  if (path.size() > kPathBytes || readable_text(path, path.size()) != path) return name;
  const bool plain = path.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                         "/._-+:,@%") == std::string::npos;
  if (plain) return path;
  return path.find('\'') == std::string::npos ? "'" + path + "'" : name;
}

// What to do next.
void print_next(std::ostream& out, const GroupList& order, const DiffSubjects& subjects) {
  if (order.empty()) return;
  const Difference& first = order.front()->second.first;
  out << "\n  Next: what was said in the session of example 1\n";
  if (first.session_a != SessionId{})
    out << "    understudy show " << argument(subjects.a, "A") << " --session " << first.session_a.to_string()
        << "\n";
  if (first.session_b != SessionId{})
    out << "    understudy show " << argument(subjects.b, "B") << " --session " << first.session_b.to_string()
        << "\n";
  out << "  and every difference, for scripts: --json FILE\n";
}

std::string percentiles(const StatementLatency& latency, double fraction) {
  const auto one = [fraction](const std::unique_ptr<Histogram>& histogram) {
    if (histogram == nullptr) return std::string("-");
    const TimeNs time = histogram->percentile(fraction);
    return time == 0 ? std::string("0") : format_duration(time);
  };
  return one(latency.a) + " -> " + one(latency.b);
}

// Of a percentile: "163.8 us -> 155.6 us" and a blank at least.
int latency_columns(std::size_t columns) {
  return static_cast<int>(std::clamp<std::size_t>((columns - 15) / 3, 21, 25));
}

void print_latency(std::ostream& out, const StatementLatency& latency, const std::string& name,
                   std::size_t columns) {
  const std::uint64_t calls =
      std::max(latency.a ? latency.a->count() : 0, latency.b ? latency.b->count() : 0);
  out << "    " << std::right << std::setw(9) << calls;
  for (const double fraction : {0.5, 0.95, 0.99})
    out << std::setw(latency_columns(columns)) << percentiles(latency, fraction);
  out << "\n      " << abridged(name, columns - 6) << "\n";
}

void print_latencies(std::ostream& out, const DiffResult& result, const DiffReportOptions& options) {
  if (options.statements == 0) return;
  std::vector<StatementId> order;
  for (StatementId id = 0; id < result.latencies().size(); ++id) {
    if (result.latencies()[id].a != nullptr || result.latencies()[id].b != nullptr) order.push_back(id);
  }
  if (order.empty()) return;
  const auto spent = [&](StatementId id) {
    // As a sum may be too large for its type, in hostile recordings.
    return static_cast<double>(result.latencies()[id].total_a) +
           static_cast<double>(result.latencies()[id].total_b);
  };
  std::stable_sort(order.begin(), order.end(), [&](auto one, auto two) { return spent(one) > spent(two); });
  const std::size_t shown = std::min(options.statements, order.size());
  out << "\n  Latency, A -> B, of the " << shown << " of " << counted(order.size(), "statement")
      << " that took the most time in all\n    " << std::right << std::setw(9) << "calls";
  for (const char* const title : {"p50", "p95", "p99"})
    out << std::setw(latency_columns(options.columns)) << title;
  out << "\n";
  print_latency(out, result.all_latencies(), "(all statements)", options.columns);
  for (std::size_t i = 0; i < shown; ++i)
    print_latency(out, result.latencies()[order[i]], result.catalog.text(order[i]), options.columns);
  out << wrapped(
             "    From the request, or the reply before it if that was later, to the reply. 0: in a "
             "pipeline, the "
             "reply came together with the one before it.",
             options.columns, 4)
      << "\n";
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
  const GroupList order = by_size(result);
  const std::size_t columns = options.columns;
  print_verdict(out, result);
  print_subject(out, "A", subjects.a, columns);
  print_subject(out, "B", subjects.b, columns);
  out << wrapped("  " + paired_words(subjects.paired_by), columns, 2) << "\n";
  print_classes(out, result, columns);
  print_gaps(out, result, columns);
  print_noise(out, result.noise, columns);
  print_examples(out, result, order, subjects, options);
  print_latencies(out, result, options);
  if (options.examples > 0) print_next(out, order, subjects);
}

}  // namespace understudy::replayer
