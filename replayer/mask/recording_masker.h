// A recording, masked, as another recording: `understudy mask`. Reads in order of time; holds what is in the
// middle of a message. One thread.
#pragma once

#include <filesystem>

#include "formats/transcript/recording.h"
#include "replayer/mask/value_masker.h"

namespace understudy::replayer {

// Writes the masked recording into `output`, a directory that holds none yet. Throws std::exception when it
// cannot be written; what was written until then is masked too.
void mask_recording(const Recording& recording, ValueMasker& masker, const std::filesystem::path& output);

}  // namespace understudy::replayer
