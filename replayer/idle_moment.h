// Where a session whose opening is not on record can be taken up: between transactions. Met inside one, what
// it did before is missing, and what follows would be run, and kept, by itself: writes that were rolled back
// when they were recorded, too.
#pragma once

#include "formats/transcript/event.h"

namespace understudy::replayer {

// Shown a session's events in order, from the first on record.
class FirstIdleMoment {
 public:
  // Whether the session is taken up with this event, or was before it: with its opening; else with a request
  // that directly follows a server's word that it is idle (ReadyForQuery, 'I').
  [[nodiscard]] bool take(const Event& event);

 private:
  bool begun_ = false;
  bool reached_ = false;
  bool idle_ = false;
};

}  // namespace understudy::replayer
