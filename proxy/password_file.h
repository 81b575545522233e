// libpq's password file (PostgreSQL documentation, "The Password File"): whose password it has for a server.
// Pure but for reading the file; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/address.h"

namespace understudy::proxy {

struct PasswordQuestion {
  Address server;
  std::string database;
  std::string user;
};

// Of the first line of `text` that fits; lines are "host:port:database:user:password", '*' fits all.
[[nodiscard]] std::optional<std::string> find_password(std::string_view text,
                                                       const PasswordQuestion& question);
// Where libpq looks: $PGPASSFILE, else ~/.pgpass. Nothing when there is none, or when others may read it,
// which is logged.
[[nodiscard]] std::string read_password_file();

}  // namespace understudy::proxy
