// The untyped packet that opens a connection: StartupMessage, SSLRequest, GSSENCRequest or CancelRequest
// (PostgreSQL documentation, "Message Flow", "Start-up"). Bytes in, values out; any thread.
//
//     00 00 00 17 | 00 03 00 00 | "user" 00 "ada" 00 "database" 00 "lines" 00 ... 00
//     length        version       parameters                                     terminator
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "formats/wire/decoded.h"
#include "formats/wire/message_types.h"

namespace understudy::wire {

struct StartupMessage {
  std::uint32_t protocol_version = kProtocol30;  // major << 16 | minor
  // In the order sent, repetitions kept. Copied: a session keeps them for its life.
  std::vector<std::pair<std::string, std::string>> parameters;
  bool operator==(const StartupMessage&) const = default;
};
struct SslRequest {
  bool operator==(const SslRequest&) const = default;
};
struct GssEncRequest {
  bool operator==(const GssEncRequest&) const = default;
};
struct CancelRequest {
  std::uint32_t process_id = 0;
  ByteBuffer secret_key;  // 4 bytes in protocol 3.0, 4 to 256 in 3.2
  bool operator==(const CancelRequest&) const = default;
};

// So many bytes, at least, must follow those given before the packet can be decoded.
struct NeedMore {
  std::size_t bytes = 0;
  bool operator==(const NeedMore&) const = default;
};

using StartupPacket = std::variant<StartupMessage, SslRequest, GssEncRequest, CancelRequest>;

// One of three: a packet, how much more is needed, or an error.
class StartupDecoded {
 public:
  // `packet`: one of the four. `length_bytes`: its own.
  template <typename Packet>
  StartupDecoded(Packet packet, std::size_t length_bytes)
      : consumed(length_bytes), packet_(std::in_place, std::move(packet)) {}
  StartupDecoded(NeedMore need_more) : need_more_(need_more) {}
  StartupDecoded(DecodeError error) : error_(error) {}

  // Null unless that is the answer.
  [[nodiscard]] const StartupPacket* packet() const { return packet_ ? &*packet_ : nullptr; }
  [[nodiscard]] const NeedMore* need_more() const { return need_more_ ? &*need_more_ : nullptr; }
  [[nodiscard]] const DecodeError* error() const { return error_ ? &*error_ : nullptr; }

  std::size_t consumed = 0;  // bytes of the packet when there is one, else 0; more bytes may follow it

 private:
  std::optional<StartupPacket> packet_;
  std::optional<NeedMore> need_more_;
  std::optional<DecodeError> error_;
};

// The server's own bound (MAX_STARTUP_PACKET_LENGTH): bytes after the length field.
inline constexpr std::size_t kDefaultStartupLimit = 10'000;
// Secret keys of BackendKeyData and CancelRequest.
inline constexpr std::size_t kMinSecretKeyBytes = 4;
inline constexpr std::size_t kMaxSecretKeyBytes = 256;

// Decodes what has arrived so far, from the connection's first byte (or the first after an SSLRequest was
// answered). Errors are told as soon as they can be seen: an impossible length after four bytes, an
// unsupported version after eight. Holds nothing, and takes no memory before the whole packet is there.
[[nodiscard]] StartupDecoded decode_startup(ByteView bytes, std::size_t limit_bytes = kDefaultStartupLimit);

void append_startup_message(ByteBuffer& out, const StartupMessage& message);
void append_ssl_request(ByteBuffer& out);
void append_gss_enc_request(ByteBuffer& out);
void append_cancel_request(ByteBuffer& out, std::uint32_t process_id, ByteView secret_key);

}  // namespace understudy::wire
