// What a session keeps so that it can be moved to another server, and what moving it takes. Owned by a
// ClientSession, from its login on, where several backends are configured.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/cancel_registry.h"
#include "proxy/continuity.h"
#include "proxy/event_loop.h"
#include "proxy/scram_crypto.h"
#include "proxy/server_login.h"
#include "proxy/server_pool.h"
#include "proxy/shadow_session.h"
#include "proxy/split.h"

namespace understudy::proxy {

struct Failover {
  Failover(const ContinuityLimits& limits, StatementTraitsCache& traits) : continuity(limits, traits) {}

  Continuity continuity;
  // How to log in elsewhere as this client.
  std::vector<std::pair<std::string, std::string>> startup_parameters;
  std::string user;
  std::string pool;                 // the key of servers it may share
  std::string password;             // secret
  std::optional<ScramKeys> keys;    // secret
  std::uint64_t generation = 0;     // of the topology the server was chosen by
  std::size_t backend = 0;          // its index there
  std::uint32_t timeline = 0;       // the server was on
  std::unique_ptr<Split> split;     // null where replicas are not read
  ShadowSession* shadow = nullptr;  // the worker's; in mode shadow
  TimeNs shadow_connect_after = 0;  // when another attempt to reach it may begin

  // While moving.
  TimeNs lost_at = 0;  // 0: it has its server
  TimeNs connecting_since = 0;
  TimeNs found_at = 0;  // the server it is being made again on
  ServerPool::Ticket ticket = 0;
  bool waiting_in_pool = false;
  std::unique_ptr<ServerLogin> login;
  ByteBuffer login_bytes;
  EventLoop::TimerId retry = 0;
  CancelTarget cancel;     // of the server found: good once the session is as it was
  std::string last_error;  // why the last attempt came to nothing
  ByteBuffer good_bye;     // of the lost server
  unsigned attempts = 0;   // to reach another, since
  unsigned losses = 0;     // since a request was last answered

  // There has been no primary since then, nor has the server said anything; 0: there is one.
  TimeNs unserved_since = 0;
  ByteBuffer unread;  // of the client's: read for a cancel, and as if it were in its socket yet

  // A cancel that came meanwhile, afterwards.
  bool cancelling = false;  // the server is being told
  unsigned cancels_sent = 0;
  EventLoop::TimerId cancel_again = 0;
};

// The settings a login told of.
[[nodiscard]] Continuity::Settings reported_in(ByteView greeting);

// Whether a server's ErrorResponse says that it is there, but not ready for anybody: starting up, shutting
// down, recovering (SQLSTATE 57P01 to 57P03).
[[nodiscard]] inline bool refuses_for_now(ByteView error_message) {
  return as_text(error_message).find(std::string_view("\0C57P0", 6)) != std::string_view::npos;
}

}  // namespace understudy::proxy
