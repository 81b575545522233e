#include "proxy/admin_connections.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "proxy/clock.h"

namespace understudy::proxy {
namespace {

constexpr std::chrono::milliseconds kLook{250};
constexpr std::chrono::milliseconds kLookWhileSomeWait{20};
constexpr TimeNs kLongestWait = 30'000'000'000;

void end(int descriptor) {
  ::shutdown(descriptor, SHUT_RDWR);
  ::close(descriptor);
}

}  // namespace

AdminConnections::AdminConnections(std::size_t threads) : threads_(threads), thread_([this] { watch(); }) {}

AdminConnections::~AdminConnections() {
  stop();
  thread_.join();
  for (const auto& [key, entry] : waiting_) end(entry.descriptor);
}

bool AdminConnections::admit(const void* key, int descriptor) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || waiting_.size() >= kMostWaiting || waiting_.contains(key)) return false;
  const int duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return false;  // without a descriptor to end it by, it may not begin
  waiting_.emplace(key, Entry{duplicate, now_ns() + kLongestWait, 0});
  changed_.notify_one();
  return true;
}

AdminConnections::Lease::Lease(AdminConnections& connections, const void* key, TimeNs time)
    : connections_(connections) {
  const std::lock_guard lock(connections_.mutex_);
  const auto entry = connections_.waiting_.extract(key);
  if (entry.empty()) return;  // it was shut down while it waited
  const int descriptor = entry.mapped().descriptor;
  if (connections_.stopping_) ::shutdown(descriptor, SHUT_RDWR);
  const TimeNs now = now_ns();
  connections_.entries_.insert_or_assign(std::this_thread::get_id(), Entry{descriptor, now + time, now});
}

AdminConnections::Lease::~Lease() {
  const std::lock_guard lock(connections_.mutex_);
  const auto entry = connections_.entries_.extract(std::this_thread::get_id());
  if (!entry.empty() && entry.mapped().descriptor >= 0) ::close(entry.mapped().descriptor);
}

void AdminConnections::extend(TimeNs time) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(std::this_thread::get_id());
  if (found == entries_.end()) return;
  found->second.until = now_ns() + time;
  found->second.asks_since = 0;
}

void AdminConnections::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for (const auto& [thread, entry] : entries_) ::shutdown(entry.descriptor, SHUT_RDWR);
  for (const auto& [key, entry] : waiting_) ::shutdown(entry.descriptor, SHUT_RDWR);
  changed_.notify_one();
}

void AdminConnections::watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (entries_.empty() && waiting_.empty()) {
      changed_.wait(lock);
    } else {
      changed_.wait_for(lock, waiting_.empty() ? kLook : kLookWhileSomeWait);
    }
    const TimeNs now = now_ns();
    make_room(now);
    for (const auto& [thread, entry] : entries_) {
      if (now > entry.until) ::shutdown(entry.descriptor, SHUT_RDWR);
    }
    std::erase_if(waiting_, [now](const auto& waiting) {
      const bool over = now > waiting.second.until;
      if (over) end(waiting.second.descriptor);
      return over;
    });
  }
}

// (A thread whose connection was shut down takes one that waits within moments: until then it is counted
// twice, and no more than the next in line ends too early.)
void AdminConnections::make_room(TimeNs now) {
  const std::size_t free = threads_ - std::min(threads_, entries_.size());
  for (std::size_t taken = free; taken < waiting_.size(); ++taken) {
    if (entries_.empty()) return;
    const auto oldest = std::ranges::min_element(entries_, {}, [](const auto& entry) {
      const TimeNs since = entry.second.asks_since;
      return since == 0 ? std::numeric_limits<TimeNs>::max() : since;
    });
    Entry& entry = oldest->second;
    if (entry.asks_since == 0 || now - entry.asks_since < kLeastToAsk) return;
    ::shutdown(entry.descriptor, SHUT_RDWR);
    entry.asks_since = 0;
  }
}

}  // namespace understudy::proxy
