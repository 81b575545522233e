// What writing and reading a chunk's body share: the order of its parts and how bytes are grouped. See
// formats/README.md, "Chunk body". Pure functions, any thread.
//
//   | 3 sizes | sessions | kinds | lengths | bytes, grouped | times, 4 planes | late times |
//               \ as appended  \__ by session __/ by class   \___ as appended ___/
#pragma once

#include "formats/transcript/event.h"

namespace understudy::chunk_body {

// Sizes in bytes of the three parts that no count tells: sessions, lengths, late times.
inline constexpr std::size_t kSizesBytes = 3 * 4;
// One event in all columns together: session, kind, length, time, late time.
inline constexpr std::size_t kMaxEventBytes = 5 + 1 + 5 + 4 + 10;
inline constexpr std::size_t kMinEventBytes = 1 + 1 + 1 + 4;
inline constexpr std::size_t kTimePlanes = 4;
// In the planes: this event's time is told in the last part, as it is earlier than the one before or much
// later.
inline constexpr std::uint32_t kLateTime = UINT32_MAX;

// Bytes are grouped by class, and within it by session: all of the clients' bytes, then all of the servers',
// then the payloads of other events. Like stands beside like, within the reach of a fast compressor.
inline constexpr std::size_t kClasses = 3;
[[nodiscard]] inline std::size_t class_of(EventKind kind) {
  if (kind == EventKind::kClientBytes) return 0;
  return kind == EventKind::kServerBytes ? 1 : 2;
}

}  // namespace understudy::chunk_body
