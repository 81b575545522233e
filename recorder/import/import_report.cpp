#include "recorder/import/import_report.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "formats/command.h"
#include "recorder/summary_lines.h"

namespace understudy::recorder {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

void put_places(SummaryLines& lines, const std::string& label, const PlacesByKind& kinds) {
  std::uint64_t sum = 0;
  for (const auto& [kind, places] : kinds) sum += places.count;
  lines.put_count(sum, label);
  if (sum == 0) return;
  for (const auto& [kind, places] : kinds) {
    std::string more = "  " + kind + ": " + std::to_string(places.count) + "\n    ";
    for (const std::string& place : places.first) more += (&place == places.first.data() ? "" : ", ") + place;
    lines.put_more(more + (places.count > places.first.size() ? ", ...\n" : "\n"));
  }
}

void put_files(SummaryLines& lines, const ImportSummary& summary) {
  std::uint64_t bytes = 0;
  std::set<std::string> formats;
  std::set<std::string> prefixes;
  for (const ImportedFile& file : summary.files) {
    bytes += file.bytes;
    formats.insert(file.format);
    if (!file.prefix.empty()) prefixes.insert(file.prefix);
  }
  std::string dialects;
  for (const std::string& format : formats) dialects += (dialects.empty() ? "" : ", ") + format;
  lines.put("files", std::to_string(summary.files.size()) + " (" + dialects + "), " + format_size(bytes));
  for (const std::string& prefix : prefixes) lines.put("log_line_prefix", "'" + prefix + "'");
  for (const ImportedFile& file : summary.files) {
    if (!file.error.empty()) lines.put("not read to its end", file.name + ": " + file.error);
  }
  if (summary.ended_early) lines.put("ended by a signal", "before the end of the files");
}

Object places_json(const PlacesByKind& kinds) {
  Object out;
  for (const auto& [kind, places] : kinds) {
    Object one(Poco::JSON_PRESERVE_KEY_ORDER);
    one.set("count", places.count);
    Array first;
    for (const std::string& place : places.first) first.add(place);
    one.set("first", first);
    out.set(kind, one);
  }
  return out;
}

Object counts_json(const ImportCounts& counts) {
  Object out(Poco::JSON_PRESERVE_KEY_ORDER);
  const std::pair<const char*, std::uint64_t> numbers[] = {{"records", counts.records},
                                                           {"sessions", counts.sessions},
                                                           {"refused_logins", counts.refused_logins},
                                                           {"begun_before", counts.begun_before},
                                                           {"without_end", counts.without_end},
                                                           {"given_up", counts.given_up},
                                                           {"statements", counts.statements()},
                                                           {"simple", counts.simple},
                                                           {"executed", counts.executed},
                                                           {"fetches", counts.fetches},
                                                           {"timed", counts.timed},
                                                           {"errors", counts.errors},
                                                           {"cancels", counts.cancels},
                                                           {"copies_without_data", counts.copies},
                                                           {"replication_sessions", counts.replication},
                                                           {"other_records", counts.other_records}};
  for (const auto& [name, number] : numbers) out.set(name, number);
  return out;
}

std::string text_of(const Object& object) {
  std::ostringstream text;
  object.stringify(text, 2);
  return text.str() + "\n";
}

}  // namespace

bool is_in_part(const ImportSummary& summary) {
  return !summary.counts.unreadable.empty() || !summary.counts.left_out.empty() || summary.ended_early ||
         !summary.recorded ||
         std::any_of(summary.files.begin(), summary.files.end(),
                     [](const ImportedFile& file) { return !file.error.empty(); });
}

std::string summary_as_text(const ImportSummary& summary) {
  const ImportCounts& counts = summary.counts;
  SummaryLines lines;
  put_files(lines, summary);
  lines.put("sessions", std::to_string(counts.sessions));
  lines.put_count(counts.refused_logins, "  refused at their login");
  lines.put_count(counts.begun_before, "  begun unseen", " (before the log, or log_connections is off)");
  lines.put_count(counts.without_end, "  without an end", " (after the log, or log_disconnections is off)");
  lines.put_count(counts.given_up, "  given up", " (too many were open at once)");
  lines.put("statements", std::to_string(counts.statements()) + ": " + std::to_string(counts.simple) +
                              " simple, " + std::to_string(counts.executed) + " extended, " +
                              std::to_string(counts.fetches) +
                              (counts.fetches == 1 ? " fetch from a portal" : " fetches from portals"));
  lines.put("  with a duration", std::to_string(counts.timed));
  lines.put_count(counts.copies, "  COPY FROM STDIN", " (without data: no log has it)");
  lines.put("errors", std::to_string(counts.errors));
  lines.put_count(counts.cancels, "  cancelled");
  put_places(lines, "left out", counts.left_out);
  put_places(lines, "unreadable", counts.unreadable);
  put_places(lines, "doubtful", counts.doubtful);
  put_places(lines, "read all the same", counts.zones);
  lines.put_count(counts.replication, "replication sessions", " (left out)");
  lines.put_count(counts.other_records, "other records");
  lines.put_count(summary.recording.passwords_hidden + counts.passwords_in_errors, "passwords hidden");
  if (counts.records > 0) {
    lines.put("from, to", format_time(counts.first_time) + ", " + format_time(counts.last_time));
  }
  if (summary.run == 0) {
    lines.put("written", "nothing: there was no record of a log to be read");
  } else {
    lines.put_written(summary.output, summary.run, summary.recording);
  }
  return lines.text();
}

std::string summary_as_json(const ImportSummary& summary) {
  Object out(Poco::JSON_PRESERVE_KEY_ORDER);
  out.set("output", summary.output);
  out.set("run", summary.run);
  out.set("in_part", is_in_part(summary));
  out.set("ended_early", summary.ended_early);
  Array files;
  for (const ImportedFile& file : summary.files) {
    Object one(Poco::JSON_PRESERVE_KEY_ORDER);
    one.set("file", file.name);
    one.set("format", file.format);
    one.set("log_line_prefix", file.prefix);
    one.set("bytes", file.bytes);
    one.set("error", file.error);
    files.add(one);
  }
  out.set("files", files);
  out.set("found", counts_json(summary.counts));
  out.set("left_out", places_json(summary.counts.left_out));
  out.set("unreadable", places_json(summary.counts.unreadable));
  out.set("doubtful", places_json(summary.counts.doubtful));
  out.set("unknown_zones", places_json(summary.counts.zones));
  if (summary.counts.records > 0) {
    out.set("first_record_at", format_time(summary.counts.first_time, 9));
    out.set("last_record_at", format_time(summary.counts.last_time, 9));
  }
  Object recording(Poco::JSON_PRESERVE_KEY_ORDER);
  recording.set("events", summary.recording.events);
  recording.set("data_bytes", summary.recording.data_bytes);
  recording.set("stored_bytes", summary.recording.stored_bytes);
  recording.set("segments", summary.recording.segments);
  recording.set("passwords_hidden", summary.recording.passwords_hidden + summary.counts.passwords_in_errors);
  out.set("recording", recording);
  return text_of(out);
}

}  // namespace understudy::recorder
