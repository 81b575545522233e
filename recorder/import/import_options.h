// The command line of `understudy import`. Used by the main thread.
#pragma once

#include <optional>

#include "recorder/import/log_files.h"
#include "recorder/recorder_options.h"

namespace understudy::recorder {

struct ImportOptions {
  std::vector<std::string> files;  // "-": standard input
  LogDialect dialect;
  RecorderOptions recording;
  bool json = false;
};

// None after --help, which it prints. Throws std::exception that says what is wrong.
[[nodiscard]] std::optional<ImportOptions> read_import_options(int argc, char** argv);

}  // namespace understudy::recorder
