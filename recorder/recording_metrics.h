// What a recorder has done, as Prometheus reads it: how much is on record, and how much is missing and why.
// Pure.
#pragma once

#include <string>

#include "recorder/statistics.h"

namespace understudy::recorder {

[[nodiscard]] std::string recording_metrics(const Statistics& statistics);

}  // namespace understudy::recorder
