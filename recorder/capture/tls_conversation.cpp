#include "recorder/capture/tls_conversation.h"

#include <algorithm>
#include <cstdio>

namespace understudy::recorder {
namespace {

constexpr std::size_t kHeaderBytes = 5;
constexpr std::size_t kMaxRecordBytes = (std::size_t{1} << 14) + 2048;
constexpr std::size_t kMaxHandshakeBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxWaitingBytes = std::size_t{1} << 20;

constexpr std::uint8_t kChangeCipherSpec = 20;
constexpr std::uint8_t kAlert = 21;
constexpr std::uint8_t kHandshake = 22;
constexpr std::uint8_t kApplicationData = 23;

constexpr std::uint8_t kClientHello = 1;
constexpr std::uint8_t kServerHello = 2;
constexpr std::uint8_t kFinished = 20;
constexpr std::uint8_t kKeyUpdate = 24;

constexpr std::size_t kRandomBytes = 32;

}  // namespace

bool TlsConversation::fail(std::string why) {
  if (reason_.empty()) reason_ = std::move(why);
  return false;
}

bool TlsConversation::take(Direction from, ByteView bytes, const Sink& sink) {
  append_bytes(half(from).partial, bytes);
  // What stands before the damage is good, in however few pieces it came.
  const bool undamaged = cut_records(from);
  while (!waiting_.empty()) {
    const Progress progress = read(waiting_.front(), sink);
    if (progress == Progress::kFailed) return fail("TLS, damaged");
    if (progress == Progress::kKeyMissing) break;
    waiting_bytes_ -= waiting_.front().bytes.size();
    waiting_.pop_front();
  }
  if (waiting_bytes_ > kMaxWaitingBytes) return fail("TLS, no key");
  return undamaged || fail("TLS, damaged");
}

// Whole records, in the order in which they came of both sides. False at what is none.
bool TlsConversation::cut_records(Direction from) {
  ByteBuffer& partial = half(from).partial;
  std::size_t at = 0;
  while (partial.size() - at >= kHeaderBytes) {
    const Byte* const header = partial.data() + at;
    const std::size_t size = kHeaderBytes + load_be16(header + 3);
    if (header[0] < kChangeCipherSpec || header[0] > kApplicationData || header[1] != 3 ||
        size > kMaxRecordBytes) {
      return false;
    }
    if (partial.size() - at < size) break;
    waiting_.push_back({from, ByteBuffer(header, header + size)});
    waiting_bytes_ += size;
    at += size;
  }
  partial.erase(partial.begin(), partial.begin() + static_cast<std::ptrdiff_t>(at));
  return true;
}

TlsConversation::Progress TlsConversation::read(const Record& record, const Sink& sink) {
  Half& own = half(record.from);
  const std::uint8_t type = record.bytes[0];
  const ByteView body = ByteView(record.bytes).subspan(kHeaderBytes);
  const bool sealed = tls13_ ? type == kApplicationData : own.encrypted;
  if (sealed) return read_sealed(record, sink);
  if (type == kChangeCipherSpec) {
    own.encrypted = !tls13_ && suite_.has_value();  // in TLS 1.3 it means nothing
    return Progress::kDone;
  }
  if (type == kAlert) return Progress::kDone;
  if (type == kHandshake && take_handshake(record.from, body, false)) return Progress::kDone;
  return Progress::kFailed;
}

TlsConversation::Progress TlsConversation::read_sealed(const Record& record, const Sink& sink) {
  Half& own = half(record.from);
  if (!own.opener && !make_opener(record.from)) return Progress::kKeyMissing;
  const ByteView all = record.bytes;
  const auto opened = own.opener->open(all.first(kHeaderBytes), all.subspan(kHeaderBytes));
  if (!opened) {
    (void)fail("TLS, and the key does not fit");
    return Progress::kFailed;
  }
  if (opened->type == kApplicationData) {
    if (!opened->content.empty()) sink(record.from, opened->content);
    return Progress::kDone;
  }
  // Without TLS 1.3 nothing that follows hangs on encrypted handshake messages.
  if (opened->type != kHandshake || !tls13_) return Progress::kDone;
  const ByteBuffer content(opened->content.begin(), opened->content.end());
  return take_handshake(record.from, content, true) ? Progress::kDone : Progress::kFailed;
}

bool TlsConversation::make_opener(Direction from) {
  Half& own = half(from);
  const bool client = from == Direction::kFromClient;
  if (!tls13_) {
    const ByteBuffer* const master = keys_.find("CLIENT_RANDOM", client_random_);
    if (master == nullptr) return false;
    own.opener = TlsOpener::tls12(*suite_, *master, client_random_, server_random_, client);
    return true;
  }
  const char* const label =
      own.application ? (client ? "CLIENT_TRAFFIC_SECRET_0" : "SERVER_TRAFFIC_SECRET_0")
                      : (client ? "CLIENT_HANDSHAKE_TRAFFIC_SECRET" : "SERVER_HANDSHAKE_TRAFFIC_SECRET");
  const ByteBuffer* const secret = keys_.find(label, client_random_);
  if (secret == nullptr) return false;
  own.opener = TlsOpener::tls13(*suite_, *secret);
  return true;
}

bool TlsConversation::take_handshake(Direction from, ByteView bytes, bool sealed) {
  ByteBuffer& held = half(from).handshake;
  append_bytes(held, bytes);
  std::size_t at = 0;
  while (held.size() - at >= 4) {
    const std::size_t size = load_be32(held.data() + at) & 0xFFFFFF;
    if (size > kMaxHandshakeBytes) return fail("TLS, damaged");
    if (held.size() - at - 4 < size) break;
    if (!handshake_message(from, held[at], ByteView(held).subspan(at + 4, size), sealed)) return false;
    at += 4 + size;
  }
  held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(at));
  return true;
}

bool TlsConversation::handshake_message(Direction from, std::uint8_t type, ByteView body, bool sealed) {
  Half& own = half(from);
  const bool client = from == Direction::kFromClient;
  if (type == kClientHello && client && !sealed) {
    if (body.size() < 2 + kRandomBytes) return fail("TLS, damaged");
    client_random_.assign(body.begin() + 2, body.begin() + 2 + kRandomBytes);
  } else if (type == kServerHello && !client && !sealed) {
    return server_hello(body);
  } else if (type == kFinished && sealed && !own.application) {
    own.application = true;
    own.opener.reset();  // what follows has another key
  } else if (type == kKeyUpdate && sealed && own.application) {
    own.opener->update();
  }
  return true;
}

bool TlsConversation::server_hello(ByteView body) {
  ByteReader in(body);
  in.be16();
  const ByteView random = in.bytes(kRandomBytes);
  in.bytes(in.u8());  // session id
  const std::uint16_t suite = in.be16();
  in.u8();  // compression
  if (in.failed()) return fail("TLS, damaged");
  server_random_.assign(random.begin(), random.end());
  ByteReader extensions(in.bytes(in.remaining() >= 2 ? in.be16() : 0));
  while (!extensions.failed() && extensions.remaining() >= 4) {
    constexpr std::uint16_t kSupportedVersions = 43;
    const std::uint16_t type = extensions.be16();
    const ByteView value = extensions.bytes(extensions.be16());
    if (type == kSupportedVersions && value.size() == 2) tls13_ = load_be16(value.data()) == 0x0304;
  }
  suite_ = tls_suite(suite, tls13_);
  if (suite_) return true;
  char text[64];
  std::snprintf(text, sizeof text, "TLS, with cipher suite 0x%04X, which is not read", suite);
  return fail(text);
}

}  // namespace understudy::recorder
