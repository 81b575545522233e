#include "replayer/target.h"

#include <libpq-fe.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace understudy::replayer {
namespace {

// What libpq uses because it was given (in the string, the environment, a service file) or is its default.
std::string option(PGconn* connection, std::string_view keyword) {
  std::string value;
  PQconninfoOption* const options = PQconninfo(connection);
  for (const PQconninfoOption* known = options; known != nullptr && known->keyword != nullptr; ++known) {
    if (known->keyword == keyword && known->val != nullptr) value = known->val;
  }
  PQconninfoFree(options);
  return value;
}

// A file for TLS: given, or where libpq looks for it by itself. Empty when there is none.
std::string file_option(PGconn* connection, std::string_view keyword, const char* default_name) {
  std::string given = option(connection, keyword);
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

const std::string& mapped(const NameMap& map, const std::string& name) {
  auto found = map.find(name);
  if (found == map.end()) found = map.find("*");
  return found == map.end() ? name : found->second;
}

Target::Target(const std::string& conninfo) {
  const char* keywords[] = {"dbname", "fallback_application_name", nullptr};
  const char* values[] = {conninfo.c_str(), "understudy replay", nullptr};
  connection_ = PQconnectdbParams(keywords, values, 1);
  if (PQstatus(connection_) != CONNECTION_OK) {
    const std::string error = trimmed(PQerrorMessage(connection_));
    PQfinish(connection_);
    throw std::runtime_error("cannot connect to the target: " + error);
  }
  const char* numeric = PQhostaddr(connection_);
  address_.host = numeric != nullptr && *numeric != '\0' ? numeric : PQhost(connection_);
  const std::string_view port = PQport(connection_);
  std::from_chars(port.data(), port.data() + port.size(), address_.port);
  // Not one found in a pgpass file.
  given_password_ = option(connection_, "password");
}

Target::~Target() { PQfinish(connection_); }

proxy::TlsSettings::Servers Target::tls() const {
  proxy::TlsSettings::Servers settings;
  if (PQsslInUse(connection_) == 0) return settings;
  settings.mode = proxy::ServerTlsMode::kRequire;
  settings.host = PQhost(connection_);
  const std::string mode = option(connection_, "sslmode");
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

const std::string& Target::password(const std::string& user, const std::string& database) {
  if (!given_password_.empty()) return given_password_;
  const auto [found, fresh] = found_.try_emplace({user, database});
  if (!fresh) return found->second;
  // libpq keeps its reading of pgpass files to itself; a connection that is begun and dropped tells what it
  // read.
  const std::string port = std::to_string(address_.port);
  const char* keywords[] = {"host", "port", "user", "dbname", nullptr};
  const char* values[] = {PQhost(connection_), port.c_str(), user.c_str(), database.c_str(), nullptr};
  PGconn* const probe = PQconnectStartParams(keywords, values, 0);
  const char* password = probe == nullptr ? nullptr : PQpass(probe);
  if (password != nullptr) found->second = password;
  PQfinish(probe);
  return found->second;
}

}  // namespace understudy::replayer
