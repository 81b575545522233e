// The command line of `understudy record`. Used by the main thread.
#pragma once

#include <optional>

#include "formats/capture/reassembly.h"
#include "recorder/capture/live_capture.h"
#include "recorder/recorder_options.h"

namespace understudy::recorder {

struct RecordOptions {
  std::vector<std::string> files;  // "-": standard input
  LiveCaptureOptions live;         // with an interface, when there are no files
  std::string user;
  std::string tls_keys;  // a key log file
  TimeNs report_interval = 10 * kSecond;
  capture::ReassemblyOptions reassembly;
  RecorderOptions recording;
  bool json = false;
};

// None after --help, which it prints. Throws std::exception that says what is wrong.
[[nodiscard]] std::optional<RecordOptions> read_record_options(int argc, char** argv);

}  // namespace understudy::recorder
