// `understudy show --follow`: a recording while it is written. What is sealed is shown within a fraction of a
// second, across rotation, a line a statement; until the recording ends, or SIGINT or SIGTERM. Opens segments
// by itself: a Recording is what was there when it was opened. Holds what StatementScan does. Main thread.
#pragma once

#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "formats/transcript/event.h"
#include "formats/transcript/keyring.h"
#include "replayer/output.h"

namespace understudy::replayer {

struct FollowOptions {
  std::string where;           // a condition; may not ask for what is known at a session's end
  std::optional<TimeNs> from;  // statements answered since; none: only what comes from now on
  std::size_t columns = 0;     // to which a line is abridged; 0: not at all
  bool json = false;
  std::shared_ptr<const Keyring> keys;  // of an encrypted recording; null: none
};

void follow_recording(const std::filesystem::path& path, const FollowOptions& options, Output& out);

}  // namespace understudy::replayer
