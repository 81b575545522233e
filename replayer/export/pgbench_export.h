// `understudy export --format pgbench`: the transactions of a recording as scripts for pgbench -f, one a
// kind, with how often each was run. Transactions are of a kind if their statements are the same but for
// their whole numbers; those are variables, which the script gives the values of one of up to 100 recorded
// transactions, picked at random. DDL and COPY are left out. Bounded: 1,000 kinds, transactions of 64 KiB.
// One thread.
#pragma once

#include <filesystem>
#include <map>

#include "replayer/export/export_choice.h"
#include "replayer/output.h"

namespace understudy::replayer {

struct PgbenchExportCounts {
  std::uint64_t scripts = 0;
  std::uint64_t transactions = 0;                 // that are in them
  std::uint64_t bytes_not_read = 0;               // behind a hole, or before a session could be joined
  std::map<std::string, std::uint64_t> left_out;  // why -> how many transactions
};

// Into `directory`, which is there. The pgbench command that runs them goes to `out`.
PgbenchExportCounts export_pgbench(const Recording& recording, ExportChoice& choice,
                                   const std::filesystem::path& directory, Output& out);

// On standard error.
void tell(const PgbenchExportCounts& counts);

}  // namespace understudy::replayer
