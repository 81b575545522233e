// The client's side of a login at a server, when the proxy logs in itself: what to send next, and what the
// server told on the way. No I/O. One login an object, on its session's worker.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "proxy/authentication.h"
#include "proxy/reported_settings.h"

namespace understudy::proxy {

// What a server tells whoever logs in; kept with the server session for the clients it will serve.
struct ServerFacts {
  ReportedSettings settings;
  std::uint32_t process_id = 0;
  ByteBuffer cancel_key;  // secret
};

class ServerLogin {
 public:
  enum class Progress : std::uint8_t { kGoesOn, kReady, kFailed };

  // `authenticator` answers for the user.
  explicit ServerLogin(ClientAuthenticator authenticator) : authenticator_(std::move(authenticator)) {}

  // The certificate the server showed, for SCRAM-SHA-256-PLUS.
  void bind_to(ByteBuffer end_point) { authenticator_.bind_to(std::move(end_point)); }
  // Takes what has arrived; messages taken whole are removed from the front of `bytes`. What must be sent is
  // appended to `reply`.
  [[nodiscard]] Progress take(ByteBuffer& bytes, ByteBuffer& reply);

  [[nodiscard]] ServerFacts& facts() { return facts_; }
  // Why it failed: the server's own ErrorResponse, whole, to be passed on; or, when that is empty, our words.
  [[nodiscard]] const ByteBuffer& server_error() const { return server_error_; }
  [[nodiscard]] const std::string& failure() const { return failure_; }
  // The server asked for a proof.
  [[nodiscard]] bool was_asked() const { return asked_; }

 private:
  [[nodiscard]] Progress message(char type, ByteView whole, ByteBuffer& reply);

  ClientAuthenticator authenticator_;
  ServerFacts facts_;
  ByteBuffer server_error_;
  std::string failure_;
  bool asked_ = false;
};

}  // namespace understudy::proxy
