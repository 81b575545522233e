// A session's half toward the server: reaching it, and the bytes to and from it. One server at a time: a
// session that moves closes it and starts anew (client_failover.cpp).
//
// Owned by a ClientSession; used on its worker.
#pragma once

#include <string>
#include <vector>

#include "proxy/endpoint.h"
#include "proxy/server_encryption.h"
#include "proxy/session_context.h"

namespace understudy::proxy {

class ServerSession {
 public:
  enum class Progress : std::uint8_t { kConnecting, kConnected, kFailed };

  ServerSession(SessionContext& context, Runnable& owner)
      : context_(context), owner_(owner), endpoint_(context.loop, owner, Runnable::Slot::kServer) {}
  ~ServerSession() { context_.loop.cancel(retry_); }
  ServerSession(const ServerSession&) = delete;
  ServerSession& operator=(const ServerSession&) = delete;

  // Takes over a server that waited in a pool.
  void adopt(PooledServer server);
  // Gives the server up, unwatched: for a pool.
  [[nodiscard]] PooledServer release();

  // Begins to connect to the backend's addresses, one after the other until one accepts and, where TLS is
  // wanted, has shaken hands.
  Progress start(const BackendState& backend);
  // Lets go of the server, for another.
  void close();
  // While connecting, at each turn: the socket may have become ready, which decides the next step.
  Progress continue_connecting(bool socket_ready);

  // Connected, with nothing left to send.
  [[nodiscard]] bool reusable() const {
    return connected_ && endpoint_.attached() && !endpoint_.backlogged();
  }

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] Endpoint& endpoint() { return endpoint_; }
  // The backend as configured; the address connected to (for a cancel), and as text.
  [[nodiscard]] const Address& backend() const { return backend_; }
  [[nodiscard]] const SocketAddress& address() const { return address_; }
  [[nodiscard]] std::string address_text() const;
  // What encrypts the connection; null when nothing does.
  [[nodiscard]] std::shared_ptr<const ServerTls> tls() {
    return endpoint_.attached() && endpoint_.connection().tls() != nullptr ? encryption_.tls() : nullptr;
  }
  // The last address accepted the connection, but TLS came to nothing.
  [[nodiscard]] bool failed_to_encrypt() const { return !connected_ && encryption_.begun(); }
  // Why no address accepted.
  [[nodiscard]] const std::string& failure() const { return failure_; }

 private:
  Progress try_next();
  void try_again_soon();
  Progress encrypt();

  SessionContext& context_;
  Runnable& owner_;
  Endpoint endpoint_;
  ServerEncryption encryption_{endpoint_};
  Address backend_;
  std::vector<SocketAddress> addresses_;
  std::size_t next_address_ = 0;
  SocketAddress address_;
  EventLoop::TimerId retry_ = 0;
  bool retry_due_ = false;
  bool connected_ = false;
  bool plain_ = false;  // the address was tried with TLS in vain, and may be used without
  std::string failure_;
};

}  // namespace understudy::proxy
