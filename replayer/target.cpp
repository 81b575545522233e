#include "replayer/target.h"

#include <libpq-fe.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace understudy::replayer {
namespace {

// An option as libpq resolved it, from wherever; of "password" it says what was given, not what pgpass held.
std::string option_of(PGconn* connection, std::string_view keyword) {
  std::string value;
  PQconninfoOption* const options = PQconninfo(connection);
  for (const PQconninfoOption* option = options; option != nullptr && option->keyword != nullptr; ++option) {
    if (option->keyword == keyword && option->val != nullptr) value = option->val;
  }
  PQconninfoFree(options);
  return value;
}

// keyword='value', as in a conninfo string.
std::string setting(std::string_view keyword, std::string_view value) {
  std::string text(keyword);
  text += "='";
  for (const char letter : value) {
    if (letter == '\'' || letter == '\\') text += '\\';
    text += letter;
  }
  return text + "' ";
}

// A file for TLS: given, or where libpq looks for it by itself. Empty when there is none.
std::string file_option(PGconn* connection, std::string_view keyword, const char* default_name) {
  std::string given = option_of(connection, keyword);
  const char* const home = std::getenv("HOME");
  if (!given.empty() || home == nullptr) return given;
  const auto usual = std::filesystem::path(home) / ".postgresql" / default_name;
  std::error_code error;
  return std::filesystem::exists(usual, error) ? usual.string() : std::string();
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

const NameMap::value_type* mapping_of(const NameMap& map, const std::string& name) {
  auto found = map.find(name);
  if (found == map.end()) found = map.find("*");
  return found == map.end() ? nullptr : &*found;
}

const std::string& mapped(const NameMap& map, const std::string& name) {
  const NameMap::value_type* const mapping = mapping_of(map, name);
  return mapping == nullptr ? name : mapping->second;
}

Target::Target(const std::string& conninfo) : conninfo_(conninfo) {
  // Later ones count: what the string says of the time-out is kept.
  const char* const timeout = std::getenv("PGCONNECT_TIMEOUT") == nullptr ? "10" : nullptr;
  const char* keywords[] = {"connect_timeout", "dbname", "fallback_application_name", nullptr};
  const char* values[] = {timeout, conninfo.c_str(), "understudy replay", nullptr};
  connection_ = PQconnectdbParams(keywords, values, 1);
  if (PQstatus(connection_) != CONNECTION_OK) {
    const std::string error = trimmed(PQerrorMessage(connection_));
    const bool password =
        PQconnectionNeedsPassword(connection_) != 0 || PQconnectionUsedPassword(connection_) != 0;
    PQfinish(connection_);
    throw std::runtime_error(
        "cannot connect to the target: " + error +
        (password ? "\nIts password is that of --to, of PGPASSWORD, or of a pgpass file" : ""));
  }
  const char* numeric = PQhostaddr(connection_);
  address_.host = numeric != nullptr && *numeric != '\0' ? numeric : PQhost(connection_);
  const std::string_view port = PQport(connection_);
  std::from_chars(port.data(), port.data() + port.size(), address_.port);
  own_user_ = PQuser(connection_);
  given_password_ = option_of(connection_, "password");
  passfile_ = option_of(connection_, "passfile");
}

Target::~Target() { PQfinish(connection_); }

proxy::TlsSettings::Servers Target::tls() const {
  proxy::TlsSettings::Servers settings;
  if (PQsslInUse(connection_) == 0) return settings;
  settings.mode = proxy::ServerTlsMode::kRequire;
  settings.host = PQhost(connection_);
  const std::string mode = option_of(connection_, "sslmode");
  if (mode == "verify-ca") settings.mode = proxy::ServerTlsMode::kVerifyCa;
  if (mode == "verify-full") settings.mode = proxy::ServerTlsMode::kVerifyFull;
  if (mode == "require" || mode.starts_with("verify-")) {
    settings.ca_file = file_option(connection_, "sslrootcert", "root.crt");
  }
  settings.certificate_file = file_option(connection_, "sslcert", "postgresql.crt");
  if (!settings.certificate_file.empty()) {
    settings.key_file = file_option(connection_, "sslkey", "postgresql.key");
  }
  return settings;
}

std::string Target::server_version() const {
  const char* version = PQparameterStatus(connection_, "server_version");
  return version == nullptr ? "unknown" : version;
}

std::string Target::database() const {
  const char* const name = PQdb(connection_);
  return name == nullptr ? "" : name;
}

const std::string& Target::password(const std::string& user, const std::string& database) {
  if (user == own_user_ && !given_password_.empty()) return given_password_;
  const std::lock_guard lock(mutex_);
  const auto [found, fresh] = found_.try_emplace({user, database});
  if (fresh) found->second = look_up_password(user, database);
  return found->second.empty() ? given_password_ : found->second;
}

TargetTables Target::read_tables(const std::string& database) const {
  const char* keywords[] = {"connect_timeout", "dbname", "dbname", "fallback_application_name", nullptr};
  const char* values[] = {"10", conninfo_.c_str(), database.c_str(), "understudy replay", nullptr};
  PGconn* const connection = PQconnectdbParams(keywords, values, 1);
  TargetTables tables;
  if (PQstatus(connection) == CONNECTION_OK) tables = TargetTables(connection);
  PQfinish(connection);
  return tables;
}

// libpq keeps its reading of pgpass files to itself; a connection that is begun and dropped tells what it
// read. The empty password keeps PGPASSWORD out, the numeric address the resolver.
std::string Target::look_up_password(const std::string& user, const std::string& database) const {
  const char* const numeric = PQhostaddr(connection_);
  const std::string conninfo =
      setting("host", PQhost(connection_)) + setting("hostaddr", numeric == nullptr ? "" : numeric) +
      setting("port", std::to_string(address_.port)) + setting("user", user) + setting("dbname", database) +
      setting("password", "") + setting("passfile", passfile_);
  PGconn* const probe = PQconnectStart(conninfo.c_str());
  const char* const password = probe == nullptr ? nullptr : PQpass(probe);
  std::string found = password == nullptr ? "" : password;
  PQfinish(probe);
  return found;
}

}  // namespace understudy::replayer
