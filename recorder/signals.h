// Signals as the main thread of a long-running command waits for them: blocked everywhere, taken one at a
// time from a descriptor, so that no code ever runs inside a handler.
#pragma once

#include <optional>

namespace understudy::recorder {

// Construct before any thread is started: threads inherit the blocked signals. SIGPIPE is ignored.
class Signals {
 public:
  // Throws std::system_error.
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  static constexpr int kNotified = 0;
  // Waits for SIGTERM, SIGINT, SIGHUP or SIGUSR1, or for notify(): returns the signal's number or kNotified.
  [[nodiscard]] int wait() const;
  // The same, for at most so long, or until `descriptor` (-1: none) is readable: nothing then.
  [[nodiscard]] std::optional<int> poll(int descriptor, int timeout_ms) const;
  // Any thread. Ends the present (or next) wait.
  void notify() const;

 private:
  [[nodiscard]] int take(bool signalled) const;

  int signal_fd_ = -1;
  int event_fd_ = -1;
};

}  // namespace understudy::recorder
