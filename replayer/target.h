// The server a recording is replayed to, named in PostgreSQL's own ways: a URI or conninfo string, PG*
// environment variables, service and pgpass files; all resolved by libpq. Used on one thread, but for what
// says otherwise.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "proxy/address.h"
#include "proxy/tls_settings.h"
#include "replayer/target_tables.h"

struct pg_conn;

namespace understudy::replayer {

// Recorded names on the left; "*" stands for every other. Unmapped names stay as they are.
using NameMap = std::map<std::string, std::string>;
[[nodiscard]] const std::string& mapped(const NameMap& map, const std::string& name);
// The entry that says so; null when none does.
[[nodiscard]] const NameMap::value_type* mapping_of(const NameMap& map, const std::string& name);

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
  // That it was named with, or libpq's default.
  [[nodiscard]] std::string database() const;
  // The password for a replayed session's login. One that was given (in the string, by a service, in
  // PGPASSWORD) is the target's own user's first of all; others have pgpass's, or else that one. Remembers
  // what it found. Empty when there is none. Any thread.
  [[nodiscard]] const std::string& password(const std::string& user, const std::string& database);
  // What the catalogs of one of its databases say; nothing if it cannot be connected to.
  [[nodiscard]] TargetTables read_tables(const std::string& database) const;
  // The connection of the beginning, for questions about locks. Borrowed; one thread at a time.
  [[nodiscard]] pg_conn* connection() const { return connection_; }

 private:
  [[nodiscard]] std::string look_up_password(const std::string& user, const std::string& database) const;

  std::string conninfo_;
  pg_conn* connection_;
  proxy::Address address_;
  std::string own_user_;
  std::string given_password_;
  std::string passfile_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::string> found_;
};

}  // namespace understudy::replayer
