// Between the workers and the recorder thread: full slabs wait here, bounded by bytes, and empty ones go
// back. Answers "is there room?" without ever waiting for the disk.
//
// Owned by the Recorder. Any thread; every critical section is a few pointer moves.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "formats/transcript/slab.h"

namespace understudy::recorder {

class SlabQueue {
 public:
  using Clock = std::chrono::steady_clock;

  // How much of the capacity a slab may use. The last eighth is kept from sessions that fill slabs by
  // themselves, so that when one bulk transfer outruns the disk the small sessions next to it stay whole.
  enum class Room : std::uint8_t {
    kCommon,   // up to seven eighths
    kReserve,  // all of it
    kBeyond    // more than there is: the last slabs of a worker when recording ends
  };

  SlabQueue(std::size_t capacity_bytes, std::size_t slab_bytes)
      : capacity_bytes_(capacity_bytes), slab_bytes_(slab_bytes) {}

  // An empty slab: a used one when there is one, a new one otherwise.
  [[nodiscard]] std::unique_ptr<Slab> empty_slab();
  // Queues `slab` and puts an empty one in its place. False, and nothing happens, when there is no room.
  [[nodiscard]] bool exchange(std::unique_ptr<Slab>& slab, Room room);

  // Waits until at least `wanted_bytes` are queued, `wake` was called or `deadline` has passed.
  void wait(std::size_t wanted_bytes, Clock::time_point deadline);
  // The oldest slab, null when there is none. Its bytes count as queued until it is recycled.
  [[nodiscard]] std::unique_ptr<Slab> pop();
  // A slab that pop() returned and whose content is written.
  void recycle(std::unique_ptr<Slab> slab);
  // Ends the present (or next) wait.
  void wake();

  [[nodiscard]] std::size_t capacity_bytes() const { return capacity_bytes_; }
  [[nodiscard]] std::size_t slab_bytes() const { return slab_bytes_; }
  [[nodiscard]] std::size_t size_bytes() const;
  [[nodiscard]] std::size_t peak_bytes() const;

 private:
  // Empty slabs kept for reuse: enough for a steady flow, few enough that a burst's memory is given back. One
  // that grew (an event larger than a slab, an overload's gap events) is given back too.
  static constexpr std::size_t kKeptSlabs = 8;

  [[nodiscard]] std::size_t limit(Room room) const;

  const std::size_t capacity_bytes_;
  const std::size_t slab_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Slab>> full_;
  std::vector<std::unique_ptr<Slab>> empty_;
  std::size_t size_bytes_ = 0;
  std::size_t peak_bytes_ = 0;
  std::size_t popped_bytes_ = 0;  // of size_bytes_: in the recorder thread's hands
  bool woken_ = false;
};

}  // namespace understudy::recorder
