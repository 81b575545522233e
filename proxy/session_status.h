// What a session says of itself to whoever watches the proxy. Values.
#pragma once

#include <cstdint>
#include <string>

#include "formats/transcript/event.h"
#include "proxy/session_state.h"

namespace understudy::proxy {

// As the client's start-up packet had them; kept by sessions when there is an admin port to show them.
struct SessionNames {
  std::string user;
  std::string database;
  std::string application_name;
};

struct SessionStatus {
  std::uint32_t number = 0;
  unsigned worker = 0;
  SessionNames names;
  std::string peer;
  std::string backend;  // its server's address; empty while it has none
  SessionState state = SessionState::kStartup;
  bool in_transaction = false;  // as the server last said
  bool moving = false;          // its server was lost or it has none yet, and one is sought
  bool held = false;            // waits until the proxy is resumed
  // When the request it is waiting for began, else when anything was last heard of either side.
  TimeNs since = 0;
};

// A worker's sessions, counted.
struct SessionTally {
  std::uint64_t busy = 0;  // in a request or a transaction
  std::uint64_t held = 0;
};

}  // namespace understudy::proxy
