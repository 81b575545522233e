// `understudy export --format sql`: a script for psql, session after session in order of opening. One thread.
#pragma once

#include <filesystem>

#include "replayer/export/export_choice.h"
#include "replayer/export/sql_session.h"
#include "replayer/output.h"

namespace understudy::replayer {

SqlExportCounts export_sql(const Recording& recording, ExportChoice& choice, Output& out);
// A script a session, session-RUN.NUMBER.sql, to be run one beside the other. `directory` is there.
SqlExportCounts export_sql_files(const Recording& recording, ExportChoice& choice,
                                 const std::filesystem::path& directory);

// On standard error: what is in the script, and what could not be.
void tell(const SqlExportCounts& counts);

}  // namespace understudy::replayer
