// `understudy export --format jsonl`: a JSON object a line for every message and event, in order of time over
// all sessions. Holds what is half read of the sessions that are open. One thread.
#pragma once

#include "replayer/export/export_choice.h"
#include "replayer/output.h"

namespace understudy::replayer {

struct JsonExportCounts {
  std::uint64_t lines = 0;
  std::uint64_t bytes_not_messages = 0;  // behind a hole, or before a session could be joined
};

JsonExportCounts export_json(const Recording& recording, ExportChoice& choice, Output& out);

// On standard error.
void tell(const JsonExportCounts& counts);

}  // namespace understudy::replayer
