#include "proxy/admin_json.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/TextConverter.h>
#include <Poco/UTF8Encoding.h>

#include <sstream>

#include "formats/command.h"

namespace understudy::proxy {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

Object object() { return Object(Poco::JSON_PRESERVE_KEY_ORDER); }

std::string text_of(const Object& json) {
  std::ostringstream text;
  json.stringify(text);
  text << '\n';
  return text.str();
}

std::string listed(const char* name, const Array& list) {
  Object json = object();
  json.set(name, list);
  return text_of(json);
}

double seconds(TimeNs time) { return static_cast<double>(time) / 1e9; }

Object shadow_json(const ModeReport& mode) {
  Object json = object();
  json.set("backend", clean(mode.shadow));
  json.set("compared", mode.compared);
  json.set("equal", mode.equal);
  json.set("different", mode.different);
  json.set("shed", mode.shed);
  return json;
}

Object backend_json(const BackendState& backend, bool primary) {
  Object json = object();
  json.set("backend", clean(backend.address.to_string()));
  json.set("up", backend.up);
  json.set("role", std::string(to_string(backend.role)));
  json.set("primary", primary);  // the one that clients are relayed to
  json.set("fenced", backend.fenced);
  json.set("timeline", backend.timeline);
  json.set("lsn", to_string(backend.lsn));
  json.set("lag_bytes", backend.lag_bytes);
  json.set("lag_seconds", seconds(backend.lag));
  json.set("error", clean(backend.error));
  return json;
}

// A pool's key (client_own_login.cpp): database, user and the start-up parameters, with a zero byte between.
Object pool_json(const std::string& key, const ServerPool::Counts& counts) {
  const std::size_t database_end = key.find('\0');
  const std::size_t user_end =
      database_end == std::string::npos ? database_end : key.find('\0', database_end + 1);
  Object json = object();
  json.set("database", clean(key.substr(0, database_end)));
  json.set("user", database_end == std::string::npos
                       ? std::string()
                       : clean(key.substr(database_end + 1, user_end - database_end - 1)));
  json.set("servers", counts.open);
  json.set("idle", counts.idle);
  json.set("waiting", counts.waiting);
  return json;
}

Object session_json(const SessionStatus& session) {
  Object json = object();
  json.set("number", session.number);
  json.set("user", clean(session.names.user));
  json.set("database", clean(session.names.database));
  json.set("application_name", clean(session.names.application_name));
  json.set("peer", clean(session.peer));
  json.set("backend", clean(session.backend));
  json.set("state", std::string(to_string(session.state)));
  json.set("in_transaction", session.in_transaction);
  json.set("since", format_time(session.since));
  json.set("moving", session.moving);
  json.set("waiting", session.held);
  json.set("worker", session.worker);
  return json;
}

}  // namespace

std::string clean(const std::string& text) {
  const Poco::UTF8Encoding utf8;
  Poco::TextConverter converter(utf8, utf8, '?');
  std::string result;
  converter.convert(text, result);
  return result;
}

std::string backends_json(const Topology& topology, const ModeReport& mode) {
  Array list;
  for (std::size_t index = 0; index < topology.backends.size(); ++index) {
    if (topology.backends[index].removed) continue;
    Object backend = backend_json(topology.backends[index], topology.primary == index);
    if (index < mode.reads.size()) backend.set("reads", mode.reads[index]);
    list.add(backend);
  }
  Object json = object();
  json.set("mode", std::string(to_string(mode.mode)));
  json.set("backends", list);
  if (mode.mode == Mode::kShadow) json.set("shadow", shadow_json(mode));
  return text_of(json);
}

std::string pools_json(const PoolList& pools, std::uint64_t held, bool paused) {
  Array list;
  ServerPool::Counts sum;
  for (const auto& [key, counts] : pools) {
    list.add(pool_json(key, counts));
    sum.open += counts.open;
    sum.idle += counts.idle;
    sum.waiting += counts.waiting;
  }
  Object json = object();
  json.set("paused", paused);
  json.set("servers", sum.open);
  json.set("idle", sum.idle);
  json.set("waiting", sum.waiting + held);  // those that wait for a resume have no pool yet
  json.set("pools", list);
  return text_of(json);
}

std::string sessions_json(const std::vector<SessionStatus>& sessions) {
  Array list;
  for (const SessionStatus& session : sessions) list.add(session_json(session));
  return listed("sessions", list);
}

std::string failovers_json(const std::vector<FailoverEvent>& events) {
  Array failovers;
  Array restarts;
  for (const FailoverEvent& event : events) {
    Object json = object();
    json.set("time", format_time(event.at));
    json.set("from", clean(event.from));
    json.set("to", clean(event.to));
    json.set("timeline", event.timeline);
    json.set("without_primary_seconds", seconds(event.without_primary));
    json.set("sessions_moved", event.sessions_moved);
    (event.restart ? restarts : failovers).add(json);
  }
  Object json = object();
  json.set("failovers", failovers);
  json.set("restarts", restarts);
  return text_of(json);
}

std::string error_json(const std::string& error) {
  Object json = object();
  json.set("error", clean(error));
  return text_of(json);
}

std::string paused_json(bool paused, std::uint64_t busy) {
  Object json = object();
  json.set("paused", paused);
  json.set("quiet", paused && busy == 0);
  json.set("busy", busy);
  return text_of(json);
}

std::string moved_json(const MoveResult& result) {
  Object json = object();
  json.set("moved", true);
  json.set("from", clean(result.from));
  json.set("to", clean(result.to));
  json.set("timeline", result.timeline);
  json.set("paused_seconds", seconds(result.paused));
  return text_of(json);
}

std::string reloaded_json(const std::vector<std::string>& restart_needed) {
  Array keys;
  for (const std::string& key : restart_needed) keys.add(key);
  Object json = object();
  json.set("reloaded", true);
  json.set("restart_needed", keys);
  return text_of(json);
}

}  // namespace understudy::proxy
