// Asks one thing of one HTTP server, with or without TLS, and gives up after a while: GET, HTTP/1.0, one
// connection a question. Whatever the other side does, it costs one descriptor, a bounded buffer and a
// bounded time.
//
// Owned by whoever asks; used on its event loop's thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/address.h"
#include "proxy/endpoint.h"
#include "proxy/http_reply.h"
#include "proxy/tls_context.h"

namespace understudy::proxy {

class HttpQuestion final : public Runnable {
 public:
  struct Listener {
    std::function<void(const HttpReply&)> answered;
    std::function<void(std::string why)> failed;
  };
  struct Target {
    std::string host;  // as configured: for the Host header and the certificate
    std::string name;  // likewise, with the port
    std::vector<SocketAddress> addresses;
    std::shared_ptr<const ServerTls> tls;  // null: http
  };

  HttpQuestion(EventLoop& loop, Listener listener, std::size_t most_bytes);
  ~HttpQuestion() override;

  // Ends with one call of the listener, never before it returns. Not while busy().
  void ask(Target target, const std::string& path, TimeNs timeout);
  [[nodiscard]] bool busy() const { return timeout_ != 0; }
  // No call will come.
  void stop();
  void run(std::uint32_t client_events, std::uint32_t server_events) override;

 private:
  enum class Step : std::uint8_t { kConnecting, kShakingHands, kAsked };

  void connect();
  void try_next_address(std::string why);
  void connected();
  void shake_hands();
  void send_request();
  void receive(std::uint32_t events);
  void fail(std::string why);

  EventLoop& loop_;
  const Listener listener_;
  const std::size_t most_bytes_;
  Endpoint endpoint_;
  Target target_;
  std::size_t address_ = 0;
  std::string request_;
  Step step_ = Step::kConnecting;
  TlsConnection* tls_ = nullptr;  // borrowed of the endpoint, while shaking hands
  std::string received_;
  EventLoop::TimerId timeout_ = 0;  // 0: nothing is asked
  EventLoop::TimerId beginning_ = 0;
  std::array<Byte, 8192> scratch_;
};

}  // namespace understudy::proxy
