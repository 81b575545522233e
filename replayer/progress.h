// How far a command is, on standard error: only on a terminal, and only once it takes long. One thread at a
// time.
#pragma once

#include <cstdint>

#include "formats/transcript/event.h"

namespace understudy::replayer {

class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // In any unit; drawn as percent, twice a second at most.
  void at(std::uint64_t done, std::uint64_t total);

 private:
  bool terminal_;
  bool drawn_ = false;
  TimeNs next_;
};

}  // namespace understudy::replayer
