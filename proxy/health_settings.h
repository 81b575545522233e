// How backends are asked how they are: values only. health_check.h asks, backend_monitor.h decides when.
#pragma once

#include <cstdint>
#include <string>

#include "formats/transcript/event.h"

namespace understudy::proxy {

struct HealthSettings {
  std::string user = "postgres";
  std::string password;  // secret
  std::string database = "postgres";
  TimeNs interval = 100'000'000;           // from the beginning of a check to that of the next
  TimeNs connect_timeout = 1'000'000'000;  // from the first packet to the end of the login
  TimeNs query_timeout = 1'000'000'000;
  std::uint32_t failures_before_down = 3;  // in a row; 0 counts as 1

  bool operator==(const HealthSettings&) const = default;
};

}  // namespace understudy::proxy
