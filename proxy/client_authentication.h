// The server's side of a client's login, when the proxy authenticates it itself: which message to send next,
// and whether the client is who it says it is. No I/O. One login an object, on its session's worker.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "proxy/authentication_method.h"
#include "proxy/user_file.h"

namespace understudy::proxy {

class ClientAuthentication {
 public:
  struct Step {
    ByteBuffer message;   // for the client; may be empty
    bool done = false;    // the client is let in; AuthenticationOk is left to whoever has a server for it
    std::string refused;  // why not, for the log: the client is told only that authentication failed
  };

  // `secret` may be null: no such user; the exchange then takes as long and fails at its end. `binding`: of
  // the certificate shown to the client, empty without TLS. With md5, nobody is asked for md5 and a user with
  // a SCRAM secret for SCRAM, which tells that there is one; PostgreSQL does likewise (password_encryption).
  ClientAuthentication(AuthenticationMethod method, std::string user, const UserSecret* secret,
                       ByteBuffer binding = {});

  // The request that begins it; done at once for trust.
  [[nodiscard]] Step begin();
  // The payload of the client's next message 'p'.
  [[nodiscard]] Step answer(ByteView payload);

  // What logs the proxy in at the server as this user: the password when it is known, else SCRAM keys when
  // the client proved itself by SCRAM.
  [[nodiscard]] const std::string& password() const { return known_password_; }
  [[nodiscard]] const std::optional<ScramKeys>& keys() const { return keys_; }

 private:
  [[nodiscard]] Step check_password(ByteView payload);
  [[nodiscard]] Step check_md5(ByteView payload);
  [[nodiscard]] Step continue_scram(ByteView payload);
  [[nodiscard]] Step let_in() const;

  AuthenticationMethod method_;
  std::string user_;
  UserSecret secret_;
  bool known_;
  ByteBuffer salt_;  // of md5
  std::unique_ptr<ScramServer> scram_;
  bool scram_begun_ = false;
  std::string known_password_;
  std::optional<ScramKeys> keys_;
};

}  // namespace understudy::proxy
