// The clocks of capture files as nanoseconds since 1970 (pcapng, option if_tsresol). Any thread.
#pragma once

#include <cstdint>

#include "formats/transcript/event.h"

namespace understudy::capture {

inline constexpr TimeNs kNsPerSecond = 1'000'000'000;

// What if_tsresol says: ten, or two with the first bit set, to the power of what follows. 0: more than 64
// bits can count.
[[nodiscard]] inline std::uint64_t ticks_per_second(std::uint8_t resolution) {
  const unsigned power = resolution & 0x7FU;
  if ((resolution & 0x80U) != 0) return power < 64 ? std::uint64_t{1} << power : 0;
  if (power > 19) return 0;
  std::uint64_t ticks = 1;
  for (unsigned n = 0; n < power; ++n) ticks *= 10;
  return ticks;
}

// A time before 1970 is 1970, and one after 2116 is that: nothing else in a transcript could follow it.
[[nodiscard]] inline TimeNs time_of_ticks(std::uint64_t ticks, std::uint64_t per_second,
                                          std::int64_t offset_seconds) {
  constexpr std::int64_t kLastSecond = 4'611'686'018;
  __extension__ using Wide = unsigned __int128;
  const std::uint64_t whole = ticks / per_second;
  const auto part =
      static_cast<TimeNs>(Wide{ticks % per_second} * static_cast<std::uint64_t>(kNsPerSecond) / per_second);
  if (whole > static_cast<std::uint64_t>(kLastSecond)) return kLastSecond * kNsPerSecond;
  const std::int64_t bound = 2 * kLastSecond;
  const std::int64_t shift = offset_seconds < -bound  ? -bound
                             : offset_seconds > bound ? bound
                                                      : offset_seconds;
  const std::int64_t seconds = static_cast<std::int64_t>(whole) + shift;
  if (seconds < 0) return 0;
  if (seconds >= kLastSecond) return kLastSecond * kNsPerSecond;
  return seconds * kNsPerSecond + part;
}

}  // namespace understudy::capture
