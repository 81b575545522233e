// The marks that operators set in a recording (`understudy ctl record mark`): where they are, and which one a
// text names. One thread at a time.
#pragma once

#include <string>
#include <vector>

#include "formats/transcript/recording.h"

namespace understudy::replayer {

struct RecordingMark {
  TimeNs time = 0;
  std::string text;
};

// All of them, in order of time; chunks that hold none are not read.
[[nodiscard]] std::vector<RecordingMark> recording_marks(const Recording& recording);

// The one mark with that text. Throws std::invalid_argument: there is none (and which there are), or there
// are several.
[[nodiscard]] TimeNs time_of_mark(const Recording& recording, const std::string& text);

}  // namespace understudy::replayer
