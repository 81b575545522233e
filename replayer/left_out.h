// How much a replay left out of sessions it played in part: what is on record behind the hole where it ended
// one, and before the first idle moment of one whose opening is missing (idle_moment.h).
#pragma once

#include <cstdint>

#include "formats/transcript/recording.h"
#include "formats/transcript/session_set.h"

namespace understudy::replayer {

struct LeftOut {
  std::uint64_t requests = 0;  // Query, Execute and FunctionCall, as `show` counts them
  std::uint64_t bytes = 0;     // that clients sent
};

struct LeftOutParts {
  LeftOut behind_holes;
  LeftOut before_beginnings;
  std::uint64_t begun_late = 0;  // sessions of which something comes before
};

// One pass over the chunks that hold anything of `cut`, sessions ended at a hole, and `continuing`, sessions
// that were open before the recording began. One thread.
[[nodiscard]] LeftOutParts left_out_of(const Recording& recording, const SessionSet& cut,
                                       const SessionSet& continuing);

}  // namespace understudy::replayer
