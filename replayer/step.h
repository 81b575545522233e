// A step of a session as it waits to be played: what RecordedSession told, kept, with what the order between
// sessions needs to know of it. A value.
#pragma once

#include <optional>

#include "replayer/footprint.h"
#include "replayer/recorded_session.h"
#include "replayer/snapshot_order.h"

namespace understudy::replayer {

struct Step {
  enum class Kind : std::uint8_t { kOpen, kSend, kCancel, kReply, kEnd };
  Kind kind = Kind::kOpen;
  RecordedEnd end = RecordedEnd::kClientLeft;
  Refusal refusal = Refusal::kNone;  // kReply: see RecordedStep; kSend: so it is answered
  bool password_hidden = false;      // kSend: see RecordedStep
  TimeNs time = 0;
  ByteBuffer bytes;               // kSend
  Checkpoint checkpoint;          // kReply; kEnd: of the whole session
  std::optional<TimeNs> ran_for;  // kCancel, kReply, kEnd: see RecordedStep
  Footprint footprint;            // kCausal: what is sent may touch this; kReply: what it answers
  std::uint64_t sent_after = 0;   // so many replies were recorded before it; kReply: its own number
  // The reply that ends the exchange it belongs to; past all numbers while that is not known.
  std::uint64_t answered_as = UINT64_MAX;
  // kCausal, kSend: it begins before what was asked then, whoever got the locks that it waits for.
  Moment begins_before;
  // kCausal, kSend: its own, if anybody waits for it; those that it waits for.
  std::shared_ptr<Beginning> beginning;
  Beginnings begun_before;
};

// None when there is nothing to play.
[[nodiscard]] std::optional<Step> step_of(const RecordedStep& recorded);

}  // namespace understudy::replayer
