// Which replicas may be read from at this moment, how far each has replayed, and how much they are read: what
// sessions look at for each read, and so without a lock. The monitor writes it.
//
// Any thread, but for begin(): before there are any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "proxy/mode.h"
#include "proxy/topology.h"

namespace understudy::proxy {

class ReplicaBoard {
 public:
  // `ask_soon` has the monitor ask replicas for their positions; called on a session's thread.
  void begin(std::size_t backends, std::function<void()> ask_soon);
  [[nodiscard]] std::size_t size() const { return size_; }
  void set_limits(const LagLimits& limits);

  // The monitor's.
  void publish(const Topology& topology);
  void replayed(std::size_t backend, Lsn position) {
    entries_[backend].position.store(position.value, std::memory_order_relaxed);
  }
  // Its connection ended: a server that comes back may be behind where it was.
  void forget_position(std::size_t backend) { replayed(backend, {}); }
  void asking() { wanted_.store(false, std::memory_order_relaxed); }

  [[nodiscard]] bool readable(std::size_t backend) const {
    return entries_[backend].readable.load(std::memory_order_relaxed);
  }
  // It has replayed so much at least.
  [[nodiscard]] Lsn position(std::size_t backend) const {
    return {entries_[backend].position.load(std::memory_order_relaxed)};
  }
  // Of those that may be read from and are so far, the one with the fewest sessions.
  [[nodiscard]] std::optional<std::size_t> choose(Lsn least = {}) const;
  // Positions are wanted as they are now, not as they were at the last check.
  void want_positions();

  void enter(std::size_t backend) { entries_[backend].sessions.fetch_add(1, std::memory_order_relaxed); }
  void leave(std::size_t backend) { entries_[backend].sessions.fetch_sub(1, std::memory_order_relaxed); }
  void count_read(std::size_t backend) { entries_[backend].reads.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t reads(std::size_t backend) const {
    return entries_[backend].reads.load(std::memory_order_relaxed);
  }

 private:
  struct Entry {
    std::atomic<bool> readable{false};
    std::atomic<std::uint64_t> position{0};
    std::atomic<std::uint64_t> sessions{0};
    std::atomic<std::uint64_t> reads{0};
  };
  std::unique_ptr<Entry[]> entries_;
  std::size_t size_ = 0;
  std::function<void()> ask_soon_;
  std::atomic<bool> wanted_{false};
  std::atomic<TimeNs> most_lag_{LagLimits().time};
  std::atomic<std::uint64_t> most_lag_bytes_{0};
};

}  // namespace understudy::proxy
