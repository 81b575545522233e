#include "proxy/server_encryption.h"

#include <array>

#include "formats/wire/startup.h"

namespace understudy::proxy {

void ServerEncryption::reset() {
  step_ = Step::kNone;
  tls_.reset();
  plain_may_do_ = false;
  connection_ = nullptr;
}

ServerEncryption::Progress ServerEncryption::begin(std::shared_ptr<const ServerTls> tls, std::string host) {
  tls_ = std::move(tls);
  host_ = std::move(host);
  step_ = Step::kDone;
  if (!tls_) return Progress::kDone;
  ByteBuffer request;
  wire::append_ssl_request(request);
  step_ = Step::kAsked;
  if (!endpoint_.send(request)) return fail(endpoint_.connection().error_text());
  endpoint_.want_read(true);
  return Progress::kPending;
}

ServerEncryption::Progress ServerEncryption::advance() {
  if (step_ == Step::kAsked) return read_answer();
  if (step_ == Step::kShakingHands) return shake_hands();
  return step_ == Step::kDone ? Progress::kDone : Progress::kPending;
}

ServerEncryption::Progress ServerEncryption::read_answer() {
  if (endpoint_.backlogged() && !endpoint_.flush()) return fail(endpoint_.connection().error_text());
  // Room for one byte more than the answer has: what comes before the handshake is not encrypted, and whoever
  // sits between could have said it (CVE-2021-23222, CVE-2021-43767).
  std::array<Byte, 2> answer{};
  const ReadResult result = endpoint_.read(answer);
  if (result.status == IoStatus::kWouldBlock) {
    endpoint_.want_read(true);
    return Progress::kPending;
  }
  if (result.status == IoStatus::kError) return fail(endpoint_.connection().error_text());
  if (result.status == IoStatus::kClosed) return fail("it closed the connection when asked for TLS");
  const char said = static_cast<char>(result.bytes[0]);
  if (said != 'S' && said != 'N') return fail("it answered an SSLRequest with neither yes nor no");
  if (result.bytes.size() > 1) return fail("it sent bytes after its answer to an SSLRequest, unasked");
  if (said == 'N' && !tls_->optional()) return fail("it has no TLS, which server_tls_sslmode requires");
  if (said == 'N') {
    step_ = Step::kDone;
    return Progress::kDone;
  }
  auto secured = tls_->connect(endpoint_.release(), host_);
  if (!secured) return fail("out of memory");
  connection_ = secured.get();
  endpoint_.attach(std::move(secured));
  step_ = Step::kShakingHands;
  return shake_hands();
}

ServerEncryption::Progress ServerEncryption::shake_hands() {
  switch (connection_->handshake()) {
    case TlsConnection::Handshake::kPending:
      endpoint_.want_read(true);
      return Progress::kPending;
    case TlsConnection::Handshake::kFailed:
      plain_may_do_ = tls_->optional();
      return fail(connection_->error_text());
    case TlsConnection::Handshake::kDone:
      break;
  }
  step_ = Step::kDone;
  connection_ = nullptr;
  return Progress::kDone;
}

ServerEncryption::Progress ServerEncryption::fail(std::string why) {
  failure_ = std::move(why);
  return Progress::kFailed;
}

}  // namespace understudy::proxy
