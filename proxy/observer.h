// The one interface through which the proxy publishes what it relays. The proxy knows nothing of files:
// a recorder implements this, a replay's bookkeeping implements it too, and tests do.
//
// Threads: open_session and every method of the SessionObserver it returns are called from the one worker
// that runs the session, in the order things happened. Implementations must not block and must not throw.
#pragma once

#include <memory>

#include "formats/bytes.h"
#include "formats/transcript/event.h"

namespace understudy::proxy {

// Follows one session. Destroyed by the session's worker after closed().
class SessionObserver {
 public:
  virtual ~SessionObserver() = default;

  // `bytes` arrived from `direction` together, at `time`, before they were passed on. Never holds a secret of
  // authentication: those messages are announced with redacted() in their place. A cancel key is zeroed.
  virtual void relayed(Direction direction, TimeNs time, ByteView bytes) = 0;
  virtual void redacted(Redaction what, TimeNs time) = 0;
  // A cancel request for this session was accepted and is being passed to its server.
  virtual void cancelled(TimeNs time) = 0;
  virtual void backend_switched(const std::string& backend, TimeNs time) = 0;
  virtual void closed(const CloseDetail& why, TimeNs time) = 0;
  // Bytes of this session are known to be missing here. The proxy misses none; a capture may.
  virtual void missing(const Gap& /*gap*/, TimeNs /*time*/) {}
  // The recording has ended: nothing of what it is shown goes anywhere.
  [[nodiscard]] virtual bool over() const { return false; }
};

class TrafficObserver {
 public:
  virtual ~TrafficObserver() = default;

  // A client sent its startup packet and a server was reached. `worker` is the index of the calling worker,
  // 0 <= worker < the pool's size. descriptor.id.run is 0: the observer knows the run, the proxy does not.
  // May return null: this session is not observed.
  [[nodiscard]] virtual std::unique_ptr<SessionObserver> open_session(
      unsigned worker, const SessionDescriptor& descriptor) = 0;
};

}  // namespace understudy::proxy
