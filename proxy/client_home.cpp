// ClientSession: the backend it belongs at. The primary; or, in mode replica, one of the replicas that may be
// read from, and that one for as long as it stays a replica. One that falls too far behind, or off the
// primary's timeline, is left at the next request outside of a transaction; one that is down, at once.
#include "proxy/client_session.h"
#include "proxy/log.h"

namespace understudy::proxy {

std::optional<std::size_t> ClientSession::home(const Topology& topology) const {
  if (!replicas_only()) return topology.primary;
  if (home_ < 0) return std::nullopt;
  return static_cast<std::size_t>(home_);
}

// Whether there is one now.
bool ClientSession::find_home(const Topology& topology) {
  if (!replicas_only()) return topology.primary.has_value();
  ReplicaBoard& board = context_.shared.replicas;
  if (home_ >= 0 && board.readable(static_cast<std::size_t>(home_))) return true;
  leave_home();
  const auto chosen = board.choose();
  if (!chosen) return false;
  home_ = static_cast<std::int32_t>(*chosen);
  board.enter(*chosen);
  return true;
}

void ClientSession::leave_home() {
  if (home_ >= 0) context_.shared.replicas.leave(static_cast<std::size_t>(home_));
  home_ = -1;
}

// The server that the session has, or connects to, is not what it should be any more.
bool ClientSession::is_elsewhere(const Topology& topology) const {
  if (!replicas_only()) {
    return topology.primary && topology.backends[*topology.primary].address != server_.backend();
  }
  if (home_ < 0) return false;
  const BackendState& backend = topology.backends[static_cast<std::size_t>(home_)];
  return backend.role == BackendRole::kPrimary || backend.down();
}

std::string ClientSession::why_not_home(const Topology& topology) const {
  const BackendState& backend = topology.backends[static_cast<std::size_t>(home_)];
  return backend.down() ? "it is down: " + backend.error : "it is a primary now";
}

// A pool is of one server where sessions are at several.
std::string ClientSession::home_key(const std::string& pool) const {
  if (!replicas_only() || home_ < 0) return pool;
  return replica_key(pool, context_.shared.topology.get()->backends[static_cast<std::size_t>(home_)].address);
}

// In mode replica: the client's bytes.
void ClientSession::route_to_home(ByteView bytes) {
  Split& split = *failover_->split;
  const bool readable = home_ >= 0 && context_.shared.replicas.readable(static_cast<std::size_t>(home_));
  if (readable || !failover_->continuity.quiet() || tracker_.terminate_seen()) {
    return pass_to_server(bytes, false);
  }
  append_bytes(split.waiting, bytes);
  lose_server("it is too far behind the primary, or not on its timeline");
}

// Begins to reach a server for a client that logs in, or begins anew.
void ClientSession::begin_server() {
  login_->own && login_->own->let_in && !pooled_ ? ask_for_server() : start_server();
}

}  // namespace understudy::proxy
