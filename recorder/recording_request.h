// What is asked for by `record start`, and the admin port's parameters that say so. Durations and sizes are
// spelt as everywhere.
//
// Values. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "recorder/recording_filter.h"

namespace understudy::recorder {

struct RecordingRequest {
  std::string name = {};        // empty: the present time
  TimeNs duration = 0;          // 0: until it is stopped
  std::uint64_t bytes = 0;      // on disk; 0: any number
  RecordingFilter filter = {};  // prepared
};

// What a target such as "/api/v1/record/start?name=x&user=a&user=b" asks for. Returns what is wrong with it;
// empty when nothing is. (The admin port has refused parameters that are not known.)
[[nodiscard]] std::string parse_recording_request(const std::string& target, RecordingRequest& out);

// A parameter of a target that is given at most once; `out` is empty when it is not given. False when it is
// malformed or given more often.
[[nodiscard]] bool take_parameter(std::string_view target, std::string_view name, std::string& out);

}  // namespace understudy::recorder
