// The key that recordings are encrypted with, from where the operator keeps it. Main thread, before anything
// is recorded.
#pragma once

#include "recorder/recorder_options.h"

namespace understudy::recorder {

// Sets options.key: from record_key_file, record_passphrase_file, or the environment's
// UNDERSTUDY_RECORD_PASSPHRASE; null when there is none of them. Throws std::runtime_error naming what cannot
// be used, and std::invalid_argument when there are both files.
void load_record_key(RecorderOptions& options);

}  // namespace understudy::recorder
