// Slows down whoever guesses passwords: counts failed logins by address and user, and by address, and lets
// those who fail too often try less and less often.
//
// A count goes up with each failure and down by `allowed` in each `window`. While it is over `allowed`,
// logins of that address and user (or, at five times as much, of that address) begin one after the other, at
// a distance that doubles with each further failure, right password or wrong: who waits learns nothing
// sooner. Other addresses are not affected. An IPv6 address counts by its /64, which is one customer's.
//
// The table is bounded; whoever failed longest ago is forgotten first. No I/O; time is passed in. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "formats/transcript/event.h"

namespace understudy::proxy {

struct LoginGuardSettings {
  std::uint32_t allowed = 10;  // failures in a window that cost nothing; 0: no limit
  TimeNs window = 60'000'000'000;
  TimeNs longest = 10'000'000'000;  // between two logins
  bool operator==(const LoginGuardSettings&) const = default;
};

class LoginGuard {
 public:
  static constexpr std::size_t kMostEntries = 20'000;

  void set(const LoginGuardSettings& settings);

  // When a login that comes now may begin, which takes its place in the line: 0 is at once. Nothing: too many
  // are in line already.
  [[nodiscard]] std::optional<TimeNs> admit(std::string_view peer, std::string_view user, TimeNs now);
  // For who cannot wait: 0 and its place in the line, or how long until there is one.
  [[nodiscard]] TimeNs admit_now(std::string_view peer, std::string_view user, TimeNs now);
  // It failed. True when this should be said: once a window for each address and user, or for the address
  // where its limit is what counts, from the first that costs something.
  [[nodiscard]] bool failed(std::string_view peer, std::string_view user, TimeNs now);
  [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    std::string key;
    double failures = 0;
    TimeNs counted_at = 0;
    TimeNs next = 0;      // when the last in line begins
    TimeNs told_at = -1;  // -1: never
  };
  using Entries = std::list<Entry>;  // whoever failed last at the front

  [[nodiscard]] Entry* find(const std::string& key, TimeNs now);
  [[nodiscard]] Entry& find_or_add(const std::string& key, TimeNs now);
  [[nodiscard]] double leaked(const Entry& entry, TimeNs now) const;
  [[nodiscard]] TimeNs distance(const Entry& entry, double allowed) const;
  [[nodiscard]] TimeNs begins(std::string_view peer, std::string_view user, TimeNs now, TimeNs patience);

  mutable std::mutex mutex_;
  LoginGuardSettings settings_;
  Entries entries_;
  std::unordered_map<std::string, Entries::iterator> index_;
  std::atomic<std::size_t> size_{0};  // so that nobody locks while nobody has failed
};

}  // namespace understudy::proxy
