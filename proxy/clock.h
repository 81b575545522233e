// The one clock of the process: monotonic, anchored to the wall clock once at first use, so that the times of
// a recording never run backwards and still name the day.
#pragma once

#include <ctime>

#include "formats/transcript/event.h"

namespace understudy::proxy {

// Nanoseconds since 1970-01-01T00:00:00Z. Any thread.
[[nodiscard]] inline TimeNs now_ns() {
  constexpr TimeNs kSecond = 1'000'000'000;
  const auto read = [](clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return TimeNs{time.tv_sec} * kSecond + time.tv_nsec;
  };
  static const TimeNs offset = read(CLOCK_REALTIME) - read(CLOCK_MONOTONIC);
  return read(CLOCK_MONOTONIC) + offset;
}

}  // namespace understudy::proxy
