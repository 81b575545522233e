// The server a recording is replayed to, named in PostgreSQL's own ways: a URI or conninfo string, PG*
// environment variables, service and pgpass files; all resolved by libpq. Used at start-up, on one thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "proxy/address.h"
#include "proxy/tls_settings.h"

struct pg_conn;

namespace understudy::replayer {

// Recorded names on the left; "*" stands for every other. Unmapped names stay as they are.
using NameMap = std::map<std::string, std::string>;
[[nodiscard]] const std::string& mapped(const NameMap& map, const std::string& name);

class Target {
 public:
  // Connects once, to know that the target is there and who it is. Throws std::runtime_error with libpq's
  // words.
  explicit Target(const std::string& conninfo);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  [[nodiscard]] const proxy::Address& address() const { return address_; }
  // TLS as libpq negotiated it: what was encrypted for it is for every session, and verified as strictly.
  [[nodiscard]] proxy::TlsSettings::Servers tls() const;
  [[nodiscard]] std::string server_version() const;
  // The password for a replayed session's login: that of the URI or PGPASSWORD for whoever, else pgpass's.
  // Remembers what it found. Empty when there is none.
  [[nodiscard]] const std::string& password(const std::string& user, const std::string& database);
  // The connection of the beginning, for questions about locks. Borrowed; one thread at a time.
  [[nodiscard]] pg_conn* connection() const { return connection_; }

 private:
  pg_conn* connection_;
  proxy::Address address_;
  std::string given_password_;
  std::map<std::pair<std::string, std::string>, std::string> found_;
};

}  // namespace understudy::replayer
