// A recorded client and its part: the live client, the recorded session, and the steps read from it that have
// not been played yet. Owned by Replay; its thread.
#pragma once

#include <deque>

#include "replayer/footprint.h"
#include "replayer/recorded_session.h"
#include "replayer/session_footprint.h"
#include "replayer/transcript_client.h"

namespace understudy::replayer {

// A step as it waits to be played.
struct Step {
  enum class Kind : std::uint8_t { kOpen, kSend, kCancel, kReply, kEnd };
  Kind kind = Kind::kOpen;
  TimeNs time = 0;
  ByteBuffer bytes;       // kSend
  Checkpoint checkpoint;  // kReply; kEnd: of the whole session
  RecordedEnd end = RecordedEnd::kClientLeft;
  std::optional<TimeNs> ran_for;  // kCancel: see RecordedStep
  Footprint footprint;            // what is sent may touch this
  std::uint64_t sent_after = 0;   // so many replies were recorded before it; kReply: its own number
  // The reply that ends the exchange it belongs to; past all numbers while that is not known.
  std::uint64_t answered_as = UINT64_MAX;
};

struct Actor final : TranscriptClient {
  Actor(Audience& audience, const Recording& recording, const SessionSummary& summary, bool continuing,
        const Login& login, StatementFootprints* statements)
      : TranscriptClient(audience, summary.descriptor, login, continuing),
        id(summary.descriptor.id),
        recorded(recording, summary, continuing),
        footprints(statements, summary.descriptor) {}

  SessionId id;
  RecordedSession recorded;
  SessionFootprint footprints;  // kCausal
  std::deque<Step> queue;
  Footprint exchange;  // of what the recorded client has asked since everything was answered

  bool over = false;           // kEnd was read
  bool terminated = false;     // it has said good-bye
  bool leaving = false;        // with nothing outstanding; its slot at the server will soon be free
  bool waits_in_line = false;  // for a reply of another session
  bool timer_set = false;
  bool known = false;    // its process, to the others
  bool counted = false;  // as logged in, by the others
  // Let through to the end of its transaction, out of turn, because others wait for its locks.
  bool ahead = false;
  bool ahead_moved = false;
  std::uint64_t lock_wait_ended = UINT64_MAX;  // answered(), when its wait for a lock was last ended
  TimeNs may_go_since = 0;                     // when the last thing it waited for arrived
  // Grows whenever a statement is over.
  [[nodiscard]] std::uint64_t answered() const { return mark().ready_count + errors(); }
  // The recorded client never logged in, so it is no matter whether this one does.
  [[nodiscard]] bool not_admitted() const { return over && !recorded.checkpoint().logged_in; }
  // Of both servers, when both had last answered everything.
  std::uint64_t recorded_errors = 0;
  std::uint64_t live_errors = 0;
};

}  // namespace understudy::replayer
