// How the proxy authenticates clients itself, as configured: rules and users, an immutable snapshot that a
// reload replaces. Without one, authentication is relayed to the server (auth = relay).
#pragma once

#include <memory>
#include <mutex>

#include "proxy/access_rules.h"
#include "proxy/configuration.h"
#include "proxy/user_file.h"

namespace understudy::proxy {

struct AccessPolicy {
  AccessRules rules;
  UserFile users;
  // Where the file does not know a user, the database is asked.
  std::optional<AuthQuery> query;
  // Trust clients of other machines too (said twice).
  bool trust_network = false;
};

// Reads the files the configuration names; null for auth = relay. Throws std::runtime_error naming file and
// line, or the setting that is missing.
[[nodiscard]] std::shared_ptr<const AccessPolicy> load_access_policy(const Configuration& configuration);

// The policy now in force. Any thread.
class AccessPolicyHolder {
 public:
  [[nodiscard]] std::shared_ptr<const AccessPolicy> get() const {
    const std::lock_guard lock(mutex_);
    return policy_;
  }
  void set(std::shared_ptr<const AccessPolicy> policy) {
    const std::lock_guard lock(mutex_);
    policy_ = std::move(policy);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const AccessPolicy> policy_;
};

}  // namespace understudy::proxy
