// `understudy export --format pgreplay`: the csv log a server would have written (log_statement = all, 23
// columns), for pgreplay -c. Over all sessions in order of time. One thread.
#pragma once

#include <map>

#include "replayer/export/export_choice.h"
#include "replayer/output.h"

namespace understudy::replayer {

struct PgreplayExportCounts {
  std::uint64_t sessions = 0;
  std::uint64_t statements = 0;
  std::uint64_t bytes_not_read = 0;               // behind a hole, or before a session could be joined
  std::map<std::string, std::uint64_t> left_out;  // why -> how many
};

PgreplayExportCounts export_pgreplay(const Recording& recording, ExportChoice& choice, Output& out);

// On standard error.
void tell(const PgreplayExportCounts& counts);

// Whether pgreplay finds the end of every literal and comment in the text of a simple query; it gives up on
// all of a log over one that it does not.
[[nodiscard]] bool pgreplay_can_read(std::string_view sql);

}  // namespace understudy::replayer
