#include "proxy/access_policy.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "proxy/password_file.h"

namespace understudy::proxy {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || stream.bad()) throw std::runtime_error(path + ": " + std::strerror(errno));
  return text;
}

// The password of auth_user: in auth_file, or where libpq would find it.
AuthQuery with_password(const Configuration& configuration, const UserFile& users) {
  AuthQuery query = configuration.auth_query;
  if (query.user.empty()) throw std::runtime_error("auth = query needs auth_user, who asks the database");
  const UserSecret* const secret = users.find(query.user);
  if (secret != nullptr) query.password = secret->password;
  if (!query.password.empty()) return query;
  const std::string passwords = read_password_file();
  std::vector<Address> backends = configuration.backends;
  if (backends.empty()) backends.emplace_back();  // Patroni's, not known yet: a line for all hosts
  for (const Address& backend : backends) {
    const auto found = find_password(passwords, {backend, query.database, query.user});
    if (found) query.password = *found;
    if (found) break;
  }
  if (query.password.empty() && secret != nullptr) {
    throw std::runtime_error("auth_user " + query.user +
                             " must log in at the server: auth_file needs its password in plain text, or "
                             "leave it out there and put it into the password file (~/.pgpass)");
  }
  return query;
}

}  // namespace

std::shared_ptr<const AccessPolicy> load_access_policy(const Configuration& configuration) {
  if (configuration.auth == AuthenticationSource::kRelay) return nullptr;
  auto policy = std::make_shared<AccessPolicy>();
  const bool trust = configuration.auth == AuthenticationSource::kTrust;
  const bool file = configuration.auth == AuthenticationSource::kFile;
  policy->trust_network = configuration.auth_trust_network;
  if (file && configuration.auth_file.empty())
    throw std::runtime_error("auth = file needs auth_file, the users and their secrets");
  if (!configuration.auth_file.empty()) policy->users = UserFile::read(configuration.auth_file);
  if (configuration.auth == AuthenticationSource::kQuery) {
    policy->query = with_password(configuration, policy->users);
  }
  if (!configuration.auth_hba_file.empty()) {
    policy->rules = AccessRules::parse(read_file(configuration.auth_hba_file), configuration.auth_hba_file);
  } else {
    policy->rules = AccessRules::everybody(trust ? AuthenticationMethod::kTrust : configuration.auth_type);
  }
  return policy;
}

}  // namespace understudy::proxy
