// What writing and reading a chunk's body share: the columns' order and the groups of bytes. See
// formats/README.md, "Chunk body". Pure functions, any thread.
#pragma once

#include "formats/transcript/event.h"

namespace understudy::chunk_body {

inline constexpr std::size_t kColumns = 4;  // session, kind, time, length
inline constexpr std::size_t kColumnSizesBytes = kColumns * 4;
inline constexpr std::size_t kMaxEventBytes = 5 + 1 + 10 + 5;  // of all columns together
inline constexpr std::size_t kMinEventBytes = 4;

// Bytes are grouped: each session's from the client, then each session's from the server, then what belongs
// to events of other kinds. Like stands beside like, within the reach of a fast compressor's window.
[[nodiscard]] inline std::size_t group_count(std::size_t sessions) { return 2 * sessions + 1; }
[[nodiscard]] inline std::size_t group_of(EventKind kind, std::uint32_t session, std::size_t sessions) {
  if (kind == EventKind::kClientBytes) return session;
  if (kind == EventKind::kServerBytes) return sessions + session;
  return 2 * sessions;
}

[[nodiscard]] inline std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

// LEB128 into room the caller has made.
inline Byte* put_varint(Byte* at, std::uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<Byte>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<Byte>(value);
  return at;
}

}  // namespace understudy::chunk_body
