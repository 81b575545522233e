// The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677; PostgreSQL documentation, "SASL Authentication"):
// what a proxy that authenticates its clients itself says and checks. No I/O, no clock. One exchange an
// object, used by one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/scram_crypto.h"

namespace understudy::proxy {

// What a server keeps of a password: enough to check a proof, not enough to make one.
struct ScramSecret {
  int iterations = 4096;
  ByteBuffer salt;
  ScramDigest stored_key{};
  ScramDigest server_key{};

  // "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>", as in pg_authid.rolpassword.
  [[nodiscard]] static std::optional<ScramSecret> parse(std::string_view text);
  [[nodiscard]] static ScramSecret from_password(std::string_view password, ByteView salt,
                                                 int iterations = 4096);
  // Of a user whose password is known in plain text, and for a user there is not. Both look alike and are the
  // same at every try, so that asking tells nothing.
  [[nodiscard]] static ScramSecret for_user(std::string_view user, std::string_view password);
  [[nodiscard]] static ScramSecret for_nobody(std::string_view user);
};

class ScramServer {
 public:
  // A message for the client, or why the exchange is over.
  struct Step {
    std::string message;
    std::string error;  // for the log; a client is told only that authentication failed
  };

  // `known`: false lets the exchange run to its end and fail there, whatever the proof. `binding`: the hash
  // of the certificate this side showed ("tls-server-end-point", RFC 5929); empty without TLS.
  ScramServer(ScramSecret secret, bool known, std::string nonce, ByteBuffer binding = {});

  // "SCRAM-SHA-256" alone, or "SCRAM-SHA-256-PLUS" before it when there is a certificate to bind to.
  [[nodiscard]] bool offers_binding() const { return !binding_.empty(); }

  [[nodiscard]] Step first(std::string_view mechanism, std::string_view client_first);
  [[nodiscard]] Step final(std::string_view client_final);
  // The client proved that it knows the password.
  [[nodiscard]] bool proven() const { return proven_; }
  // To log in elsewhere as that client; once it is proven.
  [[nodiscard]] ScramKeys keys() const { return {client_key_, secret_.server_key}; }

 private:
  [[nodiscard]] std::string check_header(std::string_view mechanism, std::string_view flag) const;

  ScramSecret secret_;
  bool known_;
  std::string nonce_;
  ByteBuffer binding_;
  bool bound_ = false;
  std::string header_;             // the client's GS2 header
  std::string client_first_bare_;  // empty until the first message was taken
  std::string server_first_;
  ScramDigest client_key_{};
  bool proven_ = false;
};

}  // namespace understudy::proxy
