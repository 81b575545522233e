// One session of a recording on its way into the masked one. Its events keep their times, their order and
// their lengths; an event waits until every message that lies in it is whole and masked. Where the session
// cannot be read any further, a gap says how much of it is left out: nothing is passed on unread. One thread
// at a time.
#pragma once

#include <deque>
#include <functional>

#include "formats/transcript/event.h"
#include "replayer/mask/session_mask.h"

namespace understudy::replayer {

class MaskedSession {
 public:
  using Emit = std::function<void(TimeNs time, EventKind kind, ByteView data)>;
  // `masker` is borrowed.
  explicit MaskedSession(ValueMasker& masker) : masker_(masker), mask_(masker) {}

  // Its opening is told: its bytes begin between messages.
  void begin() {
    begun_ = true;
    mask_.begin();
  }
  // The session's next event. Calls `emit` for what is ready.
  void take(const Event& event, const Emit& emit);
  // Events are missing here, or the session cannot be read: what follows is left out, and counted.
  void cut(TimeNs now, const Emit& emit);
  // The recording ends.
  void finish(TimeNs now, const Emit& emit);

 private:
  struct Waiting {
    TimeNs time = 0;
    EventKind kind = EventKind::kClientBytes;
    ByteBuffer data;         // of what is no bytes
    std::size_t length = 0;  // of bytes: they are in their side's buffer
  };
  struct Side {
    ByteBuffer bytes;        // of events that wait
    std::size_t masked = 0;  // of these: whole messages, masked
  };

  void take_bytes(const Event& event, const Emit& emit);
  [[nodiscard]] bool mask_messages(Side& side, bool from_client);
  void release(const Emit& emit);
  void take_other(const Event& event, const Emit& emit);
  [[nodiscard]] Side& side(EventKind kind) { return kind == EventKind::kClientBytes ? client_ : server_; }
  void tell_rest(TimeNs now, const Emit& emit);

  ValueMasker& masker_;
  SessionMask mask_;
  std::deque<Waiting> waiting_;
  Side client_;
  Side server_;
  bool begun_ = false;
  bool cut_ = false;
  Gap left_out_;  // since it was last told
};

}  // namespace understudy::replayer
