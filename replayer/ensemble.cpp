#include "replayer/ensemble.h"

#include <algorithm>
#include <vector>

namespace understudy::replayer {

bool Ensemble::others_reached(const Part& part, TimeNs at) const {
  return std::all_of(parts_.begin(), parts_.end(),
                     [&](const Part& other) { return &other == &part || other.reached >= at; });
}

bool Ensemble::may_open(unsigned part, TimeNs at) {
  if (parts_.size() == 1) return true;
  std::vector<std::function<void()>> behind;
  {
    const std::lock_guard lock(mutex_);
    Part& asking = parts_[part];
    if (others_reached(asking, at)) return true;
    if (asking.waits_for == at) return false;  // they know
    asking.waits_for = at;
    asked_.store(true, std::memory_order_relaxed);
    for (const Part& other : parts_) {
      if (&other != &asking && other.reached < at) behind.push_back(other.wake);
    }
  }
  for (const auto& wake : behind) wake();
  return false;
}

void Ensemble::reached(unsigned part, TimeNs at) {
  std::vector<std::function<void()>> may_go;
  {
    const std::lock_guard lock(mutex_);
    parts_[part].reached = std::max(parts_[part].reached, at);
    bool asked = false;
    for (Part& waiting : parts_) {
      if (!waiting.waits_for) continue;
      if (others_reached(waiting, *waiting.waits_for)) {
        waiting.waits_for.reset();
        may_go.push_back(waiting.wake);
      } else {
        asked = true;
      }
    }
    asked_.store(asked, std::memory_order_relaxed);
  }
  for (const auto& wake : may_go) wake();
}

TimeNs Ensemble::last_progress() const {
  TimeNs last = 0;
  for (const Part& part : parts_) last = std::max(last, part.last_progress.load(std::memory_order_relaxed));
  return last;
}

void Ensemble::add_process(std::uint32_t process_id) {
  const std::lock_guard lock(mutex_);
  processes_.insert(process_id);
}

void Ensemble::remove_process(std::uint32_t process_id) {
  const std::lock_guard lock(mutex_);
  processes_.erase(process_id);
}

std::unordered_set<std::uint32_t> Ensemble::processes() const {
  const std::lock_guard lock(mutex_);
  return processes_;
}

void Ensemble::logged_in() {
  const std::lock_guard lock(mutex_);
  ++logged_in_;
  missed_since_.reset();
}

void Ensemble::left() {
  const std::lock_guard lock(mutex_);
  --logged_in_;
}

void Ensemble::refused() {
  const std::lock_guard lock(mutex_);
  missed_since_.reset();
}

// While a session is logged in the target is there, whatever keeps others from reaching it.
TimeNs Ensemble::missed(TimeNs now) {
  const std::lock_guard lock(mutex_);
  if (logged_in_ > 0) return 0;
  if (!missed_since_) missed_since_ = now;
  return now - *missed_since_;
}

}  // namespace understudy::replayer
