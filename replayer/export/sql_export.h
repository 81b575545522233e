// `understudy export --format sql`: a script for psql, session after session in order of opening. One thread.
#pragma once

#include <optional>

#include "formats/transcript/recording.h"
#include "replayer/export/sql_session.h"
#include "replayer/output.h"

namespace understudy::replayer {

// Of the one session, or of all.
SqlExportCounts export_sql(const Recording& recording, const std::optional<SessionSummary>& session,
                           Output& out);

// On standard error: what is in the script, and what could not be.
void tell(const SqlExportCounts& counts);

}  // namespace understudy::replayer
