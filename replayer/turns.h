// Sessions in the order of their next steps, as they were recorded. One thread.
#pragma once

#include <functional>
#include <optional>
#include <queue>
#include <vector>

#include "formats/transcript/event.h"

namespace understudy::replayer {

struct Turn {
  TimeNs time;
  SessionId session;
  bool operator>(const Turn& other) const {
    return time != other.time ? time > other.time : session > other.session;
  }
};

class Turns {
 public:
  // Its next step is at this time, or later.
  void add(TimeNs time, SessionId session) { queue_.push({time, session}); }

  // The session whose next step is the first of all. `next_time(session, at_least)` says when a session's is;
  // one that has none is forgotten. Keys may be too early: they are brought up to date at the top.
  template <typename NextTime>
  [[nodiscard]] std::optional<Turn> first(NextTime&& next_time) {
    while (!queue_.empty()) {
      const Turn turn = queue_.top();
      const std::optional<TimeNs> next = next_time(turn.session, turn.time);
      if (next && *next <= turn.time) return turn;
      queue_.pop();
      if (next) queue_.push({*next, turn.session});
    }
    return std::nullopt;
  }

 private:
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> queue_;
};

}  // namespace understudy::replayer
