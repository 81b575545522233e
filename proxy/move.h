// A planned move (planned_move.h): what is asked for, and what came of it. Values.
#pragma once

#include <cstdint>
#include <string>

#include "formats/transcript/event.h"

namespace understudy::proxy {

struct MoveRequest {
  std::string to;  // a backend, as configured or as it is shown; empty: the replica that is least behind
  bool promote = false;  // by the proxy itself
  TimeNs timeout = 30'000'000'000;
};

struct MoveResult {
  enum class Kind : std::uint8_t { kMoved, kRefused, kTimedOut, kStillPaused };
  Kind kind = Kind::kMoved;
  std::string error;  // not kMoved: why, and how things are now
  std::string from;
  std::string to;
  std::uint32_t timeline = 0;  // the new primary's
  TimeNs paused = 0;           // how long sessions could not begin anything
};

}  // namespace understudy::proxy
