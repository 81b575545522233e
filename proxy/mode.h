// Which servers answer clients. Values.
#pragma once

#include <cstdint>

#include "formats/transcript/event.h"

namespace understudy::proxy {

enum class Mode : std::uint8_t {
  kPrimary,  // the primary answers everything
  kSplit,    // replicas answer what is safe to be read there
  kReplica,  // replicas answer everything: read-only service
  kShadow,   // as kPrimary; reads are also run on a shadow, and compared
};

// A replica that is further behind than that gets no reads; 0: however far.
struct LagLimits {
  TimeNs time = 10'000'000'000;
  std::uint64_t bytes = 0;
  bool operator==(const LagLimits&) const = default;
};

}  // namespace understudy::proxy
