// A TLS session read from outside, with secrets from a key log: records of both sides go in, application data
// comes out. Follows the handshake as far as keys hang on it. TLS 1.2 and 1.3 with AEAD suites. (RFC 8446,
// RFC 5246.)
//
// While a secret is not there yet (who writes the log may be behind the packets) records wait, up to a bound.
// What is missing cannot be passed over: the next record could not be opened. Owned by a CapturedConnection.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "formats/transcript/event.h"
#include "recorder/capture/tls_key_log.h"
#include "recorder/capture/tls_opener.h"

namespace understudy::recorder {

class TlsConversation {
 public:
  using Sink = std::function<void(Direction from, ByteView data)>;

  // Borrowed.
  explicit TlsConversation(TlsKeyLog& keys) : keys_(keys) {}

  // False when it cannot be read on: reason() says why. Nothing is fed after that.
  [[nodiscard]] bool take(Direction from, ByteView bytes, const Sink& sink);
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  enum class Progress : std::uint8_t { kDone, kKeyMissing, kFailed };
  struct Record {
    Direction from = Direction::kFromClient;
    ByteBuffer bytes;  // with its header
  };
  struct Half {
    ByteBuffer partial;    // a record that is not whole
    ByteBuffer handshake;  // a handshake message that is not whole
    std::optional<TlsOpener> opener;
    bool encrypted = false;    // TLS 1.2: its ChangeCipherSpec was seen
    bool application = false;  // TLS 1.3: its Finished was
  };

  [[nodiscard]] Half& half(Direction from) { return halves_[static_cast<int>(from)]; }
  bool cut_records(Direction from);
  Progress read(const Record& record, const Sink& sink);
  Progress read_sealed(const Record& record, const Sink& sink);
  [[nodiscard]] bool make_opener(Direction from);
  bool take_handshake(Direction from, ByteView bytes, bool sealed);
  bool handshake_message(Direction from, std::uint8_t type, ByteView body, bool sealed);
  bool server_hello(ByteView body);
  bool fail(std::string why);

  TlsKeyLog& keys_;
  Half halves_[2];
  std::deque<Record> waiting_;
  std::size_t waiting_bytes_ = 0;
  ByteBuffer client_random_;
  ByteBuffer server_random_;
  std::optional<TlsSuite> suite_;
  bool tls13_ = false;
  std::string reason_;
};

}  // namespace understudy::recorder
