// How a client proves who it is, and who judges that. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/transcript/event.h"

namespace understudy::proxy {

enum class AuthenticationMethod : std::uint8_t { kTrust, kPassword, kMd5, kScram, kReject };

// "trust", "password" ("plain"), "md5", "scram-sha-256", "reject". None for any other word.
[[nodiscard]] std::optional<AuthenticationMethod> authentication_method_named(std::string_view word);

// Who judges: the server (its messages are relayed), or the proxy by a file, or nobody, or the proxy by what
// the database knows.
enum class AuthenticationSource : std::uint8_t { kRelay, kFile, kTrust, kQuery };

// How users are looked up in the database: pgbouncer's auth_query.
struct AuthQuery {
  std::string user;      // who asks
  std::string password;  // secret; empty: none is known
  std::string database = "postgres";
  // One row with the user's name and its secret, as pg_authid has it. $1: the user.
  std::string sql =
      "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid"
      " WHERE rolname = $1 AND rolcanlogin";
  TimeNs time_to_live = 30'000'000'000;  // of what was found; 0: asked at each login
  bool operator==(const AuthQuery&) const = default;
};

}  // namespace understudy::proxy
