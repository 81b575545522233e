#include "formats/wire/startup.h"

#include "formats/wire/message_writer.h"

namespace understudy::wire {

namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kHeaderBytes = 8;  // length and version or code

StartupDecoded decode_parameters(ByteView packet) {
  StartupMessage message;
  message.protocol_version = load_be32(packet.data() + kLengthBytes);
  ByteReader in(packet);
  in.bytes(kHeaderBytes);
  while (true) {
    const std::string_view name = in.c_string();
    if (in.failed()) return DecodeError{in.offset(), "the terminator of the startup parameters is missing"};
    if (name.empty()) break;
    const std::string_view value = in.c_string();
    if (in.failed()) return DecodeError{in.offset(), "a startup parameter has no value"};
    message.parameters.emplace_back(name, value);
  }
  if (!in.finished()) return DecodeError{in.offset(), "bytes after the terminator of the startup parameters"};
  return {std::move(message), packet.size()};
}

StartupDecoded decode_cancel(ByteView packet) {
  ByteReader in(packet);
  in.bytes(kHeaderBytes);
  CancelRequest request;
  request.process_id = in.be32();
  const ByteView key = in.bytes(in.remaining());
  if (in.failed() || key.size() < kMinSecretKeyBytes || key.size() > kMaxSecretKeyBytes)
    return DecodeError{in.failed() ? in.offset() : kHeaderBytes + 4, "a cancel key has 4 to 256 bytes"};
  request.secret_key.assign(key.begin(), key.end());
  return {std::move(request), packet.size()};
}

// What can be said of the header alone; nullopt when nothing is wrong so far.
std::optional<DecodeError> check_header(ByteView bytes, std::size_t length, std::size_t limit_bytes) {
  if (length < kHeaderBytes) return DecodeError{0, "the length of the startup packet is too small"};
  if (length - kLengthBytes > limit_bytes)
    return DecodeError{0, "the length of the startup packet is too large"};
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  const std::uint32_t code = load_be32(bytes.data() + kLengthBytes);
  if (code == kCancelRequestCode) return std::nullopt;
  if (code == kSslRequestCode || code == kGssEncRequestCode) {
    if (length != kHeaderBytes)
      return DecodeError{kHeaderBytes, "bytes after the code of an encryption request"};
    return std::nullopt;
  }
  if (code >> 16 != 3) return DecodeError{kLengthBytes, "unsupported protocol version"};
  return std::nullopt;
}

StartupDecoded decode_whole(ByteView packet) {
  switch (load_be32(packet.data() + kLengthBytes)) {
    case kCancelRequestCode:
      return decode_cancel(packet);
    case kSslRequestCode:
      return {SslRequest{}, packet.size()};
    case kGssEncRequestCode:
      return {GssEncRequest{}, packet.size()};
    default:
      return decode_parameters(packet);
  }
}

void append_code(ByteBuffer& out, std::uint32_t code) { MessageWriter(out, 0).be32(code); }

}  // namespace

StartupDecoded decode_startup(ByteView bytes, std::size_t limit_bytes) {
  if (bytes.size() < kLengthBytes) return NeedMore{kHeaderBytes - bytes.size()};
  const std::size_t length = load_be32(bytes.data());
  if (const auto error = check_header(bytes, length, limit_bytes)) return *error;
  if (bytes.size() < length) return NeedMore{length - bytes.size()};
  return decode_whole(bytes.first(length));
}

void append_startup_message(ByteBuffer& out, const StartupMessage& message) {
  MessageWriter writer(out, 0);
  writer.be32(message.protocol_version);
  for (const auto& [name, value] : message.parameters) {
    if (name.empty()) continue;  // an empty name is the terminator: it cannot be a parameter's
    writer.c_string(name);
    writer.c_string(value);
  }
  writer.u8(0);
}

void append_ssl_request(ByteBuffer& out) { append_code(out, kSslRequestCode); }

void append_gss_enc_request(ByteBuffer& out) { append_code(out, kGssEncRequestCode); }

void append_cancel_request(ByteBuffer& out, std::uint32_t process_id, ByteView secret_key) {
  MessageWriter writer(out, 0);
  writer.be32(kCancelRequestCode);
  writer.be32(process_id);
  writer.bytes(secret_key);
}

}  // namespace understudy::wire
