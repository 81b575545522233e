// `understudy export --format jsonl`: a JSON object a line for every message and event, in order of time over
// all sessions. Holds what is half read of the sessions that are open. One thread.
#pragma once

#include <optional>

#include "formats/transcript/recording.h"
#include "replayer/output.h"

namespace understudy::replayer {

struct JsonExportCounts {
  std::uint64_t lines = 0;
  std::uint64_t bytes_not_messages = 0;  // behind a hole, or before a session could be joined
};

// Of the one session, or of all.
JsonExportCounts export_json(const Recording& recording, const std::optional<SessionSummary>& session,
                             Output& out);

// On standard error.
void tell(const JsonExportCounts& counts);

}  // namespace understudy::replayer
