#include "replayer/show/statement_summary.h"

#include <algorithm>
#include <cstdio>

#include "formats/command.h"
#include "replayer/counted.h"
#include "replayer/message_json.h"
#include "replayer/show/text_table.h"
#include "replayer/text_width.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kStatementLeast = 24;

struct Kind {
  StatementId id = 0;
  std::uint64_t calls = 0;
  std::uint64_t answered = 0;  // of them, with a time
  TimeNs total = 0;
  TimeNs longest = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::uint64_t errors = 0;
  std::uint64_t unanswered = 0;

  void add(const Statement& statement) {
    errors += statement.end == Statement::End::kFailed ? 1 : 0;
    if (statement.kind == Statement::Kind::kOther) return;
    ++calls;
    rows += statement.rows;
    bytes += statement.client_bytes + statement.server_bytes;
    if (statement.duration < 0) {
      ++unanswered;
      return;
    }
    ++answered;
    total += statement.duration;
    longest = std::max(longest, statement.duration);
  }
  [[nodiscard]] TimeNs mean() const { return answered == 0 ? 0 : total / static_cast<TimeNs>(answered); }
};

class Summary final : public StatementSink {
 public:
  Summary(const ConditionScope& scope, const StatementCatalog& catalog) : scope_(scope), catalog_(catalog) {}

  void done(const ScannedSession& session, const Statement& statement) override {
    if (!session.descriptor.attribute("shadow_of").empty()) return;  // it ran as its client's
    if (!scope_.holds(session, statement, catalog_)) return;
    const StatementId id = statement.id();
    if (id >= kinds_.size()) kinds_.resize(id + 1);
    kinds_[id].id = id;
    kinds_[id].add(statement);
    all_.add(statement);
  }

  [[nodiscard]] std::vector<Kind> sorted(SummaryOrder order) const {
    std::vector<Kind> out;
    for (const Kind& kind : kinds_) {
      if (kind.calls + kind.errors > 0) out.push_back(kind);
    }
    std::stable_sort(out.begin(), out.end(), [order](const Kind& a, const Kind& b) {
      switch (order) {
        case SummaryOrder::kCalls:
          return a.calls > b.calls;
        case SummaryOrder::kBytes:
          return a.bytes > b.bytes;
        case SummaryOrder::kErrors:
          return a.errors > b.errors;
        case SummaryOrder::kTime:
          break;
      }
      return a.total > b.total;
    });
    return out;
  }
  [[nodiscard]] const Kind& all() const { return all_; }
  void ended(const ScannedSession& session) override { bytes_not_read_ += session.bytes_not_read; }
  [[nodiscard]] std::uint64_t bytes_not_read() const { return bytes_not_read_; }

 private:
  const ConditionScope& scope_;
  const StatementCatalog& catalog_;
  std::vector<Kind> kinds_;
  Kind all_;
  std::uint64_t bytes_not_read_ = 0;
};

std::string share(TimeNs part, TimeNs whole) {
  char text[16];
  const double percent = whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  std::snprintf(text, sizeof text, "%.1f %%", percent);
  return text;
}

std::string fingerprint_text(std::uint64_t fingerprint) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(fingerprint));
  return text;
}

void put_totals(Poco::JSON::Object& out, const Kind& kind) {
  out.set("calls", kind.calls);
  out.set("total_ns", kind.total);
  out.set("mean_ns", kind.mean());
  out.set("max_ns", kind.longest);
  out.set("rows", kind.rows);
  out.set("bytes", kind.bytes);
  out.set("errors", kind.errors);
  out.set("unanswered", kind.unanswered);
}

void print_json(const Summary& summary, const std::vector<Kind>& kinds, const StatementCatalog& catalog,
                const StatementSummaryOptions& options, Output& out) {
  out.write("{\"statements\":[");
  for (std::size_t i = 0; i < kinds.size() && i < options.limit; ++i) {
    Poco::JSON::Object one = json_object();
    one.set("statement", catalog.text(kinds[i].id));
    if (const std::uint64_t fingerprint = catalog.fingerprint(kinds[i].id); fingerprint != 0)
      one.set("fingerprint", fingerprint_text(fingerprint));
    put_totals(one, kinds[i]);
    out.write((i > 0 ? ",\n" : "\n") + to_line(one));
  }
  Poco::JSON::Object rest = json_object();
  rest.set("kinds", kinds.size());
  rest.set("bytes_not_read", summary.bytes_not_read());
  Poco::JSON::Object all = json_object();
  put_totals(all, summary.all());
  rest.set("all", all);
  out.write("\n]," + to_line(rest).substr(1) + "\n");
}

void print_table(const Summary& summary, const std::vector<Kind>& kinds, const StatementCatalog& catalog,
                 const StatementSummaryOptions& options, Output& out) {
  TextTable table(out,
                  {{"TIME", true},
                   {"SHARE", true},
                   {"CALLS", true},
                   {"MEAN", true},
                   {"MAX", true},
                   {"ROWS", true},
                   {"BYTES", true},
                   {"ERRORS", true},
                   {"STATEMENT", false, kStatementLeast}},
                  options.columns);
  const Kind& all = summary.all();
  const auto add = [&](const Kind& kind, const std::string& name) {
    table.add({format_duration(kind.total), share(kind.total, all.total), std::to_string(kind.calls),
               format_duration(kind.mean()), format_duration(kind.longest), std::to_string(kind.rows),
               format_size(kind.bytes), std::to_string(kind.errors), name});
  };
  for (std::size_t i = 0; i < kinds.size() && i < options.limit; ++i)
    add(kinds[i], catalog.text(kinds[i].id));
  add(all, "(all " + counted(kinds.size(), "kind") + ")");
  table.finish();
  const auto tell = [&](const std::string& note) {
    out.line(options.columns == 0 ? note : wrapped(note, options.columns, 2));
  };
  if (all.unanswered > 0) tell("of " + counted(all.unanswered, "call") + " no answer is on record");
  if (summary.bytes_not_read() > 0)
    tell(format_size(summary.bytes_not_read()) +
         " could not be read as messages: behind gaps or damage, or "
         "before a session could be joined");
}

}  // namespace

std::optional<SummaryOrder> parse_summary_order(std::string_view text) {
  if (text == "time") return SummaryOrder::kTime;
  if (text == "calls") return SummaryOrder::kCalls;
  if (text == "bytes") return SummaryOrder::kBytes;
  if (text == "errors") return SummaryOrder::kErrors;
  return std::nullopt;
}

void summarise_statements(const Recording& recording, const ConditionScope& scope,
                          const StatementSummaryOptions& options, Output& out) {
  StatementCatalog catalog(ConditionScope::kMostStatements);
  Summary summary(scope, catalog);
  StatementScan(catalog, summary).run(recording);
  const std::vector<Kind> kinds = summary.sorted(options.order);
  if (options.json) return print_json(summary, kinds, catalog, options, out);
  print_table(summary, kinds, catalog, options, out);
}

}  // namespace understudy::replayer
