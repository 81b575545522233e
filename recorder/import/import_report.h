// What `understudy import` says when it ends: a table for people, or JSON. Pure.
#pragma once

#include <string>
#include <vector>

#include "recorder/import/import_counts.h"
#include "recorder/statistics.h"

namespace understudy::recorder {

struct ImportedFile {
  std::string name;
  std::string format;
  std::string prefix;  // of stderr logs; empty when none was found
  std::uint64_t bytes = 0;
  std::string error;  // why it was not read to its end
};

struct ImportSummary {
  std::string output;
  unsigned run = 0;
  std::vector<ImportedFile> files;
  ImportCounts counts;
  Statistics recording;
  bool ended_early = false;  // by a signal
  bool recorded = true;      // everything that was to be written could be
};

// Something that the logs tell of sessions is not on record, as far as is known.
[[nodiscard]] bool is_in_part(const ImportSummary& summary);
[[nodiscard]] std::string summary_as_text(const ImportSummary& summary);
[[nodiscard]] std::string summary_as_json(const ImportSummary& summary);

}  // namespace understudy::recorder
