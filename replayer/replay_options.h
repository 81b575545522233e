// How a replay is to go. A value.
#pragma once

#include <functional>
#include <limits>

#include "formats/transcript/event.h"
#include "replayer/target.h"

namespace understudy::replayer {

enum class Order : std::uint8_t {
  kSession,  // requests wait for their own session only
  kTime,     // requests are sent at their recorded times
  kCausal    // a request waits for the replies recorded before it, of any session
};

struct ReplayOptions {
  Order order = Order::kCausal;
  double speed = 1;  // recorded seconds a second; 0: no pacing
  NameMap users;
  NameMap databases;
  std::string own_database;  // the target's: for sessions of which the recording does not tell theirs
  TimeNs from = std::numeric_limits<TimeNs>::min();  // sessions opened before are left out
  TimeNs until = std::numeric_limits<TimeNs>::max();
  std::function<bool(const SessionDescriptor&)> wanted;  // others are left out; any thread; empty: all are
  TimeNs stall_timeout = 30'000'000'000;
  TimeNs target_timeout = 30'000'000'000;  // 0: a target that is gone does not end the replay

  // Where a session is played. Any thread.
  [[nodiscard]] std::string database_of(const SessionDescriptor& session) const;
  // Any thread.
  [[nodiscard]] bool leaves_out(const SessionDescriptor& session) const;
};

}  // namespace understudy::replayer
