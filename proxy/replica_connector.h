// Connects and logs in to a replica for whoever reads there next: no client waits for it. What comes of it is
// in the replica's pool. Belongs to no client; owned by a worker.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/server_login.h"
#include "proxy/server_session.h"

namespace understudy::proxy {

// How to log in as a client.
struct LoginCredentials {
  std::vector<std::pair<std::string, std::string>> parameters;
  ClientAuthenticator authenticator;
};

class ReplicaConnector final : public Runnable {
 public:
  // `key` names the pool, which gave leave to connect (`epoch`).
  ReplicaConnector(SessionContext& context, std::string key, std::uint64_t epoch,
                   LoginCredentials credentials);
  // Begins; ends itself through the context's owner, the server in the pool or closed.
  void start(const BackendState& backend);
  void run(std::uint32_t client_events, std::uint32_t server_events) override;

 private:
  void begin_login();
  void take_login();
  void fail(const std::string& why);
  void end();

  SessionContext& context_;
  std::string key_;
  std::uint64_t epoch_;
  LoginCredentials credentials_;
  ServerSession server_;
  std::string backend_name_;
  std::unique_ptr<ServerLogin> login_;
  ByteBuffer received_;
  EventLoop::TimerId timeout_ = 0;
  TimeNs began_at_ = 0;
  bool ended_ = false;
};

}  // namespace understudy::proxy
