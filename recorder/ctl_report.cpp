#include "recorder/ctl_report.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "formats/command.h"
#include "recorder/summary_lines.h"

namespace understudy::recorder {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr std::size_t kFailoversShown = 5;

Object::Ptr parse(const CtlAnswer& answer) {
  try {
    return Poco::JSON::Parser().parse(answer.body).extract<Object::Ptr>();
  } catch (const Poco::Exception& error) {
    throw std::runtime_error("this is not the answer of an admin port: " + error.displayText());
  }
}

Array::Ptr list(const Object::Ptr& json, const char* name) {
  const Array::Ptr found = json->getArray(name);
  if (!found) throw std::runtime_error(std::string("this is not the answer of an admin port: no ") + name);
  return found;
}

// Names come from clients: nothing of them steers a terminal.
std::string printable(std::string line) {
  for (char& c : line) c = (c >= 0 && c < ' ') || c == 0x7f ? '?' : c;
  return line;
}
Object::Ptr element(const Array::Ptr& array, std::size_t index) {
  const Object::Ptr found = array->getObject(static_cast<unsigned>(index));
  if (!found) throw std::runtime_error("this is not the answer of an admin port: no object in a list");
  return found;
}

std::string text(const Object::Ptr& json, const char* name) {
  return printable(json->optValue<std::string>(name, ""));
}
bool flag(const Object::Ptr& json, const char* name) { return json->optValue<bool>(name, false); }
std::uint64_t number(const Object::Ptr& json, const char* name) {
  return json->optValue<std::uint64_t>(name, 0);
}

std::string reason(const CtlAnswer& ready) { return printable(ready.body.substr(0, ready.body.find('\n'))); }

std::map<std::string, std::uint64_t> by_state(const Array::Ptr& sessions) {
  std::map<std::string, std::uint64_t> counts;
  for (unsigned index = 0; index < sessions->size(); ++index) {
    const Object::Ptr session = element(sessions, index);
    std::string state = text(session, "state");
    if (flag(session, "waiting")) {
      state = "waiting for a resume";
    } else if (flag(session, "moving")) {
      state = "moving";
    } else if (state == "READY" && flag(session, "in_transaction")) {
      state = "READY in a transaction";
    }
    ++counts[state];
  }
  return counts;
}

// Columns as wide as their widest cell; the last is not padded.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], row[column].size());
    }
  }
  std::string result;
  for (const auto& row : rows) {
    std::string line = "  ";
    for (std::size_t column = 0; column < row.size(); ++column) {
      line += row[column] + std::string(widths[column] - row[column].size() + 2, ' ');
    }
    result += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return result;
}

std::string shadow_text(const Object::Ptr& backends) {
  const Object::Ptr shadow = backends->getObject("shadow");
  if (!shadow) return {};
  return "shadow: " + text(shadow, "backend") + ", " + counted(number(shadow, "compared"), "read") +
         " compared: " + std::to_string(number(shadow, "equal")) + " equal, " +
         std::to_string(number(shadow, "different")) + " different; " +
         std::to_string(number(shadow, "shed")) + " not compared\n";
}

std::string backends_text(const Array::Ptr& backends) {
  std::vector<std::vector<std::string>> rows;
  for (unsigned index = 0; index < backends->size(); ++index) {
    const Object::Ptr backend = element(backends, index);
    std::string role = flag(backend, "primary") ? "primary" : text(backend, "role");
    if (flag(backend, "fenced")) role = "fenced";
    std::string rest = text(backend, "error");
    if (flag(backend, "up") && text(backend, "role") == "replica") {
      rest = counted(number(backend, "lag_bytes"), "byte") + " behind";
      if (backend->has("reads")) rest += ", " + counted(number(backend, "reads"), "read");
    }
    const std::uint64_t timeline = number(backend, "timeline");
    rows.push_back({text(backend, "backend"), flag(backend, "up") ? "up" : "down", role,
                    timeline == 0 ? "" : "timeline " + std::to_string(timeline), rest});
  }
  return "backends\n" + table(rows);
}

std::string pools_text(const Object::Ptr& pools) {
  const std::string sum = counted(number(pools, "servers"), "server") + ", " +
                          std::to_string(number(pools, "idle")) + " idle, " +
                          counted(number(pools, "waiting"), "client") + " waiting\n";
  std::vector<std::vector<std::string>> rows;
  const Array::Ptr each = list(pools, "pools");
  for (unsigned index = 0; index < each->size(); ++index) {
    const Object::Ptr pool = element(each, index);
    rows.push_back({text(pool, "user") + "@" + text(pool, "database"),
                    counted(number(pool, "servers"), "server"),
                    std::to_string(number(pool, "idle")) + " idle",
                    std::to_string(number(pool, "waiting")) + " waiting"});
  }
  return "pools: " + sum + table(rows);
}

std::string sessions_text(const Array::Ptr& sessions) {
  std::string line = "sessions: " + std::to_string(sessions->size());
  const char* separator = " (";
  for (const auto& [state, count] : by_state(sessions)) {
    line += separator + std::to_string(count) + " " + state;
    separator = ", ";
  }
  return line + (sessions->size() > 0 ? ")\n" : "\n");
}

// `what`: "failovers" or "restarts".
std::string failovers_text(const std::string& what, const Array::Ptr& failovers) {
  if (failovers->size() == 0) return what + ": none\n";
  std::vector<std::vector<std::string>> rows;
  const std::size_t hidden = failovers->size() > kFailoversShown ? failovers->size() - kFailoversShown : 0;
  for (std::size_t index = hidden; index < failovers->size(); ++index) {
    const Object::Ptr event = element(failovers, index);
    rows.push_back({text(event, "time"), text(event, "from") + " -> " + text(event, "to"),
                    "timeline " + std::to_string(number(event, "timeline")),
                    counted(number(event, "sessions_moved"), "session") + " moved"});
  }
  return what + ": " + std::to_string(failovers->size()) + "\n" + table(rows);
}

// ", 3 sessions shed"; nothing of nothing.
std::string more(const Object::Ptr& json, const char* name, const char* what, const char* became) {
  const std::uint64_t count = number(json, name);
  return count == 0 ? std::string() : ", " + counted(count, what) + " " + became;
}

std::string more(const Object::Ptr& json, const char* name, const char* became) {
  const std::uint64_t count = number(json, name);
  return count == 0 ? std::string() : ", " + std::to_string(count) + " " + became;
}

std::string recorded_text(const Object::Ptr& told) {
  std::string line = counted(number(told, "sessions"), "session") + ", " +
                     counted(number(told, "events"), "event") + ", " +
                     format_size(number(told, "stored_bytes")) + " on disk";
  line += more(told, "sessions_filtered", "session", "filtered out");
  line += more(told, "segments_expired", "segment", "expired");
  line += more(told, "sessions_shed", "session", "shed");
  line += more(told, "events_lost", "event", "lost");
  if (flag(told, "disk_failing")) line += "; the disk refuses at present";
  std::string result = "  " + line + "\n";
  const Object::Ptr open = told->getObject("already_open");
  if (!open) return result;
  std::string taken = std::to_string(number(open, "joined")) + " taken in";
  taken += more(open, "waiting", "wait for an idle moment");
  taken += more(open, "ended_waiting", "ended before one");
  taken += more(open, "filtered", "filtered out");
  taken += more(open, "state_not_movable",
                "not taken in: temporary tables, locks, cursors, or settings that nobody can tell");
  taken += more(open, "state_changed_unseen",
                "not taken in: DO, CALL or a text too long to be parsed may have changed their state");
  taken += more(open, "state_not_tracked", "not taken in: their state is not followed");
  return result + "  of sessions already open: " + taken + "\n";
}

std::string recording_text(const Object::Ptr& told) {
  std::string result = "recording into " + text(told, "directory") + " since " + text(told, "since") + "\n";
  const std::string filter = text(told, "filter");
  if (!filter.empty()) result += "  only: " + filter + "\n";
  std::string bounds;
  if (told->has("duration")) {
    bounds = format_duration(static_cast<TimeNs>(told->optValue<double>("duration", 0) * 1e9));
  }
  if (told->has("max_size")) bounds += (bounds.empty() ? "" : " or ") + format_size(number(told, "max_size"));
  if (!bounds.empty()) result += "  ends after " + bounds + "\n";
  return result + recorded_text(told);
}

std::string ended_recording_text(const Object::Ptr& told) {
  return "nothing is being recorded; last, into " + text(told, "directory") + " from " + text(told, "since") +
         " to " + text(told, "ended") + " (" + text(told, "ended_by") +
         (flag(told, "whole") ? ")\n" : "; not all of it is on record)\n") + recorded_text(told);
}

}  // namespace

std::string status_as_text(const CtlStatus& status) {
  const Object::Ptr pools = parse(status.pools);
  std::string result = reason(status.ready) + "\n";
  const Object::Ptr backends = parse(status.backends);
  result += backends_text(list(backends, "backends")) + shadow_text(backends);
  result += pools_text(pools);
  result += sessions_text(list(parse(status.sessions), "sessions"));
  const Object::Ptr failovers = parse(status.failovers);
  return result + failovers_text("failovers", list(failovers, "failovers")) +
         failovers_text("restarts", list(failovers, "restarts"));
}

std::string status_as_json(const CtlStatus& status) {
  const Array::Ptr each = list(parse(status.sessions), "sessions");
  Object states(Poco::JSON_PRESERVE_KEY_ORDER);
  for (const auto& [state, count] : by_state(each)) states.set(state, count);
  Object sessions(Poco::JSON_PRESERVE_KEY_ORDER);
  sessions.set("total", each->size());
  sessions.set("by_state", states);
  Object json(Poco::JSON_PRESERVE_KEY_ORDER);
  json.set("ready", status.ready.status == 200);
  json.set("reason", reason(status.ready));
  const Object::Ptr backends = parse(status.backends);
  if (backends->has("mode")) json.set("mode", text(backends, "mode"));
  json.set("backends", list(backends, "backends"));
  if (const Object::Ptr shadow = backends->getObject("shadow")) json.set("shadow", shadow);
  json.set("pools", parse(status.pools));
  json.set("sessions", sessions);
  const Object::Ptr failovers = parse(status.failovers);
  json.set("failovers", list(failovers, "failovers"));
  json.set("restarts", list(failovers, "restarts"));
  std::ostringstream out;
  json.stringify(out);
  return out.str() + "\n";
}

std::string change_as_text(const std::string& command, const CtlAnswer& answer) {
  const Object::Ptr json = parse(answer);
  if (command == "resume") return "resumed\n";
  if (command == "move") {
    char waited[32];
    std::snprintf(waited, sizeof waited, "%.2f", json->optValue<double>("paused_seconds", 0));
    return "moved from " + text(json, "from") + " to " + text(json, "to") + " (timeline " +
           std::to_string(number(json, "timeline")) + "); sessions waited " + waited + " s\n";
  }
  if (command == "pause") {
    if (flag(json, "quiet")) return "paused\n";
    const std::uint64_t busy = number(json, "busy");
    return "paused, but " + counted(busy, "session") + (busy == 1 ? " is" : " are") + " not quiet yet\n";
  }
  std::string waiting;
  const Array::Ptr keys = list(json, "restart_needed");
  for (unsigned index = 0; index < keys->size(); ++index) {
    waiting += (waiting.empty() ? "" : ", ") + keys->getElement<std::string>(index);
  }
  return waiting.empty() ? "reloaded\n" : "reloaded; these wait for a restart: " + waiting + "\n";
}

std::string record_as_text(const std::string& what, const CtlAnswer& answer) {
  const Object::Ptr json = parse(answer);
  if (what == "mark") return "marked\n";
  if (what == "save") {
    const std::uint64_t gone = number(json, "expired_meanwhile");
    std::string told = "saved " + counted(number(json, "segments"), "segment") + " in " + text(json, "saved");
    if (gone > 0)
      told += "; " + counted(gone, "older segment") + " expired before " + (gone == 1 ? "it" : "they") +
              " could be copied";
    return told + "\n";
  }
  const bool now = flag(json, "recording");
  const Object::Ptr told = json->getObject(now ? "now" : "last");
  if (!told) return "nothing is being recorded\n";
  return now ? recording_text(told) : ended_recording_text(told);
}

std::string error_of(const CtlAnswer& answer) {
  std::string why;
  try {
    why = text(parse(answer), "error");
  } catch (const std::runtime_error&) {
    why = "this is not the answer of an admin port";
  }
  return why + " (HTTP status " + std::to_string(answer.status) + ")";
}

}  // namespace understudy::recorder
