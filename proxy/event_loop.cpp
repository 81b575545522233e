#include "proxy/event_loop.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "proxy/clock.h"

namespace understudy::proxy {
namespace {

constexpr int kMaxEvents = 256;
// The slot travels in the lowest bit of the pointer, which alignment leaves free.
constexpr std::uint64_t kSlotBit = 1;
// No object lives at these addresses.
constexpr std::uint64_t kWakeTag = 0;
constexpr std::uint64_t kTimerTag = 2;
static_assert(alignof(Runnable) > kSlotBit);

}  // namespace

EventLoop::EventLoop()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (epoll_ < 0 || wake_ < 0 || timer_ < 0)
    throw std::system_error(errno, std::generic_category(), "event loop");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeTag;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
  event.data.u64 = kTimerTag;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event);
}

EventLoop::~EventLoop() {
  dead_.clear();
  close(timer_);
  close(wake_);
  close(epoll_);
}

void EventLoop::control(int operation, int descriptor, std::uint32_t events, Runnable* runnable,
                        Runnable::Slot slot) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = reinterpret_cast<std::uint64_t>(runnable) | static_cast<std::uint64_t>(slot);
  if (epoll_ctl(epoll_, operation, descriptor, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

void EventLoop::watch(int descriptor, std::uint32_t events, Runnable& runnable, Runnable::Slot slot) {
  control(EPOLL_CTL_ADD, descriptor, events, &runnable, slot);
}
void EventLoop::change(int descriptor, std::uint32_t events, Runnable& runnable, Runnable::Slot slot) {
  control(EPOLL_CTL_MOD, descriptor, events, &runnable, slot);
}
void EventLoop::unwatch(int descriptor) { epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr); }

void EventLoop::make_runnable(Runnable& runnable) {
  if (runnable.queued_) return;
  runnable.queued_ = true;
  runnable_.push_back(&runnable);
}

void EventLoop::post(Task task) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(task));
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
}

void EventLoop::stop() {
  stopping_ = true;
  post([] {});
}

EventLoop::TimerId EventLoop::call_at(TimeNs when, Task callback) {
  const TimerId id = next_timer_++;
  timers_.emplace(id, std::move(callback));
  due_.push({when, id});
  return id;
}

void EventLoop::run() {
  while (!stopping_) {
    wait();
    run_turns();
    run_timers();
    // Timers and turns may defer, and deferred work may make things runnable; nothing of it waits for I/O.
    while (!runnable_.empty() || !deferred_.empty()) {
      std::vector<Task> deferred;
      deferred.swap(deferred_);
      for (Task& task : deferred) task();
      run_turns();
    }
    dead_.clear();
  }
}

void EventLoop::arm_timer() {
  while (!due_.empty() && !timers_.contains(due_.top().id)) due_.pop();
  if (due_.empty() || due_.top().when == armed_for_) return;
  armed_for_ = due_.top().when;
  const TimeNs left = armed_for_ - now_ns();
  constexpr TimeNs kSecond = 1'000'000'000;
  itimerspec spec{};
  spec.it_value.tv_sec = left > 0 ? left / kSecond : 0;
  spec.it_value.tv_nsec = left > 0 ? left % kSecond : 1;
  timerfd_settime(timer_, 0, &spec, nullptr);
}

void EventLoop::wait() {
  epoll_event events[kMaxEvents];
  arm_timer();
  const int count = epoll_wait(epoll_, events, kMaxEvents, runnable_.empty() && deferred_.empty() ? -1 : 0);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u64 == kWakeTag) {
      drain_wake();
    } else if (events[i].data.u64 == kTimerTag) {
      armed_for_ = 0;
      std::uint64_t expirations = 0;
      [[maybe_unused]] const ssize_t bytes = read(timer_, &expirations, sizeof expirations);
    } else {
      auto* runnable = reinterpret_cast<Runnable*>(events[i].data.u64 & ~kSlotBit);
      runnable->ready_[events[i].data.u64 & kSlotBit] |= events[i].events;
      make_runnable(*runnable);
    }
  }
}

void EventLoop::drain_wake() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t bytes = read(wake_, &count, sizeof count);
  run_posted();
}

void EventLoop::run_posted() {
  std::vector<Task> posted;
  {
    const std::lock_guard lock(posted_mutex_);
    posted.swap(posted_);
  }
  for (Task& task : posted) task();
}

void EventLoop::run_turns() {
  // By index: a turn may make others runnable; they get theirs in the same round.
  for (std::size_t i = 0; i < runnable_.size(); ++i) {
    Runnable& runnable = *runnable_[i];
    const auto ready = runnable.ready_;
    runnable.ready_ = {};
    runnable.queued_ = false;
    runnable.run(ready[0], ready[1]);
  }
  runnable_.clear();
}

void EventLoop::run_timers() {
  if (due_.empty() || armed_for_ != 0) return;  // nothing, or not due: the descriptor would have said so
  const TimeNs now = now_ns();
  while (!due_.empty() && due_.top().when <= now) {
    const TimerId id = due_.top().id;
    due_.pop();
    const auto found = timers_.find(id);
    if (found == timers_.end()) continue;
    const Task callback = std::move(found->second);
    timers_.erase(found);
    callback();
  }
}

}  // namespace understudy::proxy
