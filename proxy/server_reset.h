// The state RESET: a server session whose client left is made as new (DISCARD ALL), then given back to its
// pool. Belongs to no client; owned by a worker. (PostgreSQL documentation, "DISCARD".)
#pragma once

#include <string>

#include "formats/wire/frame_scanner.h"
#include "proxy/endpoint.h"
#include "proxy/server_pool.h"
#include "proxy/session_context.h"

namespace understudy::proxy {

class ServerReset final : public Runnable {
 public:
  // `server` is idle outside a transaction, with nothing asked and nothing left to read.
  ServerReset(SessionContext& context, ServerPool& pool, std::string key, PooledServer server);
  // Begins; ends itself through the context's owner, the server in the pool or closed.
  void start();
  void run(std::uint32_t client_events, std::uint32_t server_events) override;

 private:
  [[nodiscard]] bool take(ByteView bytes);
  void finish(bool usable);

  SessionContext& context_;
  ServerPool& pool_;
  std::string key_;
  PooledServer server_;
  Endpoint endpoint_;
  ByteBuffer answer_;
  EventLoop::TimerId timeout_ = 0;
  bool completed_ = false;  // DISCARD ALL was answered
};

}  // namespace understudy::proxy
