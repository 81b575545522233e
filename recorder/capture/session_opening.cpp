#include "recorder/capture/session_opening.h"

#include <algorithm>
#include <array>
#include <utility>

namespace understudy::recorder {
namespace {

using Verdict = SessionOpening::Verdict;

constexpr Byte kTlsHandshake = 0x16;
constexpr std::size_t kTlsHeaderBytes = 5;
// The largest record of a handshake (RFC 8446, 5.1).
constexpr std::size_t kMaxTlsRecord = (std::size_t{1} << 14) + kTlsHeaderBytes;

// By what it says first. A guess for the report, nothing hangs on it.
std::string name_of_protocol(ByteView bytes) {
  constexpr std::array<std::pair<std::string_view, const char*>, 10> kBeginnings = {{
      {"GET ", "HTTP"},
      {"POST ", "HTTP"},
      {"PUT ", "HTTP"},
      {"HEAD ", "HTTP"},
      {"OPTIONS ", "HTTP"},
      {"PRI * HTTP/2", "HTTP"},
      {"SSH-", "SSH"},
      {"220 ", "SMTP or FTP"},
      {"*1\r\n$", "Redis"},
      {"\x16\x03", "TLS of something else"},
  }};
  const std::string_view text = as_text(bytes);
  for (const auto& [beginning, name] : kBeginnings) {
    if (text.starts_with(beginning)) return name;
  }
  return "unknown";
}

}  // namespace

Verdict SessionOpening::decide(Verdict verdict, std::string reason) {
  reason_ = std::move(reason);
  return verdict;
}

Verdict SessionOpening::client(ByteView bytes) {
  append_bytes(bytes_, bytes);
  if (awaited_ != 0) {
    // Behind a request nothing follows before its answer; a server that is asked has only one byte to say.
    if (bytes_.size() > wire::kDefaultStartupLimit) return decide(Verdict::kForeign, "unknown");
    return Verdict::kUndecided;
  }
  return read();
}

Verdict SessionOpening::read() {
  if (bytes_.empty()) return Verdict::kUndecided;
  if (bytes_.front() == kTlsHandshake && !answered_ && from_beginning_) return direct_tls(true);
  wire::StartupDecoded decoded = wire::decode_startup(bytes_);
  if (decoded.need_more() != nullptr) return from_beginning_ ? Verdict::kUndecided : Verdict::kMidStream;
  if (decoded.error() != nullptr) {
    if (!from_beginning_) return Verdict::kMidStream;
    if (answered_) return decide(Verdict::kUnreadable, "invalid start-up packet");
    return decide(Verdict::kForeign, name_of_protocol(bytes_));
  }
  from_beginning_ = true;  // such a packet stands nowhere else
  packet_ = *decoded.packet();
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(decoded.consumed));
  if (std::holds_alternative<wire::SslRequest>(*packet_)) return request('S');
  if (std::holds_alternative<wire::GssEncRequest>(*packet_)) return request('G');
  return std::holds_alternative<wire::CancelRequest>(*packet_) ? Verdict::kCancel : Verdict::kSession;
}

Verdict SessionOpening::request(char accepts) {
  awaited_ = accepts;
  return Verdict::kUndecided;
}

// TLS from the first byte (since PostgreSQL 17): ours if it names our protocol (ALPN, RFC 7301).
Verdict SessionOpening::direct_tls(bool more_may_come) {
  const std::size_t record =
      bytes_.size() < kTlsHeaderBytes ? kMaxTlsRecord : kTlsHeaderBytes + load_be16(bytes_.data() + 3);
  if (more_may_come && bytes_.size() < std::min(record, kMaxTlsRecord)) return Verdict::kUndecided;
  if (as_text(bytes_).find("\x0apostgresql") != std::string_view::npos) {
    return Verdict::kTls;
  }
  return decide(Verdict::kForeign, name_of_protocol(bytes_));
}

Verdict SessionOpening::server(ByteView bytes) {
  if (bytes.empty()) return Verdict::kUndecided;
  const char first = static_cast<char>(bytes.front());
  if (awaited_ != 0) {
    const char accepts = std::exchange(awaited_, 0);
    answered_ = true;
    if (first == accepts && accepts == 'G') return decide(Verdict::kUnreadable, "GSSAPI encryption");
    if (first == accepts && bytes.size() == 1) return Verdict::kTls;
    if (first == 'E') return Verdict::kRefused;
    if (first != 'N' || bytes.size() != 1) return decide(Verdict::kForeign, "unknown");
    return read();
  }
  if (!bytes_.empty() && bytes_.front() == kTlsHandshake && from_beginning_) return direct_tls(false);
  if (!from_beginning_) return Verdict::kMidStream;
  if (first == 'E' && bytes_.empty()) return Verdict::kRefused;  // "sorry, too many clients already"
  return decide(Verdict::kForeign, name_of_protocol(bytes_.empty() ? bytes : ByteView(bytes_)));
}

}  // namespace understudy::recorder
