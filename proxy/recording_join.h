// What it takes that a recording which begins while a session is open can take it in: who the session is, and
// the state that makes another one like it, followed from its login on. At the session's next idle moment
// outside a transaction that state is shown to the observer as what it is made by: requests, with the
// answers they have.
//
// Owned by a ClientSession, where a recording may begin later; used on its worker.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "formats/transcript/event.h"
#include "proxy/continuity.h"

namespace understudy::proxy {

// What became of sessions that were open when a recording began. Counted by workers, read by any thread.
struct JoinTally {
  std::atomic<std::uint64_t> waiting{0};      // for their next idle moment
  std::atomic<std::uint64_t> joined{0};       // taken in
  std::atomic<std::uint64_t> left{0};         // ended before they could be
  std::atomic<std::uint64_t> passed_over{0};  // the recording does not want them
  std::atomic<std::uint64_t> pinned{0};  // hold what cannot be made again: temporary tables, locks, cursors
  std::atomic<std::uint64_t> unseen{0};  // kChangedUnseen
  std::atomic<std::uint64_t> untracked{
      0};  // their state was not followed: replication, too much of it, or it was not asked for
};

// A request that makes a part of a session's state, and its answer as a server gives it that has made it.
struct StateExchange {
  ByteBuffer request;
  ByteBuffer answer;
};
// The exchanges of `state` (SessionHistory::restore()). Settings in the answers: those of `settings` that
// differ from `at_login`.
[[nodiscard]] std::vector<StateExchange> state_exchanges(ByteView state, StatementTraitsCache& traits,
                                                         const Continuity::Settings& at_login,
                                                         const Continuity::Settings& settings);

class RecordingJoin {
 public:
  // `greeting`: the settings that the login told of. `follows` is false where the session's own Continuity
  // does that already.
  RecordingJoin(SessionDescriptor descriptor, Continuity::Settings greeting, StatementTraitsCache& traits,
                bool follows);
  ~RecordingJoin() { stop_waiting(); }
  RecordingJoin(const RecordingJoin&) = delete;
  RecordingJoin& operator=(const RecordingJoin&) = delete;

  // What passes, in the order it passes.
  void client_bytes(ByteView bytes) {
    if (followed_) (void)followed_->to_server(bytes);
  }
  void server_bytes(ByteView bytes, bool ready) {
    if (!followed_) return;
    (void)followed_->to_client(bytes);
    if (ready) followed_->at_rest();
    if (followed_->history_is_long()) give_up();
  }

  // A recording has begun that wants the session; `tally` is told what becomes of it.
  void wait(std::shared_ptr<JoinTally> tally);
  [[nodiscard]] bool waits() const { return tally_ != nullptr; }
  // It is taken in, or never will be.
  std::shared_ptr<JoinTally> done();
  // The recording has ended.
  void forget();

  [[nodiscard]] const SessionDescriptor& descriptor() const { return descriptor_; }
  [[nodiscard]] const Continuity::Settings& at_login() const { return at_login_; }
  // Null where the session has one of its own, or its state became too much to be kept.
  [[nodiscard]] const Continuity* followed() const { return followed_.get(); }
  // The session's state was followed here and is no longer: it has more than ContinuityLimits::history_bytes
  // of it. It will never be taken in.
  [[nodiscard]] bool gave_up() const { return gave_up_; }

 private:
  void stop_waiting();
  void give_up();

  const SessionDescriptor descriptor_;
  const Continuity::Settings at_login_;
  std::unique_ptr<Continuity> followed_;
  bool gave_up_ = false;
  std::shared_ptr<JoinTally> tally_;  // null: it does not wait
};

}  // namespace understudy::proxy
