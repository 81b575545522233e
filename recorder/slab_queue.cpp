#include "recorder/slab_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace understudy::recorder {

std::size_t SlabQueue::limit(Room room) const {
  switch (room) {
    case Room::kCommon:
      return capacity_bytes_ - capacity_bytes_ / 8;
    case Room::kReserve:
      return capacity_bytes_;
    case Room::kBeyond:
      break;
  }
  return std::numeric_limits<std::size_t>::max();
}

std::unique_ptr<Slab> SlabQueue::empty_slab() {
  {
    const std::lock_guard guard(mutex_);
    if (!empty_.empty()) {
      std::unique_ptr<Slab> slab = std::move(empty_.back());
      empty_.pop_back();
      return slab;
    }
  }
  return std::make_unique<Slab>(slab_bytes_);
}

bool SlabQueue::exchange(std::unique_ptr<Slab>& slab, Room room) {
  const std::size_t bytes = slab->size_bytes();
  {
    const std::lock_guard guard(mutex_);
    // A queue that is empty takes any slab: an event larger than the capacity must not shed for ever.
    if (size_bytes_ != 0 && bytes > limit(room) - std::min(limit(room), size_bytes_)) return false;
    size_bytes_ += bytes;
    peak_bytes_ = std::max(peak_bytes_, size_bytes_);
    full_.push_back(std::move(slab));
    if (!empty_.empty()) {
      slab = std::move(empty_.back());
      empty_.pop_back();
    }
  }
  changed_.notify_one();
  if (slab == nullptr) slab = std::make_unique<Slab>(slab_bytes_);
  return true;
}

void SlabQueue::wait(std::size_t wanted_bytes, Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [&] { return woken_ || size_bytes_ - popped_bytes_ >= wanted_bytes; });
  woken_ = false;
}

std::unique_ptr<Slab> SlabQueue::pop() {
  const std::lock_guard guard(mutex_);
  if (full_.empty()) return nullptr;
  std::unique_ptr<Slab> slab = std::move(full_.front());
  full_.pop_front();
  popped_bytes_ += slab->size_bytes();
  return slab;
}

void SlabQueue::recycle(std::unique_ptr<Slab> slab) {
  const std::size_t bytes = slab->size_bytes();
  slab->clear();
  const std::lock_guard guard(mutex_);
  size_bytes_ -= bytes;
  popped_bytes_ -= bytes;
  if (empty_.size() < kKeptSlabs && bytes <= 2 * slab_bytes_) empty_.push_back(std::move(slab));
}

void SlabQueue::wake() {
  {
    const std::lock_guard guard(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

std::size_t SlabQueue::size_bytes() const {
  const std::lock_guard guard(mutex_);
  return size_bytes_;
}

std::size_t SlabQueue::peak_bytes() const {
  const std::lock_guard guard(mutex_);
  return peak_bytes_;
}

}  // namespace understudy::recorder
