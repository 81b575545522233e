// `understudy export --format csv` and `--format ndjson`: sessions, statements and errors as tables, a file
// each, and the commands that load them into PostgreSQL or DuckDB. Holds what StatementScan does. One thread.
#pragma once

#include <filesystem>

#include "replayer/export/export_choice.h"
#include "replayer/output.h"

namespace understudy::replayer {

enum class TableFormat : std::uint8_t { kCsv, kNdjson };
enum class TableDatabase : std::uint8_t { kPostgresql, kDuckdb };

struct TableExportCounts {
  std::uint64_t sessions = 0;
  std::uint64_t statements = 0;
  std::uint64_t errors = 0;
  std::uint64_t bytes_not_read = 0;  // behind a hole, or before a session could be joined
  std::uint64_t hexadecimal = 0;     // texts that are not UTF-8, written as \x and digits
  std::uint64_t end_marks = 0;       // texts in CSV with a line that is only \., where psql may end
};

// Into `directory`, which is made if it is not there. Sessions that are meant and their errors; statements
// for which the condition holds.
TableExportCounts export_tables(const Recording& recording, ExportChoice& choice, TableFormat format,
                                const std::filesystem::path& directory);

// The tables' definitions, and what loads the files of export_tables() into them.
void print_table_definitions(TableDatabase database, TableFormat format,
                             const std::filesystem::path& directory, Output& out);

// On standard error.
void tell(const TableExportCounts& counts);

}  // namespace understudy::replayer
