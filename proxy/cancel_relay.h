// Carries one CancelRequest to the server it is meant for, then closes: the server answers with end-of-file,
// and so do we (PostgreSQL documentation, "Canceling Requests in Progress"). Owned by a worker.
#pragma once

#include <functional>
#include <memory>

#include "proxy/endpoint.h"
#include "proxy/server_encryption.h"
#include "proxy/session_context.h"

namespace understudy::proxy {

class CancelRelay final : public Runnable {
 public:
  // `client` waits for the end-of-file; null when the cancel comes from inside the process.
  // `done` is called when the server has taken it, or could not be told.
  CancelRelay(SessionContext& context, const CancelTarget& target, std::unique_ptr<Connection> client,
              std::function<void()> done = {});
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
  std::string host_;
  ByteBuffer packet_;
  std::uint32_t session_number_;
  std::unique_ptr<Connection> client_;
  Endpoint server_;
  ServerEncryption encryption_{server_};
  std::shared_ptr<const ServerTls> tls_;
  std::function<void()> done_;
  EventLoop::TimerId retry_ = 0;
  EventLoop::TimerId deadline_ = 0;
};

}  // namespace understudy::proxy
