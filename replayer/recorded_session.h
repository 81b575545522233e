// One session of a recording as a replay reads it: its events in order, and how far its server had come at
// each. Holds a cursor, not data. One thread at a time.
#pragma once

#include <optional>

#include "formats/transcript/recording.h"
#include "formats/wire/server_progress.h"
#include "proxy/protocol_tracker.h"

namespace understudy::replayer {

class RecordedSession {
 public:
  // `continuing`: the session was open before the recording began, so its login is not in it.
  RecordedSession(const Recording& recording, const SessionSummary& summary, bool continuing);

  // The next event that matters to a replay (bytes of either side, cancel, gap, closing); none at the end.
  // Valid until consume() or release().
  [[nodiscard]] std::optional<Event> peek();
  // Takes the event peek() showed, following what it did to the session.
  void consume();
  // A time not after the next event's; none at the end.
  [[nodiscard]] std::optional<TimeNs> next_time() { return cursor_.next_time_lower_bound(); }
  void release() { cursor_.release(); }

  // After the events consumed so far:
  // nothing was asked that the recorded server had not answered;
  [[nodiscard]] bool quiescent() const { return tracker_.state() == proxy::SessionState::kReady; }
  // it was logged in;
  [[nodiscard]] bool logged_in() const { return logged_in_; }
  // how far the server had come;
  [[nodiscard]] wire::ServerProgress::Mark mark() const { return progress_.mark(); }
  [[nodiscard]] char transaction_status() const { return progress_.transaction_status(); }
  // its bytes made no sense: what follows cannot be replayed.
  [[nodiscard]] bool broken() const { return broken_; }
  // Chunks of it that were damaged: there are holes.
  [[nodiscard]] bool has_holes() const { return cursor_.damaged_chunks() > 0; }

  [[nodiscard]] const SessionDescriptor& descriptor() const { return descriptor_; }

 private:
  void follow_server(ByteView bytes);

  SessionDescriptor descriptor_;
  SessionCursor cursor_;
  wire::ServerProgress progress_;
  wire::FrameScanner login_scanner_;  // until the first ReadyForQuery
  proxy::ProtocolTracker tracker_;    // from then on
  bool logged_in_;
  bool broken_ = false;
};

}  // namespace understudy::replayer
