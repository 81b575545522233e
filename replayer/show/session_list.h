// `understudy show`: the sessions of a recording, a row or a JSON object each. One thread.
#pragma once

#include "formats/transcript/recording.h"
#include "replayer/output.h"
#include "replayer/show/session_filter.h"

namespace understudy::replayer {

struct SessionListOptions {
  SessionFilter filter;
  std::uint64_t limit = UINT64_MAX;
  // That a row may take: names are abridged, then rows broken. 0: as many as it does.
  std::size_t columns = 0;
  bool json = false;
};

void list_sessions(const Recording& recording, const SessionListOptions& options, Output& out);

}  // namespace understudy::replayer
