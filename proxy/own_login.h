// What a login needs when the proxy itself authenticates the client and logs in at the server, and what stays
// of it afterwards. Owned by a ClientSession.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "proxy/access_policy.h"
#include "proxy/client_authentication.h"
#include "proxy/observer.h"
#include "proxy/server_pool.h"
#include "proxy/user_directory.h"

namespace understudy::proxy {

// A lookup under way, which the session that asked may not live to see the end of.
struct PendingLookup {
  std::atomic<bool> done{false};
  UserLookup result;  // written before `done`
};

struct OwnLogin {
  std::shared_ptr<const AccessPolicy> policy;
  AuthenticationMethod method = AuthenticationMethod::kScram;
  // The database is asked for the user: set by its thread, until then authentication is null.
  std::shared_ptr<PendingLookup> lookup;
  std::unique_ptr<ClientAuthentication> authentication;
  bool let_in = false;
  TimeNs refuse_at = 0;                       // a failed login is told only then, so that guessing is slow
  std::unique_ptr<ServerLogin> server_login;  // at a server that was just connected
  ServerPool::Ticket ticket = 0;
  TimeNs waiting_since = 0;  // for a server of a full pool
};

// Servers are interchangeable for clients that begin alike.
[[nodiscard]] std::string pool_key(const SessionDescriptor& descriptor);

// The session's place in a pool, from the moment it asks for a server.
struct PoolMembership {
  std::string key;
  bool acquired = false;  // has a server, or leave to connect to one
  bool reusable = true;   // a replication session's server is not
  bool told = false;      // that its client has left, where it waited for more of it
  std::uint64_t epoch = 0;
  ServerFacts facts;
  TimeNs connected_at = 0;
};

}  // namespace understudy::proxy
