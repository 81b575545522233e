// What the kernel says this process uses: for metrics. Linux's /proc. Any thread.
#pragma once

#include <cstdint>

namespace understudy::proxy {

struct ProcessUsage {
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  double cpu_seconds = 0;  // user and system
  double started_at = 0;   // seconds since 1970-01-01T00:00:00Z; 0: not known
  std::uint64_t open_descriptors = 0;
  std::uint64_t descriptor_limit = 0;
};
// Zeroes for what cannot be read.
[[nodiscard]] ProcessUsage process_usage();

}  // namespace understudy::proxy
