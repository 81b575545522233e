// What `understudy mask` says at its end. Any thread.
#pragma once

#include <string>

#include "replayer/mask/value_masker.h"

namespace understudy::replayer {

[[nodiscard]] std::string mask_report(const MaskCounts& counts, const masking::Rules& rules,
                                      const std::string& output);
// An object with the same counts.
[[nodiscard]] std::string mask_report_json(const MaskCounts& counts, const masking::Rules& rules);

// A line for each rule that the recording has nothing of, for whoever misspelt it.
[[nodiscard]] std::string unused_rules(const MaskCounts& counts, const masking::Rules& rules);

}  // namespace understudy::replayer
