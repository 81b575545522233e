#include "replayer/diff_json.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <ostream>

#include "formats/command.h"
#include "replayer/readable.h"

namespace understudy::replayer {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

Object object() { return Object(Poco::JSON_PRESERVE_KEY_ORDER); }

// What came from a recording: valid UTF-8, control characters escaped as in the report.
std::string text(const std::string& recorded) { return readable_text(recorded, 2000); }

Object json_rows(const RowOutcome& rows) {
  Object out = object();
  out.set("rows_a", rows.rows_a);
  out.set("rows_b", rows.rows_b);
  out.set("changed", rows.changed);
  out.set("only_a", rows.only_a);
  out.set("only_b", rows.only_b);
  out.set("moved", rows.moved);
  out.set("cells", rows.cells);
  out.set("estimated", rows.estimated);
  Array examples;
  for (const RowExample& row : rows.examples) {
    Object example = object();
    if (!row.a.empty()) example.set("a", text(row.a));
    if (!row.b.empty()) example.set("b", text(row.b));
    Array columns;
    for (const std::size_t column : row.columns) columns.add(column);
    example.set("columns", columns);
    examples.add(example);
  }
  out.set("examples", examples);
  return out;
}

Object json_difference(const Difference& difference, const StatementCatalog& catalog) {
  Object out = object();
  out.set("class", std::string(class_key(difference.difference)));
  out.set("downstream", difference.downstream);
  if (difference.session_a != SessionId{}) out.set("session_a", difference.session_a.to_string());
  if (difference.session_b != SessionId{}) out.set("session_b", difference.session_b.to_string());
  if (difference.exchange > 0) out.set("exchange", difference.exchange);
  out.set("time", format_time(difference.time, 9));
  out.set("statement", text(catalog.text(difference.statement)));
  if (!difference.request.empty()) out.set("request", text(difference.request));
  if (!difference.parameters.empty()) out.set("parameters", text(difference.parameters));
  if (!difference.in_a.empty()) out.set("a", text(difference.in_a));
  if (!difference.in_b.empty()) out.set("b", text(difference.in_b));
  if (difference.rows.rows_a + difference.rows.rows_b == 0) return out;
  Array columns;
  for (const std::string& name : difference.columns) columns.add(text(name));
  out.set("columns", columns);
  out.set("rows", json_rows(difference.rows));
  return out;
}

Object json_subject(const Recording& recording) {
  const auto [first, last] = recording.time_range();
  Object out = object();
  out.set("path", text(recording.path()));
  out.set("id", text(recording.id()));
  out.set("closed", recording.unclosed() == 0);
  if (!recording.chunks_by_time().empty()) {
    out.set("from", format_time(first, 9));
    out.set("to", format_time(last, 9));
  }
  return out;
}

Object json_totals(const DiffTotals& totals) {
  Object out = object();
  const std::pair<const char*, std::uint64_t> counts[] = {
      {"sessions", totals.sessions},
      {"sessions_different", totals.sessions_different},
      {"sessions_only_a", totals.sessions_only_a},
      {"sessions_only_b", totals.sessions_only_b},
      {"sessions_replication", totals.sessions_replication},
      {"sessions_lost", totals.sessions_lost},
      {"sessions_cut", totals.sessions_cut},
      {"exchanges", totals.exchanges},
      {"exchanges_different", totals.exchanges_different},
      {"exchanges_by_errors", totals.exchanges_by_errors},
      {"exchanges_left_out", totals.exchanges_left_out},
      {"exchanges_added", totals.exchanges_added},
      {"requests_changed", totals.requests_changed},
      {"rows", totals.rows},
      {"differences", totals.differences},
      {"downstream", totals.downstream},
  };
  for (const auto& [key, count] : counts) out.set(key, count);
  return out;
}

Object json_histogram(const Histogram& histogram, TimeNs total) {
  Object out = object();
  out.set("count", histogram.count());
  out.set("total_ns", total);
  out.set("p50_ns", histogram.percentile(0.5));
  out.set("p95_ns", histogram.percentile(0.95));
  out.set("p99_ns", histogram.percentile(0.99));
  out.set("max_ns", histogram.max());
  return out;
}

Object json_latency(const StatementLatency& latency, const std::string& statement) {
  Object out = object();
  out.set("statement", text(statement));
  if (latency.a != nullptr) out.set("a", json_histogram(*latency.a, latency.total_a));
  if (latency.b != nullptr) out.set("b", json_histogram(*latency.b, latency.total_b));
  return out;
}

Array json_groups(const DiffResult& result) {
  Array out;
  for (const auto& [key, group] : result.groups()) {
    Object one = object();
    one.set("class", std::string(class_key(key.first)));
    one.set("statement", text(result.catalog.text(key.second)));
    one.set("count", group.count);
    one.set("downstream", group.downstream);
    out.add(one);
  }
  return out;
}

}  // namespace

DiffJson::DiffJson(std::ostream& out) : out_(out) { out_ << "{\n\"differences\": ["; }

void DiffJson::add(const Difference& difference, const StatementCatalog& catalog) {
  out_ << (first_ ? "\n" : ",\n");
  first_ = false;
  json_difference(difference, catalog).stringify(out_);
}

void DiffJson::finish(const DiffResult& result, const DiffSubjects& subjects) {
  const auto member = [this](const char* name, const auto& value) {
    out_ << ",\n\"" << name << "\": ";
    value.stringify(out_);
  };
  out_ << "\n],\n\"same\": " << (result.same() ? "true" : "false");
  out_ << ",\n\"complete\": " << (result.complete() ? "true" : "false");
  member("a", json_subject(subjects.a));
  member("b", json_subject(subjects.b));
  member("summary", json_totals(result.totals));
  Object noise = object();
  for (std::size_t i = 0; i < kNoiseRules; ++i) {
    const auto rule = static_cast<NoiseRule>(i);
    noise.set(std::string(noise_key(rule)), result.noise.of(rule));
  }
  member("noise", noise);
  Object cuts = object();
  for (const auto& [reason, count] : result.cuts()) cuts.set(text(reason), count);
  member("cuts", cuts);
  member("groups", json_groups(result));
  Array latencies;
  for (StatementId id = 0; id < result.latencies().size(); ++id) {
    const StatementLatency& one = result.latencies()[id];
    if (one.a != nullptr || one.b != nullptr) latencies.add(json_latency(one, result.catalog.text(id)));
  }
  member("latency", latencies);
  out_ << "\n}\n";
}

}  // namespace understudy::replayer
