#include "proxy/tls_connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <cerrno>
#include <limits>
#include <system_error>

namespace understudy::proxy {
namespace {

constexpr unsigned kUnlimited = std::numeric_limits<unsigned>::max();

// What OpenSSL says went wrong. Certificates have words of their own, and better ones.
std::string openssl_words(const SSL* ssl, const TlsTransport& transport) {
  const unsigned long code = ERR_peek_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  if (reason != nullptr) {
    std::string text = reason;
    const long verdict = SSL_get_verify_result(ssl);
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK) {
      text += std::string(": ") + X509_verify_cert_error_string(verdict);
    }
    return text;
  }
  if (transport.error != 0) return std::generic_category().message(transport.error);
  return "the connection was closed";
}

}  // namespace

void SslDeleter::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsConnection::TlsConnection(std::unique_ptr<Connection> socket, SslHandle ssl, bool alpn_required)
    : socket_(std::move(socket)), ssl_(std::move(ssl)), alpn_required_(alpn_required) {
  transport_.descriptor = socket_->descriptor();
  BIO* const bio = make_transport_bio(transport_);
  if (bio == nullptr) {
    handshake_ = Handshake::kFailed;
    error_ = "out of memory";
    return;
  }
  SSL_set_bio(ssl_.get(), bio, bio);
}

TlsConnection::~TlsConnection() {
  if (established() && !broken_ && (SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) == 0) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }
}

TlsConnection::Handshake TlsConnection::handshake() {
  if (handshake_ != Handshake::kPending) return handshake_;
  transport_.receives_left = kUnlimited;
  read_wants_write_ = false;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) {
    const int wanted = SSL_get_error(ssl_.get(), result);
    read_wants_write_ = wanted == SSL_ERROR_WANT_WRITE;
    if (wanted == SSL_ERROR_WANT_READ || wanted == SSL_ERROR_WANT_WRITE) return handshake_;
    remember_error("TLS handshake failed: ");
    return handshake_ = Handshake::kFailed;
  }
  const unsigned char* protocol = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl_.get(), &protocol, &length);
  if (alpn_required_ && length == 0) {
    error_ = "TLS handshake failed: direct TLS without ALPN \"postgresql\"";
    return handshake_ = Handshake::kFailed;
  }
  return handshake_ = Handshake::kDone;
}

ReadResult TlsConnection::read(std::span<Byte> scratch) {
  constexpr ReadResult error{.status = IoStatus::kError, .bytes = {}, .more = false};
  constexpr ReadResult closed{.status = IoStatus::kClosed, .bytes = {}, .more = false};
  if (!established()) {
    const Handshake outcome = handshake();
    if (outcome == Handshake::kPending) return {};
    if (outcome == Handshake::kFailed) return error;
  }
  holds_bytes_ = read_wants_write_ = false;
  if (broken_) return error;
  transport_.receives_left = 1;
  std::size_t size = 0;
  while (size < scratch.size()) {
    std::size_t count = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), scratch.data() + size, scratch.size() - size, &count);
    if (result == 1) {
      size += count;
      if (SSL_has_pending(ssl_.get()) == 0) break;
      continue;
    }
    const int wanted = SSL_get_error(ssl_.get(), result);
    read_wants_write_ = wanted == SSL_ERROR_WANT_WRITE;
    if (wanted == SSL_ERROR_WANT_READ || wanted == SSL_ERROR_WANT_WRITE) break;
    if (wanted != SSL_ERROR_ZERO_RETURN) remember_error("TLS: ");
    if (size > 0) {  // what came before the end first; the end is said by the next read
      holds_bytes_ = true;
      break;
    }
    return wanted == SSL_ERROR_ZERO_RETURN ? closed : error;
  }
  if (size == 0) return {};
  if (size == scratch.size()) holds_bytes_ = SSL_has_pending(ssl_.get()) == 1;
  return {.status = IoStatus::kOk, .bytes = scratch.first(size), .more = holds_bytes_ || transport_.filled};
}

WriteResult TlsConnection::write(ByteView bytes) {
  // Before the handshake is done nothing can be said, and waiting would be for the peer to speak.
  WriteResult result{.status = established() && !broken_ ? IoStatus::kOk : IoStatus::kClosed, .written = 0};
  while (result.status == IoStatus::kOk && result.written < bytes.size()) {
    std::size_t count = 0;
    ERR_clear_error();
    const int written =
        SSL_write_ex(ssl_.get(), bytes.data() + result.written, bytes.size() - result.written, &count);
    if (written == 1) {
      result.written += count;
    } else if (SSL_get_error(ssl_.get(), written) == SSL_ERROR_WANT_WRITE) {
      if (result.written == 0) result.status = IoStatus::kWouldBlock;
      break;
    } else {
      remember_error("TLS: ");
      const bool gone = transport_.error == EPIPE || transport_.error == ECONNRESET;
      if (gone) hear_alert();
      result.status = gone ? IoStatus::kClosed : IoStatus::kError;
    }
  }
  return result;
}

void TlsConnection::shutdown_write() {
  if (established() && !broken_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }
  socket_->shutdown_write();
}

void TlsConnection::remember_error(const char* doing) {
  broken_ = true;
  const unsigned long code = ERR_peek_error();
  forged_ = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) != SSL_R_UNEXPECTED_EOF_WHILE_READING;
  error_ = doing + openssl_words(ssl_.get(), transport_);
}

// Who refuses says why in an alert and closes; when writing fails for that, it can still be read.
void TlsConnection::hear_alert() {
  constexpr unsigned kMostReceives = 16;
  transport_.receives_left = kMostReceives;
  std::array<Byte, 1024> scratch;
  std::size_t count = 0;
  do {
    ERR_clear_error();
  } while (SSL_read_ex(ssl_.get(), scratch.data(), scratch.size(), &count) == 1);
  const unsigned long code = ERR_peek_error();
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET) {
    error_ = "TLS: " + openssl_words(ssl_.get(), transport_);
  }
}

std::string TlsConnection::version() const { return SSL_get_version(ssl_.get()); }

std::string TlsConnection::peer_common_name() const {
  const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return {};
  const X509_NAME* const subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return {};
  unsigned char* text = nullptr;
  const int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (length < 0) return {};
  std::string name(reinterpret_cast<const char*>(text), static_cast<std::size_t>(length));
  OPENSSL_free(text);
  // "ada\0.example" is nobody's name; it once passed for "ada" elsewhere (CVE-2009-4034).
  return name.find('\0') == std::string::npos ? name : std::string();
}

std::string TlsConnection::peer_distinguished_name() const {
  const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new(BIO_s_mem()), BIO_free);
  if (certificate == nullptr || !text) return {};
  if (X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0) return {};
  char* name = nullptr;
  const long length = BIO_get_mem_data(text.get(), &name);
  return length > 0 ? std::string(name, static_cast<std::size_t>(length)) : std::string();
}

ByteBuffer TlsConnection::server_end_point() const {
  const X509* const certificate = SSL_is_server(ssl_.get()) == 1 ? SSL_get_certificate(ssl_.get())
                                                                 : SSL_get0_peer_certificate(ssl_.get());
  int digest = NID_undef;
  if (certificate == nullptr ||
      X509_get_signature_info(const_cast<X509*>(certificate), &digest, nullptr, nullptr, nullptr) != 1) {
    return {};
  }
  if (digest == NID_md5 || digest == NID_sha1) digest = NID_sha256;  // RFC 5929, 4.1
  const EVP_MD* const algorithm = digest == NID_undef ? nullptr : EVP_get_digestbynid(digest);
  std::array<Byte, EVP_MAX_MD_SIZE> hash{};
  unsigned length = 0;
  if (algorithm == nullptr || X509_digest(certificate, algorithm, hash.data(), &length) != 1) return {};
  return {hash.begin(), hash.begin() + length};
}

}  // namespace understudy::proxy
