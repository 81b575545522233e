// The client's side of authentication: what answers a server's authentication requests when it is this
// process that logs in (a replay's sessions now; server sessions of a pool later). Trust, password, md5 and
// SCRAM-SHA-256 (RFC 5802, RFC 7677; PostgreSQL documentation, "SASL Authentication"). No I/O; secrets stay
// inside.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "formats/bytes.h"
#include "proxy/scram_crypto.h"

namespace understudy::proxy {

// The md5 of `text` and `salt` in hexadecimal; empty where OpenSSL has md5 switched off (FIPS).
[[nodiscard]] std::string hex_md5(std::string_view text, ByteView salt);

// The client half of one SCRAM-SHA-256 exchange, bound to the server's certificate or not.
class ScramClient {
 public:
  // `nonce` is printable ASCII without a comma, fresh for every exchange.
  ScramClient(std::string password, std::string nonce);
  // With keys of an earlier login in the password's place.
  ScramClient(const ScramKeys& keys, std::string nonce);

  // Before the first message: makes it SCRAM-SHA-256-PLUS, with the hash of the server's certificate
  // ("tls-server-end-point", RFC 5929).
  void bind_to(const ByteBuffer& end_point);
  // Likewise, where it could have been bound and the server did not offer it: says so, so that a server that
  // did offer it knows of somebody in between (RFC 5802, "Channel Binding").
  void note_no_binding() { header_ = "y,,"; }
  [[nodiscard]] std::string first_message() const;
  // The client-final-message that answers the server's first; empty with `error` set when that is malformed
  // or not an answer to ours.
  [[nodiscard]] std::string final_message(std::string_view server_first, std::string& error);
  // Whether the server proved that it knows the password too.
  [[nodiscard]] bool verify(std::string_view server_final) const;

 private:
  std::string password_;
  std::optional<ScramKeys> keys_;  // computed from the password when it is asked for
  std::string header_ = "n,,";     // GS2
  ByteBuffer binding_;
  std::string first_bare_;
  std::string nonce_;
  std::string server_signature_;  // base64
};

// Answers a server until it is content or refuses.
class ClientAuthenticator {
 public:
  // What remains to be done after a message.
  struct Step {
    ByteBuffer reply;   // to send, empty when nothing
    std::string error;  // why the login cannot go on, empty when it can
  };

  ClientAuthenticator(std::string user, std::string password)
      : user_(std::move(user)), password_(std::move(password)) {}
  // Logs in where SCRAM is asked for, with keys of an earlier login; nowhere else.
  ClientAuthenticator(std::string user, const ScramKeys& keys) : user_(std::move(user)), keys_(keys) {}

  // The hash of the certificate the server showed; SCRAM is then bound to it where the server can.
  void bind_to(ByteBuffer end_point) { end_point_ = std::move(end_point); }
  // `payload` of an Authentication message ('R').
  [[nodiscard]] Step answer(ByteView payload);

 private:
  Step password_reply(std::string_view method, const std::string& text);
  Step begin_scram(ByteView mechanisms);
  Step continue_scram(std::string_view server_first);
  Step finish_scram(std::string_view server_final);

  std::string user_;
  std::string password_;
  std::optional<ScramKeys> keys_;
  ByteBuffer end_point_;
  std::unique_ptr<ScramClient> scram_;
};

}  // namespace understudy::proxy
