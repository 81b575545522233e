// What the parts of a replay know of each other (replay_parts.h): how far each has come where sessions open,
// that any of them has progressed, which of the target's processes are theirs, and whether the target is
// there. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_set>

#include "formats/transcript/event.h"

namespace understudy::replayer {

class Ensemble {
 public:
  explicit Ensemble(unsigned parts) : parts_(parts) {}

  // How a part is told to look again: `wake` may be called on any thread. Before any part begins.
  void join(unsigned part, std::function<void()> wake) { parts_[part].wake = std::move(wake); }
  [[nodiscard]] unsigned size() const { return static_cast<unsigned>(parts_.size()); }

  // Openings keep their recorded place: a part may open a session once all others have come as far. If not,
  // it is woken when they have.
  [[nodiscard]] bool may_open(unsigned part, TimeNs at);
  // Somebody waits for others to say how far they are.
  [[nodiscard]] bool asked() const { return asked_.load(std::memory_order_relaxed); }
  // All that is still to be played of `part` was recorded at or after `at`.
  void reached(unsigned part, TimeNs at);

  void progressed(unsigned part, TimeNs now) {
    parts_[part].last_progress.store(now, std::memory_order_relaxed);
  }
  // Of any part.
  [[nodiscard]] TimeNs last_progress() const;

  void add_process(std::uint32_t process_id);
  void remove_process(std::uint32_t process_id);
  [[nodiscard]] std::unordered_set<std::uint32_t> processes() const;

  // A session has logged in; such a one is over; the target itself refused one.
  void logged_in();
  void left();
  void refused();
  // A login did not reach the target. For how long, while no session was logged in, none has, nor was one
  // refused.
  [[nodiscard]] TimeNs missed(TimeNs now);

 private:
  struct alignas(64) Part {
    std::atomic<TimeNs> last_progress{0};
    TimeNs reached = INT64_MIN;
    std::optional<TimeNs> waits_for;
    std::function<void()> wake;
  };
  [[nodiscard]] bool others_reached(const Part& part, TimeNs at) const;

  mutable std::mutex mutex_;
  std::deque<Part> parts_;
  std::atomic<bool> asked_{false};
  std::unordered_set<std::uint32_t> processes_;
  std::uint64_t logged_in_ = 0;         // sessions at present
  std::optional<TimeNs> missed_since_;  // nothing was heard of the target since
};

}  // namespace understudy::replayer
