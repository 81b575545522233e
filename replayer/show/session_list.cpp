#include "replayer/show/session_list.h"

#include <Poco/JSON/Array.h>

#include <optional>

#include "formats/command.h"
#include "replayer/counted.h"
#include "replayer/message_json.h"
#include "replayer/readable.h"
#include "replayer/recorded_names.h"
#include "replayer/recording_lookup.h"
#include "replayer/show/session_survey.h"
#include "replayer/show/text_table.h"

namespace understudy::replayer {
namespace {

using Poco::JSON::Object;

constexpr std::size_t kTextBytes = 1000;
constexpr std::size_t kLostShown = 20;

TimeNs duration_of(const SurveyedSession& session) {
  return session.tally.events() == 0 ? 0
                                     : time_between(session.descriptor.opened_at, session.tally.last_time());
}

std::string how_it_ended(const SurveyedSession& session) {
  if (!session.tally.closed()) return "its end is not on record";
  const CloseDetail& detail = session.tally.close_detail();
  if (detail.reason == CloseReason::kRecordingEnded) return "still open";
  return std::string(close_reason_name(detail.reason)) +
         (detail.text.empty() ? "" : ": " + readable_text(detail.text, kTextBytes));
}

std::string gaps_of(const SessionTally& tally) {
  if (tally.gaps() > 0) return std::to_string(tally.gaps()) + " (" + format_size(tally.gap_bytes()) + ")";
  return tally.has_hole() ? "damaged" : "-";
}

std::vector<std::string> row(const SurveyedSession& session) {
  const auto name = [](const std::string& text) { return readable_text(text, kTextBytes); };
  const SessionDescriptor& descriptor = session.descriptor;
  const SessionTally& tally = session.tally;
  const std::string shadowed = descriptor.attribute("shadow_of");
  return {descriptor.id.to_string(),
          format_time(descriptor.opened_at, 3),
          format_duration(duration_of(session)),
          name(descriptor.user()),
          name(descriptor.database()),
          name(descriptor.parameter("application_name")),
          name(shadowed.empty() ? descriptor.peer : "shadow of " + shadowed),
          std::to_string(tally.requests()),
          std::to_string(tally.errors()),
          format_size(tally.bytes(Direction::kFromClient)),
          format_size(tally.bytes(Direction::kFromServer)),
          gaps_of(tally),
          how_it_ended(session)};
}

Object json(const SurveyedSession& session) {
  const SessionDescriptor& descriptor = session.descriptor;
  const SessionTally& tally = session.tally;
  Object out = json_object();
  out.set("session", descriptor.id.to_string());
  out.set("opened_at", format_time(descriptor.opened_at, 9));
  out.set("continuing", session.continuing);
  if (tally.events() > 0) out.set("last_event_at", format_time(tally.last_time(), 9));
  out.set("duration_ns", duration_of(session));
  out.set("user", json_text(descriptor.user()));
  out.set("database", json_text(descriptor.database()));
  out.set("application", json_text(descriptor.parameter("application_name")));
  add_descriptor(out, descriptor);
  out.set("requests", tally.requests());
  out.set("errors", tally.errors());
  out.set("client_messages", tally.messages(Direction::kFromClient));
  out.set("server_messages", tally.messages(Direction::kFromServer));
  out.set("client_bytes", tally.bytes(Direction::kFromClient));
  out.set("server_bytes", tally.bytes(Direction::kFromServer));
  out.set("gaps", tally.gaps());
  out.set("gap_bytes", tally.gap_bytes());
  out.set("has_hole", tally.has_hole());
  out.set("bytes_not_read", tally.bytes_not_read());
  if (tally.closed()) {
    out.set("closed", std::string(close_reason_name(tally.close_detail().reason)));
    out.set("closed_text", json_text(tally.close_detail().text));
  } else {
    out.set("closed", Poco::Dynamic::Var());
  }
  return out;
}

void tell_lost(const std::vector<SessionId>& lost) {
  if (lost.empty()) return;
  std::string ids;
  for (std::size_t i = 0; i < lost.size() && i < kLostShown; ++i) ids += " " + lost[i].to_string();
  std::fprintf(stderr, "understudy show: %s whose opening is lost to damage %s not listed:%s%s\n",
               counted(lost.size(), "session").c_str(), lost.size() == 1 ? "is" : "are", ids.c_str(),
               lost.size() > kLostShown ? " ..." : "");
}

void tell_not_read(std::uint64_t sessions, std::uint64_t bytes) {
  if (sessions == 0) return;
  std::fprintf(stderr,
               "understudy show: %s of %s could not be read as messages (behind gaps or damage, or before a "
               "session could be joined): REQUESTS and ERRORS do not count what is in it\n",
               format_size(bytes).c_str(), counted(sessions, "session").c_str());
}

void list_as_json(const Recording& recording, const SessionListOptions& options, Output& out) {
  out.write("{\"sessions\":[");
  std::uint64_t count = 0;
  const std::vector<SessionId> lost =
      SessionSurvey(recording, options.filter, [&](const SurveyedSession& session) {
        out.write(count++ > 0 ? ",\n" : "\n");
        out.write(to_line(json(session)));
        return count < options.limit;
      }).run();
  Poco::JSON::Array ids;
  for (const SessionId id : lost) ids.add(id.to_string());
  Object rest = json_object();
  rest.set("lost_openings", ids);
  out.write("\n]," + to_line(rest).substr(1) + "\n");
}

void list_as_table(const Recording& recording, const SessionListOptions& options, Output& out) {
  TextTable table(out,
                  {{"SESSION", true},
                   {"OPENED"},
                   {"DURATION", true},
                   {"USER", false, 8},
                   {"DATABASE", false, 8},
                   {"APPLICATION", false, 11},
                   {"CLIENT", false, 15},
                   {"REQUESTS", true},
                   {"ERRORS", true},
                   {"SENT", true},
                   {"RECEIVED", true},
                   {"GAPS", true},
                   {"END", false, 15}},
                  options.columns);
  std::uint64_t count = 0;
  std::uint64_t not_read = 0;
  std::uint64_t bytes_not_read = 0;
  const std::vector<SessionId> lost =
      SessionSurvey(recording, options.filter, [&](const SurveyedSession& session) {
        table.add(row(session));
        not_read += session.tally.bytes_not_read() > 0 ? 1 : 0;
        bytes_not_read += session.tally.bytes_not_read();
        return ++count < options.limit;
      }).run();
  table.finish();
  out.finish();
  tell_not_read(not_read, bytes_not_read);
  tell_lost(lost);
}

}  // namespace

void list_sessions(const Recording& recording, const SessionListOptions& options, Output& out) {
  if (options.json) return list_as_json(recording, options, out);
  list_as_table(recording, options, out);
}

}  // namespace understudy::replayer
