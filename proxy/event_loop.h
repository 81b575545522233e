// One epoll loop, run by one worker thread. What a loop watches becomes runnable when a descriptor of it is
// ready; after each wait every runnable thing gets one turn, then deferred work is done and the dead are
// buried.
//
// Why a loop a worker: handing a runnable session through a queue costs a context switch a message, and
// one-shot registrations cost an epoll_ctl a message; a session that stays on its worker needs neither.
//
// Threads: post() and stop() from any; all else on the loop's own thread (or before run()).
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <unordered_map>
#include <vector>

#include "formats/transcript/event.h"

namespace understudy::proxy {

// Something with at most two descriptors (a client's and a server's) that runs when either is ready.
class Runnable {
 public:
  enum class Slot : std::uint8_t { kClient = 0, kServer = 1 };

  virtual ~Runnable() = default;
  // One turn. The epoll events seen on each descriptor since the last; both 0 when woken from inside the
  // process.
  virtual void run(std::uint32_t client_events, std::uint32_t server_events) = 0;

 private:
  friend class EventLoop;
  std::array<std::uint32_t, 2> ready_{};
  bool queued_ = false;
};

class EventLoop {
 public:
  using TimerId = std::uint64_t;
  using Task = std::function<void()>;

  // Throws std::system_error when the kernel gives no descriptors.
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs until stop(). Tasks posted before are run.
  void run();
  void stop();
  void post(Task task);

  // Watches `descriptor` for `events` (level-triggered); changes or ends that. `runnable` must be handed to
  // bury() rather than deleted while anything of it is watched or queued.
  void watch(int descriptor, std::uint32_t events, Runnable& runnable, Runnable::Slot slot);
  void change(int descriptor, std::uint32_t events, Runnable& runnable, Runnable::Slot slot);
  void unwatch(int descriptor);
  void make_runnable(Runnable& runnable);
  // Runs `task` after the present turns, before the next wait.
  void defer(Task task) { deferred_.push_back(std::move(task)); }
  // Deletes after the present turns: events of this round may still name it.
  void bury(std::unique_ptr<Runnable> dead) { dead_.push_back(std::move(dead)); }

  TimerId call_at(TimeNs when, Task callback);
  void cancel(TimerId timer) { timers_.erase(timer); }

 private:
  void control(int operation, int descriptor, std::uint32_t events, Runnable* runnable, Runnable::Slot slot);
  void wait();
  void run_turns();
  void run_posted();
  void run_timers();
  void drain_wake();
  void arm_timer();

  int epoll_ = -1;
  int wake_ = -1;
  // Timers go through one descriptor, armed when the earliest changes: a time-out given to every wait would
  // set up and tear down a kernel timer a message.
  int timer_ = -1;
  TimeNs armed_for_ = 0;
  std::atomic<bool> stopping_{false};
  std::vector<Runnable*> runnable_;
  std::vector<Task> deferred_;
  std::vector<std::unique_ptr<Runnable>> dead_;

  struct Due {
    TimeNs when;
    TimerId id;
    bool operator>(const Due& other) const { return when != other.when ? when > other.when : id > other.id; }
  };
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::unordered_map<TimerId, Task> timers_;
  TimerId next_timer_ = 1;

  std::mutex posted_mutex_;
  std::vector<Task> posted_;
};

}  // namespace understudy::proxy
