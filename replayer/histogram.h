// Durations counted in log-linear buckets: 32 to an octave, so a percentile is off by at most 3 %, in 8 KiB
// however many are counted (Gil Tene's HdrHistogram is the idea). One thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "formats/transcript/event.h"

namespace understudy::replayer {

class Histogram {
 public:
  void add(TimeNs duration) {
    const auto value = static_cast<std::uint64_t>(std::max<TimeNs>(duration, 0));
    ++buckets_[bucket(value)];
    ++count_;
    max_ = std::max(max_, duration);
  }
  void add(const Histogram& other) {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] TimeNs max() const { return max_; }
  // The duration that `fraction` of all do not exceed, 0 when there are none.
  [[nodiscard]] TimeNs percentile(double fraction) const {
    const auto rank = static_cast<std::uint64_t>(fraction * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen > rank) return std::min(max_, static_cast<TimeNs>(upper_bound(i)));
    }
    return max_;
  }

 private:
  static constexpr unsigned kSubBits = 5;
  static constexpr std::size_t kBuckets = (64 - kSubBits + 1) << kSubBits;

  static std::size_t bucket(std::uint64_t value) {
    if (value < (1U << kSubBits)) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
    return ((std::size_t{shift} + 1) << kSubBits) + ((value >> shift) & ((1U << kSubBits) - 1));
  }
  static std::uint64_t upper_bound(std::size_t index) {
    const std::size_t octave = index >> kSubBits;
    const std::uint64_t sub = index & ((1U << kSubBits) - 1);
    if (octave == 0) return sub;
    return (((std::uint64_t{1} << kSubBits) + sub + 1) << (octave - 1)) - 1;
  }

  std::array<std::uint32_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  TimeNs max_ = 0;
};

}  // namespace understudy::replayer
