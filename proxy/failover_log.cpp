#include "proxy/failover_log.h"

#include <utility>

namespace understudy::proxy {
namespace {

constexpr std::size_t kKept = 100;

}  // namespace

void FailoverLog::note(const Topology& topology, TimeNs now, std::uint64_t sessions_moved) {
  const std::lock_guard lock(mutex_);
  if (!topology.primary) {
    if (known_ && lost_at_ == 0) lost_at_ = now;
    return;
  }
  const BackendState& primary = topology.backends[*topology.primary];
  const std::string name = primary.address.to_string();
  const TimeNs lost_at = std::exchange(lost_at_, 0);
  const bool same = name == primary_ && primary.timeline == timeline_;
  if (known_ && !(same && lost_at == 0)) {
    if (!events_.empty()) events_.back().sessions_moved = sessions_moved - moved_before_;
    moved_before_ = sessions_moved;
    events_.push_back({now, primary_, name, primary.timeline, lost_at == 0 ? 0 : now - lost_at, 0, same});
    if (events_.size() > kKept) events_.pop_front();
    ++(same ? restarts_ : failovers_);
  }
  known_ = true;
  primary_ = name;
  timeline_ = primary.timeline;
}

std::vector<FailoverEvent> FailoverLog::events(std::uint64_t sessions_moved) const {
  const std::lock_guard lock(mutex_);
  std::vector<FailoverEvent> events(events_.begin(), events_.end());
  if (!events.empty()) events.back().sessions_moved = sessions_moved - moved_before_;
  return events;
}

std::uint64_t FailoverLog::failovers() const {
  const std::lock_guard lock(mutex_);
  return failovers_;
}

std::uint64_t FailoverLog::restarts() const {
  const std::lock_guard lock(mutex_);
  return restarts_;
}

}  // namespace understudy::proxy
