// A Connection over TLS: what the other side of a socket says once both have shaken hands. The handshake is
// part of reading: until it is done, read() goes on with it and returns kWouldBlock.
//
// OpenSSL may hold decrypted bytes while the socket is silent (holds_bytes), and may have to write before it
// can go on reading (read_wants_write); Endpoint asks both whenever it sets what the loop watches.
//
// Owned by an Endpoint; used on its worker.
#pragma once

#include <memory>
#include <string>

#include "proxy/connection.h"
#include "proxy/tls_transport.h"

struct ssl_st;

namespace understudy::proxy {

struct SslDeleter {
  void operator()(ssl_st* ssl) const;
};
using SslHandle = std::unique_ptr<ssl_st, SslDeleter>;

class TlsConnection final : public Connection {
 public:
  enum class Handshake : std::uint8_t { kPending, kDone, kFailed };

  // Takes over `socket`, nothing of whose stream may have been read that was not meant in plain text. `ssl`
  // knows whether it accepts or connects. `alpn_required`: the handshake fails if none was agreed on.
  TlsConnection(std::unique_ptr<Connection> socket, SslHandle ssl, bool alpn_required);
  ~TlsConnection() override;
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;

  // Goes as far as it can now. For whoever must know when it is done before writing.
  [[nodiscard]] Handshake handshake();

  [[nodiscard]] ReadResult read(std::span<Byte> scratch) override;
  [[nodiscard]] WriteResult write(ByteView bytes) override;
  void shutdown_write() override;
  [[nodiscard]] int descriptor() const override { return socket_->descriptor(); }
  [[nodiscard]] const std::string& peer() const override { return socket_->peer(); }
  [[nodiscard]] std::string error_text() const override { return error_; }
  [[nodiscard]] bool holds_bytes() const override { return holds_bytes_; }
  [[nodiscard]] bool read_wants_write() const override { return read_wants_write_; }
  [[nodiscard]] const TlsConnection* tls() const override { return this; }

  [[nodiscard]] bool established() const { return handshake_ == Handshake::kDone; }
  // What came after the handshake was not TLS, or not of this peer: a record that does not decrypt, an alert.
  // A connection that just ends is neither.
  [[nodiscard]] bool forged() const { return established() && forged_; }
  // "TLSv1.3".
  [[nodiscard]] std::string version() const;
  // The common name of the peer's certificate, which was verified; empty when it showed none.
  [[nodiscard]] std::string peer_common_name() const;
  // The same of its whole subject, as RFC 2253 writes it.
  [[nodiscard]] std::string peer_distinguished_name() const;
  // The channel binding tls-server-end-point (RFC 5929) of a connection accepted, and of one made: the hash
  // of the certificate that the accepting side showed. Empty when the certificate's kind has none.
  [[nodiscard]] ByteBuffer server_end_point() const;

 private:
  void remember_error(const char* doing);
  void hear_alert();

  std::unique_ptr<Connection> socket_;
  TlsTransport transport_;
  SslHandle ssl_;
  Handshake handshake_ = Handshake::kPending;
  bool alpn_required_;
  bool holds_bytes_ = false;
  bool read_wants_write_ = false;
  bool broken_ = false;  // OpenSSL must not be asked to say farewell
  bool forged_ = false;
  std::string error_;
};

}  // namespace understudy::proxy
