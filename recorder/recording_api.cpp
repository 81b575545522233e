#include "recorder/recording_api.h"

#include <Poco/JSON/Object.h>

#include <sstream>

#include "formats/command.h"
#include "proxy/admin_json.h"

namespace understudy::recorder {
namespace {

using Poco::JSON::Object;
using proxy::AdminEndpoint;
using proxy::AdminReply;

Object object() { return Object(Poco::JSON_PRESERVE_KEY_ORDER); }

std::string text_of(const Object& json) {
  std::ostringstream text;
  json.stringify(text);
  text << '\n';
  return text.str();
}

double seconds(TimeNs time) { return static_cast<double>(time) / 1e9; }

AdminReply refused(const RecordingControl::Refusal& refusal) {
  return {refusal.bad ? 400 : 409, proxy::error_json(refusal.why)};
}

AdminReply bad(const std::string& why) { return {400, proxy::error_json(why)}; }

Object status_json(const RecordingStatus& status) {
  Object json = object();
  json.set("name", status.name);
  json.set("directory", proxy::clean(status.directory.string()));
  json.set("id", status.id);
  json.set("run", status.run);
  json.set("since", format_time(status.since));
  if (status.ended_at != 0) {
    json.set("ended", format_time(status.ended_at));
    json.set("ended_by", status.ended_by);
    json.set("whole", status.whole);
  }
  if (status.duration > 0) json.set("duration", seconds(status.duration));
  if (status.bytes > 0) json.set("max_size", status.bytes);
  json.set("filter", proxy::clean(status.filter));
  const Statistics& counted = status.statistics;
  json.set("sessions", counted.sessions);
  json.set("sessions_filtered", status.filtered);
  json.set("events", counted.events);
  json.set("bytes", counted.data_bytes);
  json.set("stored_bytes", counted.stored_bytes);
  json.set("segments", counted.segments);
  json.set("segments_expired", counted.segments_expired);
  json.set("expired_bytes", counted.expired_bytes);
  json.set("sessions_shed", counted.sessions_shed);
  json.set("events_shed", counted.events_shed);
  json.set("events_lost", counted.events_lost);
  json.set("disk_errors", counted.disk_errors);
  json.set("disk_failing", counted.disk_failing);
  Object open = object();
  open.set("joined", status.joined);
  open.set("waiting", status.waiting);
  open.set("ended_waiting", status.left);
  open.set("filtered", status.passed_over);
  open.set("state_not_movable", status.pinned);
  open.set("state_changed_unseen", status.unseen);
  open.set("state_not_tracked", status.untracked);
  json.set("already_open", open);
  return json;
}

AdminReply start(RecordingControl& control, const std::string& target) {
  RecordingRequest request;
  const std::string wrong = parse_recording_request(target, request);
  if (!wrong.empty()) return bad(wrong);
  if (const auto refusal = control.start(std::move(request))) return refused(*refusal);
  return {200, recording_json(control.status())};
}

AdminReply mark(RecordingControl& control, const std::string& target) {
  std::string text;
  if (!take_parameter(target, "text", text)) return bad("expected ?text= and what the mark says");
  if (const auto refusal = control.mark(text)) return refused(*refusal);
  Object json = object();
  json.set("marked", true);
  return {200, text_of(json)};
}

AdminReply save(RecordingControl& control, const std::string& target) {
  std::string name;
  std::string last;
  const bool fits = take_parameter(target, "name", name) && take_parameter(target, "last", last);
  const auto duration = last.empty() ? std::optional<TimeNs>(0) : parse_duration(last);
  if (!fits || !duration || *duration < 0)
    return bad("expected ?name= and last= with a duration such as 10min");
  RecordingControl::Saved saved;
  if (const auto refusal = control.save(name, *duration, saved)) return refused(*refusal);
  Object json = object();
  json.set("saved", proxy::clean(saved.directory.string()));
  json.set("segments", saved.segments);
  json.set("expired_meanwhile", saved.expired);
  return {200, text_of(json)};
}

}  // namespace

std::string recording_json(const std::optional<RecordingStatus>& status) {
  Object json = object();
  json.set("recording", status && status->ended_at == 0);
  if (status) json.set(status->ended_at == 0 ? "now" : "last", status_json(*status));
  return text_of(json);
}

AdminReply answer_recording(RecordingControl& control, AdminEndpoint endpoint,
                            const proxy::AdminRequest& request) {
  switch (endpoint) {
    case AdminEndpoint::kRecordStart:
      return start(control, request.target);
    case AdminEndpoint::kRecordStop:
      if (const auto refusal = control.stop()) return refused(*refusal);
      return {200, recording_json(control.status())};
    case AdminEndpoint::kRecordMark:
      return mark(control, request.target);
    case AdminEndpoint::kRecordSave:
      return save(control, request.target);
    default:
      return {200, recording_json(control.status())};
  }
}

}  // namespace understudy::recorder
