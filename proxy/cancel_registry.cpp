#include "proxy/cancel_registry.h"

#include <openssl/crypto.h>

#include <utility>

#include "proxy/randomness.h"

namespace understudy::proxy {
namespace {

bool same_key(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

ByteBuffer CancelRegistry::enroll(CancelTarget target) {
  ByteBuffer key(target.server_key.size());
  if (!fill_random(key)) return {};
  const std::lock_guard lock(mutex_);
  const std::uint32_t process_id = target.process_id;
  entries_.emplace(process_id, Entry{key, std::move(target), false});
  return key;
}

bool CancelRegistry::remove(std::uint32_t process_id, ByteView client_key) {
  const std::lock_guard lock(mutex_);
  auto [at, end] = entries_.equal_range(process_id);
  for (; at != end; ++at) {
    if (!same_key(at->second.client_key, client_key)) continue;
    const bool found = at->second.found;
    entries_.erase(at);
    return found;
  }
  return false;
}

void CancelRegistry::move(std::uint32_t process_id, ByteView client_key, CancelTarget target) {
  (void)exchange(process_id, client_key, std::move(target));
}

CancelTarget CancelRegistry::exchange(std::uint32_t process_id, ByteView client_key, CancelTarget target) {
  const std::lock_guard lock(mutex_);
  auto [at, end] = entries_.equal_range(process_id);
  for (; at != end; ++at) {
    if (same_key(at->second.client_key, client_key))
      return std::exchange(at->second.target, std::move(target));
  }
  return {};
}

std::optional<CancelTarget> CancelRegistry::find(std::uint32_t process_id, ByteView client_key) {
  const std::lock_guard lock(mutex_);
  auto [at, end] = entries_.equal_range(process_id);
  for (; at != end; ++at) {
    if (!same_key(at->second.client_key, client_key)) continue;
    at->second.found = true;
    return at->second.target;
  }
  return std::nullopt;
}

}  // namespace understudy::proxy
