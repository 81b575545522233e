// A replay's summary: for a terminal, or as JSON.
#pragma once

#include <iosfwd>

#include "replayer/replay_result.h"

namespace understudy::replayer {

void print_summary(std::ostream& out, const ReplayResult& result, bool paced);
void print_json(std::ostream& out, const ReplayResult& result, bool paced);

}  // namespace understudy::replayer
