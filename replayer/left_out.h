// How much a replay left out of the sessions that it ended at a hole: what is on record behind the hole.
#pragma once

#include <cstdint>

#include "formats/transcript/recording.h"
#include "formats/transcript/session_set.h"

namespace understudy::replayer {

struct LeftOut {
  std::uint64_t requests = 0;  // Query, Execute and FunctionCall, as `show` counts them
  std::uint64_t bytes = 0;     // that clients sent
};

// One pass over the chunks that hold anything of `sessions`. One thread.
[[nodiscard]] LeftOut behind_holes(const Recording& recording, const SessionSet& sessions);

}  // namespace understudy::replayer
