// A login as it is seen from outside: between the start-up packet and the first ReadyForQuery messages are
// taken whole and shown to the observer as the proxy shows them: secrets are announced, not shown, and a
// cancel key is zeroes. One a session, until it is logged in. Pure but for what it tells the observer.
#pragma once

#include <string>

#include "proxy/authentication_filter.h"
#include "proxy/observer.h"

namespace understudy::recorder {

class CapturedLogin {
 public:
  // What BackendKeyData told, to know a cancel request by. Kept in memory only.
  struct CancelKey {
    std::uint32_t process_id = 0;
    ByteBuffer key;
  };

  // The next bytes of either side. False when they are no login: violation() says why.
  [[nodiscard]] bool client(TimeNs time, ByteView bytes, proxy::SessionObserver& observer);
  [[nodiscard]] bool server(TimeNs time, ByteView bytes, proxy::SessionObserver& observer);

  // ReadyForQuery was seen; `status` is what it said. Then rests are what either side said after its login.
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] char status() const { return status_; }
  [[nodiscard]] ByteView client_rest() const { return client_bytes_; }
  [[nodiscard]] ByteView server_rest() const { return server_bytes_; }
  [[nodiscard]] const CancelKey& cancel_key() const { return cancel_key_; }
  // The server ended it with an error.
  [[nodiscard]] bool refused() const { return refused_; }
  [[nodiscard]] const std::string& violation() const { return violation_; }

 private:
  bool show(std::span<const Byte> message, TimeNs time, proxy::SessionObserver& observer);
  bool show_cancel_key(std::span<const Byte> message, TimeNs time, proxy::SessionObserver& observer);
  bool refuse(std::string why);

  proxy::AuthenticationFilter filter_;
  ByteBuffer client_bytes_;  // not taken yet
  ByteBuffer server_bytes_;
  CancelKey cancel_key_;
  bool done_ = false;
  bool refused_ = false;
  char status_ = 'I';
  std::string violation_;
};

}  // namespace understudy::recorder
