// How long requests took, in the buckets of a Prometheus histogram. One a worker: its thread adds without a
// lock or a locked instruction; whoever asks reads what is there and merges the workers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "formats/transcript/event.h"

namespace understudy::proxy {

// Upper bounds, inclusive; what is slower than the last is in one bucket more.
inline constexpr std::array<TimeNs, 18> kLatencyBounds{
    100'000,       250'000,       500'000,       1'000'000,      2'500'000,      5'000'000,
    10'000'000,    25'000'000,    50'000'000,    100'000'000,    250'000'000,    500'000'000,
    1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000, 30'000'000'000, 60'000'000'000};

struct LatencyCounts {
  std::array<std::uint64_t, kLatencyBounds.size() + 1> buckets{};  // each its own, not cumulated
  TimeNs sum = 0;

  void merge(const LatencyCounts& other) {
    for (std::size_t bucket = 0; bucket < buckets.size(); ++bucket) buckets[bucket] += other.buckets[bucket];
    sum += other.sum;
  }
};

class LatencyHistogram {
 public:
  // The worker's own thread.
  void add(TimeNs latency) {
    std::size_t bucket = 0;
    while (bucket < kLatencyBounds.size() && latency > kLatencyBounds[bucket]) ++bucket;
    raise(buckets_[bucket], std::uint64_t{1});
    raise(sum_, latency);
  }
  // Any thread.
  [[nodiscard]] LatencyCounts counts() const {
    LatencyCounts counts;
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      counts.buckets[bucket] = buckets_[bucket].load(std::memory_order_relaxed);
    }
    counts.sum = sum_.load(std::memory_order_relaxed);
    return counts;
  }

 private:
  // There is but one writer.
  template <typename Number>
  static void raise(std::atomic<Number>& number, Number by) {
    number.store(number.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  std::array<std::atomic<std::uint64_t>, kLatencyBounds.size() + 1> buckets_{};
  std::atomic<TimeNs> sum_{0};
};

}  // namespace understudy::proxy
