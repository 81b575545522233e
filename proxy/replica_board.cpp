#include "proxy/replica_board.h"

#include <algorithm>

namespace understudy::proxy {
namespace {

// The one that reads must not be behind: the primary's; without one, the highest that a server is on.
std::uint32_t present_timeline(const Topology& topology) {
  if (topology.primary) return topology.backends[*topology.primary].timeline;
  std::uint32_t highest = 0;
  for (const BackendState& backend : topology.backends) {
    if (backend.up) highest = std::max(highest, backend.timeline);
  }
  return highest;
}

}  // namespace

void ReplicaBoard::begin(std::size_t backends, std::function<void()> ask_soon) {
  entries_ = std::make_unique<Entry[]>(backends);
  size_ = backends;
  ask_soon_ = std::move(ask_soon);
}

void ReplicaBoard::set_limits(const LagLimits& limits) {
  most_lag_.store(limits.time, std::memory_order_relaxed);
  most_lag_bytes_.store(limits.bytes, std::memory_order_relaxed);
}

void ReplicaBoard::publish(const Topology& topology) {
  const std::uint32_t timeline = present_timeline(topology);
  const TimeNs most_lag = most_lag_.load(std::memory_order_relaxed);
  const std::uint64_t most_bytes = most_lag_bytes_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < std::min(size_, topology.backends.size()); ++i) {
    const BackendState& backend = topology.backends[i];
    const bool near =
        (most_lag == 0 || backend.lag <= most_lag) && (most_bytes == 0 || backend.lag_bytes <= most_bytes);
    const bool readable = backend.up && backend.role == BackendRole::kReplica && near &&
                          backend.timeline == timeline && !backend.addresses.empty();
    const std::uint64_t known = entries_[i].position.load(std::memory_order_relaxed);
    entries_[i].position.store(readable ? std::max(known, backend.lsn.value) : 0, std::memory_order_relaxed);
    entries_[i].readable.store(readable, std::memory_order_relaxed);
  }
}

std::optional<std::size_t> ReplicaBoard::choose(Lsn least) const {
  std::optional<std::size_t> best;
  std::uint64_t fewest = 0;
  for (std::size_t i = 0; i < size_; ++i) {
    if (!readable(i) || position(i) < least) continue;
    const std::uint64_t sessions = entries_[i].sessions.load(std::memory_order_relaxed);
    if (best && sessions >= fewest) continue;
    best = i;
    fewest = sessions;
  }
  return best;
}

void ReplicaBoard::want_positions() {
  if (!wanted_.exchange(true, std::memory_order_relaxed) && ask_soon_) ask_soon_();
}

}  // namespace understudy::proxy
