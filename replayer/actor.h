// A recorded client and its part: the live client, and the steps of its recorded session that were read and
// have not been played yet. Owned by Replay; its thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "replayer/recorded_session.h"
#include "replayer/step.h"
#include "replayer/transcript_client.h"

namespace understudy::replayer {

struct Actor final : TranscriptClient {
  Actor(Audience& audience, const SessionDescriptor& session, bool continuing, const Login& login)
      : TranscriptClient(audience, session, login, continuing), id(session.id) {}

  SessionId id;
  std::unique_ptr<RecordedSession> recorded;  // null in causal order: CausalReader reads
  std::deque<Step> queue;
  Checkpoint read;  // as of what was read last

  bool over = false;           // kEnd was read
  bool terminated = false;     // it has said good-bye
  bool leaving = false;        // with nothing outstanding; its slot at the server will soon be free
  bool waits_in_line = false;  // for another session
  SessionId behind;            // then: for that one
  std::optional<std::uint64_t> waits_for;  // and for this reply of it
  TimeNs held_until = 0;  // when the last reply was recorded that a request waited for though it came later
  bool timer_set = false;
  bool known = false;    // its process, to the others
  bool counted = false;  // as logged in, by the others
  // Let through to the end of its transaction, out of turn, because others wait for its locks.
  bool ahead = false;
  bool ahead_moved = false;
  // When the target first said that it waits for this session, and received_bytes() then.
  TimeNs idle_since = 0;
  std::uint64_t idle_at = UINT64_MAX;
  std::uint64_t lock_wait_ended = UINT64_MAX;  // answered(), when its wait for a lock was last ended
  TimeNs may_go_since = 0;                     // when the last thing it waited for arrived
  TimeNs asked_at = 0;                         // when it was last sent something
  // Of the exchange that was read last: when it was last sent something; replies recorded before it was
  // asked; how it was refused.
  TimeNs read_at = 0;
  Moment asked{.replies = 0, .time = 0};
  Refusal refusal = Refusal::kNone;
  // Of what was read last: the first reply in its open transaction, while nothing asked for its end.
  std::uint64_t open_since = UINT64_MAX;
  Unanswered unanswered{id};
  // Grows whenever a statement is over.
  [[nodiscard]] std::uint64_t answered() const { return mark().ready_count + errors(); }
  // The recorded client never logged in, so it is no matter whether this one does.
  [[nodiscard]] bool not_admitted() const { return over && !read.logged_in; }
  // Of both servers, when both had last answered everything.
  std::uint64_t recorded_errors = 0;
  std::uint64_t live_errors = 0;
};

}  // namespace understudy::replayer
