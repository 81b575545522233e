#include "proxy/access_policy.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace understudy::proxy {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || stream.bad()) throw std::runtime_error(path + ": " + std::strerror(errno));
  return text;
}

}  // namespace

std::shared_ptr<const AccessPolicy> load_access_policy(const Configuration& configuration) {
  if (configuration.auth == AuthenticationSource::kRelay) return nullptr;
  auto policy = std::make_shared<AccessPolicy>();
  const bool trust = configuration.auth == AuthenticationSource::kTrust;
  policy->trust_network = configuration.auth_trust_network;
  if (!trust && configuration.auth_file.empty())
    throw std::runtime_error("auth = file needs auth_file, the users and their secrets");
  if (!configuration.auth_file.empty()) policy->users = UserFile::read(configuration.auth_file);
  if (!configuration.auth_hba_file.empty()) {
    policy->rules = AccessRules::parse(read_file(configuration.auth_hba_file), configuration.auth_hba_file);
  } else {
    policy->rules = AccessRules::everybody(trust ? AuthenticationMethod::kTrust : configuration.auth_type);
  }
  return policy;
}

}  // namespace understudy::proxy
