// What a session keeps that has a replica for its reads beside its primary (mode split). Owned by a
// ClientSession, from its login on.
#pragma once

#include <optional>
#include <string>

#include "proxy/cancel_registry.h"
#include "proxy/continuity.h"
#include "proxy/server_pool.h"

namespace understudy::proxy {

// A server that the session is not at: unwatched, with nothing outstanding.
struct ParkedServer {
  PooledServer server;
  Continuity::Copy copy;
  CancelTarget cancel;
};

// The key of a replica's pool, given that of the clients who share it.
[[nodiscard]] inline std::string replica_key(const std::string& pool, const Address& backend) {
  return pool + '\0' + '@' + backend.to_string();
}

// In mode replica only `waiting` is used.
struct Split {
  // Where the session is: at the primary, with perhaps a replica parked; or at a replica, with the primary
  // parked, unless that was lost meanwhile.
  std::optional<ParkedServer> primary;
  std::optional<ParkedServer> replica;
  // Of the replica, parked or not.
  std::string key;  // its pool
  std::size_t backend = 0;
  bool entered = false;  // counted at the board
  std::uint64_t epoch = 0;
  ServerFacts facts;
  TimeNs connected_at = 0;

  ByteBuffer waiting;        // of the client's, until the replica has answered or the primary is there
  TimeNs not_before = 0;     // reads stay at the primary until then: a replica could not answer
  TimeNs connect_after = 0;  // when another attempt to reach a replica may begin
  TimeNs asked_at = 0;       // for the primary's position
  TimeNs behind_since = 0;   // the replica has not been far enough for a read since then; 0: it was
  bool returning = false;    // the move under way is back to the primary that is there
};

}  // namespace understudy::proxy
