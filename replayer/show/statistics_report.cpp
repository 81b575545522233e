// RecordingStatistics for a terminal, and as JSON.
#include <Poco/JSON/Array.h>

#include <cmath>
#include <cstdio>

#include "formats/command.h"
#include "formats/wire/message_types.h"
#include "replayer/counted.h"
#include "replayer/message_json.h"
#include "replayer/recorded_names.h"
#include "replayer/recording_lookup.h"
#include "replayer/show/recording_statistics.h"
#include "replayer/text_width.h"

namespace understudy::replayer {
namespace {

using Poco::JSON::Object;

constexpr Direction kDirections[] = {Direction::kFromClient, Direction::kFromServer};

std::string one_decimal(double value) {
  char text[48];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

// ": Query 12, Parse 3", by name; nothing of nothing.
std::string message_list(const MessageCounts& counts, Direction direction) {
  std::string out;
  for (int type = 0; type < 256; ++type) {
    const std::uint64_t count = counts.of(direction, static_cast<char>(type));
    if (count == 0) continue;
    out += (out.empty() ? ": " : ", ") + std::string(wire::message_name(direction, static_cast<char>(type))) +
           " " + std::to_string(count);
  }
  return out;
}

Object message_json(const MessageCounts& counts, Direction direction) {
  Object out = json_object();
  std::uint64_t unknown = 0;
  for (int type = 0; type < 256; ++type) {
    const std::uint64_t count = counts.of(direction, static_cast<char>(type));
    if (count == 0) continue;
    const char letter = static_cast<char>(type);
    if (wire::is_message_type(direction, letter)) {
      out.set(std::string(wire::message_name(direction, letter)), count);
    } else {
      unknown += count;
    }
  }
  if (unknown > 0) out.set("unknown", unknown);
  return out;
}

// Lines of a name and what it is, wrapped.
class Lines {
 public:
  Lines(Output& out, std::size_t columns) : out_(out), columns_(columns) {}
  void put(const std::string& name, const std::string& value) const {
    std::string line = "  " + name;
    if (line.size() < kNameColumns) line.append(kNameColumns - line.size(), ' ');
    out_.line(wrapped(line + "  " + value, columns_, kNameColumns + 2));
  }

 private:
  static constexpr std::size_t kNameColumns = 26;
  Output& out_;
  std::size_t columns_;
};

std::string sessions_text(const RecordingStatistics& statistics) {
  std::string out = std::to_string(statistics.sessions.size());
  if (statistics.sessions_continuing > 0)
    out += ", " + std::to_string(statistics.sessions_continuing) + " of them open before it began";
  const std::uint64_t open = statistics.sessions.size() - statistics.sessions_closed;
  if (open > 0) out += ", " + std::to_string(open) + " without an end in it";
  return out;
}

void print_missing(const RecordingStatistics& statistics, const Lines& lines) {
  for (const auto& [reason, missing] : statistics.missing) {
    const std::string name(gap_reason_name(reason));
    if (missing.gaps > 0) {
      lines.put("gaps, " + name, counted(missing.gap_sessions.size(), "session") + ", " +
                                     counted(missing.gap_events, "event") + ", " +
                                     format_size(missing.gap_bytes) + " (" +
                                     counted(missing.gaps, "gap event") + ")");
    }
    if (missing.losses > 0) {
      lines.put("lost, " + name, counted(missing.loss_sessions, "session") + ", " +
                                     counted(missing.loss_events, "event") + ", " +
                                     format_size(missing.loss_bytes) + " (" +
                                     counted(missing.losses, "loss record") + ")");
    }
  }
  // What a recorder leaves out it writes down by the time it closes a segment.
  if (statistics.missing.empty()) {
    lines.put("left out by the recorder",
              statistics.segments_unclean == 0
                  ? "nothing"
                  : "not known: " + counted(statistics.segments_unclean, "segment") +
                        (statistics.segments_unclean == 1 ? " was" : " were") + " not closed");
  }
  if (statistics.chunks_damaged > 0) lines.put("damaged chunks", std::to_string(statistics.chunks_damaged));
  if (statistics.segments_unclean > 0) {
    lines.put("unclean segments",
              std::to_string(statistics.segments_unclean) + " (not closed by their writer; see verify)");
  }
}

Object missing_json(const RecordingStatistics::Missing& missing) {
  Object out = json_object();
  out.set("gap_sessions", missing.gap_sessions.size());
  out.set("gap_events_recorded", missing.gaps);
  out.set("gap_events", missing.gap_events);
  out.set("gap_bytes", missing.gap_bytes);
  out.set("loss_records", missing.losses);
  out.set("loss_sessions", missing.loss_sessions);
  out.set("loss_events", missing.loss_events);
  out.set("loss_bytes", missing.loss_bytes);
  return out;
}

// Before its header is written a segment has no id, and nothing in it.
std::string title_of(const RecordingStatistics& statistics, const Recording& recording) {
  if (!recording.id().empty()) return "Recording " + recording.id();
  return statistics.chunks == 0 ? "Recording that was only just begun"
                                : "Recording whose id is not known: its header is damaged";
}

}  // namespace

void print_statistics(const RecordingStatistics& statistics, const Recording& recording, std::size_t columns,
                      Output& out) {
  const TimeNs span = time_between(statistics.first_time, statistics.last_time);
  const Lines lines(out, columns);
  out.line(title_of(statistics, recording));
  lines.put("time", statistics.chunks == 0
                        ? "nothing recorded"
                        : format_time(statistics.first_time, 3) + " to " +
                              format_time(statistics.last_time, 3) + " (" + format_duration(span) + ")");
  lines.put("sessions", sessions_text(statistics));
  lines.put("requests",
            std::to_string(statistics.requests) + ", answered with " + counted(statistics.errors, "error"));
  for (const Direction direction : kDirections) {
    const bool client = direction == Direction::kFromClient;
    lines.put(client ? "from clients" : "from servers",
              format_size(client ? statistics.client_bytes : statistics.server_bytes) + " in " +
                  counted(statistics.messages.total(direction), "message") +
                  message_list(statistics.messages, direction));
  }
  if (statistics.bytes_not_read > 0) {
    lines.put("not read as messages", format_size(statistics.bytes_not_read) +
                                          ", behind gaps or damage, or before a session could be joined: "
                                          "requests, errors and messages in it are not counted");
  }
  lines.put("events", std::to_string(statistics.events) + " in " + counted(statistics.chunks, "chunk"));
  lines.put("on disk", format_size(statistics.file_bytes) + " in " + counted(statistics.segments, "segment") +
                           " of " + counted(statistics.runs, "run"));
  if (statistics.compression_ratio() > 0)
    lines.put("compression", one_decimal(statistics.compression_ratio()) + " recorded bytes for one on disk");
  print_missing(statistics, lines);
}

void print_statistics_json(const RecordingStatistics& statistics, const Recording& recording, Output& out) {
  Object object = json_object();
  object.set("recording", json_text(recording.path()));
  object.set("id", json_text(recording.id()));
  if (statistics.chunks > 0) {
    object.set("from", format_time(statistics.first_time, 9));
    object.set("to", format_time(statistics.last_time, 9));
  }
  object.set("span_ns", time_between(statistics.first_time, statistics.last_time));
  const std::pair<const char*, std::uint64_t> counts[] = {
      {"sessions", statistics.sessions.size()},
      {"sessions_continuing", statistics.sessions_continuing},
      {"sessions_closed", statistics.sessions_closed},
      {"requests", statistics.requests},
      {"errors", statistics.errors},
      {"bytes_not_read", statistics.bytes_not_read},
      {"client_bytes", statistics.client_bytes},
      {"server_bytes", statistics.server_bytes},
      {"client_messages", statistics.messages.total(Direction::kFromClient)},
      {"server_messages", statistics.messages.total(Direction::kFromServer)},
      {"events", statistics.events},
      {"runs", statistics.runs},
      {"segments", statistics.segments},
      {"segments_unclean", statistics.segments_unclean},
      {"chunks", statistics.chunks},
      {"chunks_damaged", statistics.chunks_damaged},
      {"file_bytes", statistics.file_bytes},
  };
  for (const auto& [key, value] : counts) object.set(key, value);
  object.set("compression_ratio", std::round(statistics.compression_ratio() * 1000) / 1000);
  Object messages = json_object();
  for (const Direction direction : kDirections)
    messages.set(std::string(direction_name(direction)), message_json(statistics.messages, direction));
  object.set("messages", messages);
  Object kinds = json_object();
  for (std::size_t kind = 0; kind < statistics.events_by_kind.size(); ++kind) {
    if (statistics.events_by_kind[kind] > 0)
      kinds.set(std::string(event_name(static_cast<EventKind>(kind))), statistics.events_by_kind[kind]);
  }
  object.set("events_by_kind", kinds);
  Object missing = json_object();
  for (const auto& [reason, one] : statistics.missing)
    missing.set(std::string(gap_reason_name(reason)), missing_json(one));
  object.set("missing", missing);
  out.line(to_line(object));
}

}  // namespace understudy::replayer
