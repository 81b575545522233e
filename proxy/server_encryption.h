// Between a server's socket that is connected and its first start-up packet: asks for TLS where the
// configuration wants it, and shakes hands (PostgreSQL documentation, "SSL Session Encryption"). What a
// session, a cancel and whoever else reaches a server does before it speaks.
//
//     kAsked --'S'--> kShakingHands --> kDone (encrypted)
//        +----'N'--> kDone, if plain is allowed, else kFailed
//
// Owned beside the Endpoint it works on; used on its worker.
#pragma once

#include <memory>
#include <string>

#include "proxy/endpoint.h"
#include "proxy/tls_context.h"

namespace understudy::proxy {

class ServerEncryption {
 public:
  enum class Progress : std::uint8_t { kPending, kDone, kFailed };

  explicit ServerEncryption(Endpoint& endpoint) : endpoint_(endpoint) {}

  // The endpoint is connected. `tls` may be null: done at once. `host` as configured.
  [[nodiscard]] Progress begin(std::shared_ptr<const ServerTls> tls, std::string host);
  // The endpoint's descriptor is ready. Sets what the loop watches while pending.
  [[nodiscard]] Progress advance();

  [[nodiscard]] bool begun() const { return step_ != Step::kNone; }
  [[nodiscard]] const std::shared_ptr<const ServerTls>& tls() const { return tls_; }
  // Why it failed.
  [[nodiscard]] const std::string& failure() const { return failure_; }
  // The handshake failed, and the server may be tried again without TLS. Not so where it spoke out of turn.
  [[nodiscard]] bool plain_may_do() const { return plain_may_do_; }
  // The endpoint was given a connection that was made elsewhere.
  void adopt(std::shared_ptr<const ServerTls> tls) {
    reset();
    tls_ = std::move(tls);
    step_ = Step::kDone;
  }
  // For another attempt, on another socket.
  void reset();

 private:
  enum class Step : std::uint8_t { kNone, kAsked, kShakingHands, kDone };

  Progress read_answer();
  Progress shake_hands();
  Progress fail(std::string why);

  Endpoint& endpoint_;
  std::shared_ptr<const ServerTls> tls_;
  std::string host_;
  Step step_ = Step::kNone;
  bool plain_may_do_ = false;
  TlsConnection* connection_ = nullptr;  // borrowed of the endpoint, while shaking hands
  std::string failure_;
};

}  // namespace understudy::proxy
