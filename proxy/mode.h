// Which servers answer clients. Values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/transcript/event.h"

namespace understudy::proxy {

enum class Mode : std::uint8_t {
  kPrimary,  // the primary answers everything
  kSplit,    // replicas answer what is safe to be read there
  kReplica,  // replicas answer everything: read-only service
  kShadow,   // as kPrimary; reads are also run on a shadow, and compared
};

[[nodiscard]] constexpr std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::kPrimary:
      return "primary";
    case Mode::kSplit:
      return "split";
    case Mode::kReplica:
      return "replica";
    case Mode::kShadow:
      return "shadow";
  }
  return "";
}

// What came of it so far.
struct ModeReport {
  Mode mode = Mode::kPrimary;
  std::vector<std::uint64_t> reads = {};  // mode split: batches each backend was asked as a replica
  // Mode shadow: its server, and what came of reads there.
  std::string shadow = {};
  std::uint64_t compared = 0;
  std::uint64_t equal = 0;
  std::uint64_t different = 0;
  std::uint64_t shed = 0;  // not compared: it was behind, or away
};

// A replica that is further behind than that gets no reads; 0: however far.
struct LagLimits {
  TimeNs time = 10'000'000'000;
  std::uint64_t bytes = 0;
  bool operator==(const LagLimits&) const = default;
};

}  // namespace understudy::proxy
