#include "replayer/target.h"

#include <libpq-fe.h>

#include <charconv>
#include <cstdlib>
#include <stdexcept>

namespace understudy::replayer {
namespace {

// The password libpq would use because it was given, not found in a pgpass file: that of the string or
// PGPASSWORD.
std::string given_password(const PGconn* connection) {
  std::string password;
  PQconninfoOption* const options = PQconninfo(const_cast<PGconn*>(connection));
  for (const PQconninfoOption* option = options; option != nullptr && option->keyword != nullptr; ++option) {
    if (std::string_view(option->keyword) == "password" && option->val != nullptr) password = option->val;
  }
  PQconninfoFree(options);
  return password;
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
  given_password_ = given_password(connection_);
}

Target::~Target() { PQfinish(connection_); }

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
