// A replay's summary: for a terminal, or as JSON.
#pragma once

#include <iosfwd>
#include <string>

#include "replayer/replay_result.h"

namespace understudy::replayer {

void print_summary(std::ostream& out, const ReplayResult& result, bool paced);
void print_json(std::ostream& out, const ReplayResult& result, bool paced);
// That sessions could not log in, and what to look at: names and passwords, or the target.
[[nodiscard]] std::string failed_logins_in_words(const ReplayResult& result);
// What was played with x in place of passwords, and what may come of it; empty when nothing was.
[[nodiscard]] std::string hidden_passwords_in_words(const ReplayResult& result);

}  // namespace understudy::replayer
