// Who may log in, when the proxy authenticates clients itself: users and their secrets, in pgbouncer's
// auth_file format. Immutable once read; shared between threads as a snapshot.
//
//     "ada"   "SCRAM-SHA-256$4096:...$...:..."     as in pg_authid.rolpassword
//     "bob"   "md5..."                             likewise
//     "carol" "in plain text"
//     ; a comment
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/scram_server.h"

namespace understudy::proxy {

struct UserSecret {
  std::string password;              // plain text, when that is what the file has
  std::string md5;                   // "md5" and 32 hexadecimal digits, likewise
  std::optional<ScramSecret> scram;  // likewise
  // Made of the password, once: a login that begins costs no more than one of a user there is not.
  std::optional<ScramSecret> scram_of_password;
  [[nodiscard]] bool empty() const { return password.empty() && md5.empty() && !scram; }
};

// What the text of a user's secret is: a SCRAM secret, an md5 hash, or a password.
[[nodiscard]] UserSecret parse_user_secret(std::string_view user, std::string_view text);

class UserFile {
 public:
  // The text of a file called `name`. Throws std::runtime_error with name and line.
  [[nodiscard]] static UserFile parse(std::string_view text, const std::string& name);
  // Reads the file. Throws std::runtime_error naming it.
  [[nodiscard]] static UserFile read(const std::string& path);

  // Null when there is no such user.
  [[nodiscard]] const UserSecret* find(const std::string& user) const;
  [[nodiscard]] std::size_t size() const { return users_.size(); }

 private:
  std::map<std::string, UserSecret> users_;
};

}  // namespace understudy::proxy
