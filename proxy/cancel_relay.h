// Carries one CancelRequest to the server it is meant for, then closes: the server answers with end-of-file,
// and so do we (PostgreSQL documentation, "Canceling Requests in Progress"). Owned by a worker.
#pragma once

#include <memory>

#include "proxy/endpoint.h"
#include "proxy/server_encryption.h"
#include "proxy/session_context.h"

namespace understudy::proxy {

class CancelRelay final : public Runnable {
 public:
  // `client` waits for the end-of-file; null when the cancel comes from inside the process.
  CancelRelay(SessionContext& context, const CancelTarget& target, std::unique_ptr<Connection> client);
  ~CancelRelay() override;
  // Begins; ends itself through the context's owner.
  void start();
  void run(std::uint32_t client_events, std::uint32_t server_events) override;

 private:
  // True when the packet may be sent.
  [[nodiscard]] bool encrypted();
  void connect();
  void fail(const std::string& why);
  void await_end();
  void end();

  SessionContext& context_;
  SocketAddress backend_;
  ByteBuffer packet_;
  std::uint32_t session_number_;
  std::unique_ptr<Connection> client_;
  Endpoint server_;
  EventLoop::TimerId retry_ = 0;
  EventLoop::TimerId deadline_ = 0;
  ServerEncryption encryption_{server_};
  std::shared_ptr<const ServerTls> tls_;
};

}  // namespace understudy::proxy
