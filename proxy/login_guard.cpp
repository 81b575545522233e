#include "proxy/login_guard.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "proxy/access_rules.h"

namespace understudy::proxy {
namespace {

constexpr TimeNs kFirstDistance = 500'000'000;
constexpr double kAddressFactor = 5;
// In line: more would only wait for their login's time-out.
constexpr TimeNs kLongestLineFactor = 2;
constexpr std::size_t kNetworkBytes = 8;  // of an IPv6 address

std::string address_key(std::string_view peer) {
  auto address = peer_address(peer);
  if (!address) return "unix";
  if (address->size() > kNetworkBytes) address->resize(kNetworkBytes);
  return {address->begin(), address->end()};
}

std::string pair_key(const std::string& address, std::string_view user) {
  std::string key = address + '\0';
  return key.append(user);
}

}  // namespace

void LoginGuard::set(const LoginGuardSettings& settings) {
  const std::lock_guard lock(mutex_);
  settings_ = settings;
}

double LoginGuard::leaked(const Entry& entry, TimeNs now) const {
  const double windows = static_cast<double>(now - entry.counted_at) /
                         static_cast<double>(std::max<TimeNs>(settings_.window, 1));
  return std::max(0.0, entry.failures - windows * settings_.allowed);
}

LoginGuard::Entry* LoginGuard::find(const std::string& key, TimeNs now) {
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  Entry& entry = *found->second;
  entry.failures = leaked(entry, now);
  entry.counted_at = now;
  return &entry;
}

LoginGuard::Entry& LoginGuard::find_or_add(const std::string& key, TimeNs now) {
  if (Entry* const known = find(key, now)) {
    entries_.splice(entries_.begin(), entries_, index_.at(key));
    return *known;
  }
  if (entries_.size() >= kMostEntries) {
    index_.erase(entries_.back().key);
    entries_.pop_back();
  }
  entries_.emplace_front();
  entries_.front().key = key;
  entries_.front().counted_at = now;
  index_.emplace(key, entries_.begin());
  size_.store(entries_.size(), std::memory_order_relaxed);
  return entries_.front();
}

// Of the next login from the one before; 0: as they come.
TimeNs LoginGuard::distance(const Entry& entry, double allowed) const {
  constexpr double kMostDoublings = 30;
  const double over = entry.failures - allowed;
  if (over <= 0) return 0;
  const double factor = std::exp2(std::min(std::floor(over), kMostDoublings));
  return static_cast<TimeNs>(
      std::min(static_cast<double>(kFirstDistance) * factor, static_cast<double>(settings_.longest)));
}

// How long until the login begins; its place is taken unless that is longer than `patience`.
TimeNs LoginGuard::begins(std::string_view peer, std::string_view user, TimeNs now, TimeNs patience) {
  const std::string address = address_key(peer);
  const std::array<std::pair<Entry*, double>, 2> counted = {
      {{find(pair_key(address, user), now), settings_.allowed},
       {find(address, now), kAddressFactor * settings_.allowed}}};
  TimeNs begins = now;
  for (const auto& [entry, allowed] : counted) {
    if (entry == nullptr) continue;
    const TimeNs away = distance(*entry, allowed);
    if (away > 0) begins = std::max(begins, std::max(entry->next, now) + away);
  }
  if (begins - now > patience) return begins - now;
  for (const auto& [entry, allowed] : counted) {
    if (entry != nullptr && distance(*entry, allowed) > 0) entry->next = begins;
  }
  return begins - now;
}

std::optional<TimeNs> LoginGuard::admit(std::string_view peer, std::string_view user, TimeNs now) {
  if (size() == 0) return 0;
  const std::lock_guard lock(mutex_);
  if (settings_.allowed == 0) return 0;
  const TimeNs patience = kLongestLineFactor * settings_.longest;
  const TimeNs wait = begins(peer, user, now, patience);
  return wait > patience ? std::nullopt : std::optional(wait);
}

// The distance is kept after a try rather than before it.
TimeNs LoginGuard::admit_now(std::string_view peer, std::string_view user, TimeNs now) {
  if (size() == 0) return 0;
  const std::lock_guard lock(mutex_);
  if (settings_.allowed == 0) return 0;
  const std::string address = address_key(peer);
  Entry* const entry = find(pair_key(address, user), now);
  if (entry == nullptr) return 0;
  const TimeNs away = distance(*entry, settings_.allowed);
  if (away == 0) return 0;
  if (entry->next > now) return entry->next - now;
  entry->next = now + away;
  return 0;
}

bool LoginGuard::failed(std::string_view peer, std::string_view user, TimeNs now) {
  const std::lock_guard lock(mutex_);
  if (settings_.allowed == 0) return false;
  const std::string address = address_key(peer);
  find_or_add(address, now).failures += 1;
  Entry& pair = find_or_add(pair_key(address, user), now);
  pair.failures += 1;
  Entry* costs = distance(pair, settings_.allowed) > 0 ? &pair : nullptr;
  Entry* const whole = find(address, now);
  if (whole != nullptr && distance(*whole, kAddressFactor * settings_.allowed) > 0) costs = whole;
  if (costs == nullptr || (costs->told_at >= 0 && now - costs->told_at < settings_.window)) return false;
  costs->told_at = now;
  return true;
}

}  // namespace understudy::proxy
