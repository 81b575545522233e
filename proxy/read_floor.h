// How far a replica must have replayed before it may answer a session, so that the session never sees time go
// back: a position of the primary from after the last that the session saw of it, or wrote. A value.
#pragma once

#include <cstdint>

#include "proxy/topology.h"

namespace understudy::proxy {

class ReadFloor {
 public:
  // The session sees or writes something that a replica may not have yet.
  void raise() {
    ++epoch_;
    known_ = false;
  }
  // A question for the position is sent now; its answer counts if nothing was seen since.
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  void answered(std::uint64_t epoch, Lsn position) {
    if (epoch != epoch_) return;
    known_ = true;
    position_ = position;
  }
  [[nodiscard]] bool known() const { return known_; }
  [[nodiscard]] Lsn position() const { return position_; }

 private:
  std::uint64_t epoch_ = 0;
  bool known_ = true;  // a new session has seen nothing
  Lsn position_;
};

}  // namespace understudy::proxy
