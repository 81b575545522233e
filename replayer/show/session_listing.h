// `understudy show --session`: one session's messages and what happened between, a line or a JSON object
// each. Streams; one thread.
#pragma once

#include <limits>

#include "formats/transcript/recording.h"
#include "replayer/output.h"

namespace understudy::replayer {

struct SessionListingOptions {
  TimeNs from = std::numeric_limits<TimeNs>::min();  // only what passed in [from, until)
  TimeNs until = std::numeric_limits<TimeNs>::max();
  std::uint64_t limit = UINT64_MAX;
  std::size_t columns = 0;  // to which a line is abridged; 0: not at all
  bool json = false;
};

void show_session(const Recording& recording, const SessionSummary& session,
                  const SessionListingOptions& options, Output& out);

}  // namespace understudy::replayer
