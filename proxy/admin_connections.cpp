#include "proxy/admin_connections.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

#include "proxy/clock.h"

namespace understudy::proxy {
namespace {

constexpr std::chrono::milliseconds kLook{250};
constexpr TimeNs kLongestWait = 30'000'000'000;

void end(int descriptor) {
  ::shutdown(descriptor, SHUT_RDWR);
  ::close(descriptor);
}

}  // namespace

AdminConnections::AdminConnections() : thread_([this] { watch(); }) {}

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
  waiting_.emplace(key, Entry{duplicate, now_ns() + kLongestWait});
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
  connections_.entries_.insert_or_assign(std::this_thread::get_id(), Entry{descriptor, now_ns() + time});
}

AdminConnections::Lease::~Lease() {
  const std::lock_guard lock(connections_.mutex_);
  const auto entry = connections_.entries_.extract(std::this_thread::get_id());
  if (!entry.empty() && entry.mapped().descriptor >= 0) ::close(entry.mapped().descriptor);
}

void AdminConnections::extend(TimeNs time) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(std::this_thread::get_id());
  if (found != entries_.end()) found->second.until = now_ns() + time;
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
      changed_.wait_for(lock, kLook);
    }
    const TimeNs now = now_ns();
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

}  // namespace understudy::proxy
