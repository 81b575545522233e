// A replay: recorded clients put on stage again in a chosen order ("What ordering means in a replay",
// architecture; README.md of this folder).
//
// Threads: everything is played on one worker of the replay's proxy, inline with the sessions, so that no
// message is handed between threads; progress() may be read by any. Several of these, each with sessions of
// its own, make a replay on several workers (replay_parts.h).
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proxy/worker.h"
#include "replayer/actor.h"
#include "replayer/causal_reader.h"
#include "replayer/ensemble.h"
#include "replayer/lock_monitor.h"
#include "replayer/precedence.h"
#include "replayer/replay_options.h"
#include "replayer/replay_result.h"
#include "replayer/session_directory.h"
#include "replayer/snapshot_order.h"
#include "replayer/target.h"
#include "replayer/turns.h"

namespace understudy::replayer {

// Which part of a whole a Replay is.
struct ReplayPart {
  unsigned index;
  Ensemble& ensemble;
  LockMonitor& monitor;
};

class Replay final : private Audience {
 public:
  // All references must outlive the replay. `done` is called on the worker's thread, once.
  Replay(const Recording& recording, Target& target, proxy::Worker& worker, const ReplayOptions& options,
         const ReplayPart& part, std::function<void()> done);
  ~Replay() override;

  // Any thread: begins; ends early, cancelling what runs; ends now, whatever runs.
  void start();
  void stop();
  void abandon();
  [[nodiscard]] const ReplayProgress& progress() const { return progress_; }
  // After `done`.
  [[nodiscard]] const ReplayResult& result() const { return result_; }

 private:
  // The request of a session that was ended in a deadlock.
  struct Victim {
    SessionId session;
    std::uint64_t asked_after;  // replies recorded before it was asked
    std::uint64_t answered_as;
    TimeNs recorded_at;  // it was asked
    TimeNs asked_at;     // 0: not yet
    TimeNs waits_since;  // for a lock at the target, as that was heard to say; 0: not yet
    std::vector<SessionId> waiting;
  };

  // Whose request is to ask for a lock before others do.
  struct InQueue {
    SessionId session;
    std::uint64_t answered_as;
  };

  void progressed(TranscriptClient& client) override;
  void ended(TranscriptClient& client) override;
  void count_end(Actor& actor);
  void count_failed_login(const std::string& why);
  void look_for_target(const Actor& actor);
  [[nodiscard]] TimeNs played_span() const;
  [[nodiscard]] bool had_more_to_say(Actor& actor);
  void check_finished();
  void fail(const std::string& why);
  void finish();
  void end();

  // Reading steps (replay_reading.cpp).
  void read_steps();
  void read_merged();
  void take(CausalReader::Item& item);
  void pass_over(const CausalReader::Item& item);
  [[nodiscard]] bool decides(const CausalReader::Item& item);
  void read_openings();
  [[nodiscard]] bool read_own(Actor& actor);
  [[nodiscard]] bool read_on(Actor& actor);
  void queue_step(Actor& actor, Step step);
  void note_reply(Actor& actor, Step& reply);
  void note_answer(Actor& actor, std::uint64_t number, Refusal refusal);
  [[nodiscard]] std::optional<TimeNs> earliest();
  [[nodiscard]] std::optional<TimeNs> next_time(SessionId session, TimeNs at_least);
  void admit_next();
  Actor& admit(const SessionDirectory::Entry& entry);
  [[nodiscard]] bool all_read();
  void go_on_later(SessionId session);

  // Playing them (replay_playing.cpp). True when the step is done.
  void advance();
  void play(Actor& actor);
  [[nodiscard]] bool play_step(Actor& actor, const Step& step);
  [[nodiscard]] bool play_open(Actor& actor, const Step& step);
  [[nodiscard]] bool play_send(Actor& actor, const Step& step);
  [[nodiscard]] bool play_reply(Actor& actor, const Step& step);
  [[nodiscard]] bool play_end(Actor& actor, const Step& step);
  [[nodiscard]] bool play_cancel(Actor& actor, const Step& step);
  void leave_as_recorded(SessionId session, const Checkpoint& recorded, TimeNs not_before);
  void cancel_again(SessionId session, std::uint64_t answered, TimeNs not_before);
  [[nodiscard]] bool in_turn(Actor& actor, const Step& step);
  [[nodiscard]] bool due(Actor& actor, TimeNs recorded);
  void go_on_at(Actor& actor, TimeNs when);
  [[nodiscard]] bool opening_due(TimeNs recorded);
  void tell_how_far();
  [[nodiscard]] TimeNs due_time(TimeNs recorded) const;
  void note_lag(const Actor& actor, TimeNs recorded);
  void note_arrival(std::uint64_t reply);
  void wake(std::vector<SessionId>& sessions);
  void note_alignment(Actor& actor, const Checkpoint& checkpoint);
  void note_leaving(Actor& actor);
  void drop_queue(Actor& actor);
  void make_ready(const Actor& actor) { ready_.push_back(actor.id); }

  // When nothing moves (replay_stall.cpp).
  void watch();
  void release_idle();
  [[nodiscard]] static bool waits_for_reply(const Actor& actor);
  void ask_about_locks();
  [[nodiscard]] bool break_circle();
  void let_first_through();
  [[nodiscard]] bool goes_on_by_itself(const Actor& actor, const TargetWaits& waits) const;
  void let_deadlock_be(const Actor& actor, const TargetWaits& waits);
  void note_victim(const Actor& actor, std::uint64_t answered_as);
  [[nodiscard]] bool lets_victim_ask_first(Actor& actor, const Step& step);
  [[nodiscard]] bool may_have_met(const Victim& victim, const Actor& actor, const Step& step) const;
  [[nodiscard]] bool lets_others_begin(Actor& actor, const Step& step);
  [[nodiscard]] bool begins_later(const Beginning& other, const Step& step) const;
  void note_sent(Actor& actor, Step& step, TimeNs sent_at);
  void victim_asked(const Actor& actor, const Step& step);
  void victim_answered(std::uint64_t reply);
  void ask_about_victims();
  void queue_behind(std::uint64_t reply, const Step& step);
  void look_at_queues();
  void look_at_queues_again();
  void found_waiting(const std::vector<BackendActivity>& activities, TimeNs asked);
  [[nodiscard]] static bool still_to_ask(const Actor& actor, std::uint64_t answered_as);
  void let_through(Actor& actor);
  void rescue(std::vector<BackendActivity> activities);
  [[nodiscard]] const Refusal* refused_as_recorded(std::uint32_t process) const;
  void end_stuck(const std::vector<BackendActivity>& activities);
  void end_lock_waits(const std::vector<BackendActivity>& activities);

  // No progress for so long and the target is asked why.
  static constexpr TimeNs kFirstStall = 20'000'000;
  static constexpr TimeNs kWatchInterval = 10'000'000;
  // So long a statement may take from here until it sees what it will see, or waits for a lock.
  static constexpr TimeNs kBeginning = 20'000'000;

  const Recording& recording_;
  Target& target_;
  proxy::Worker& worker_;
  const ReplayOptions options_;
  std::function<void()> done_;
  const ReplayPart part_;

  std::unordered_map<SessionId, std::unique_ptr<Actor>> actors_;
  std::vector<SessionId> ready_;    // may be able to play on
  std::vector<SessionId> playing_;  // of advance(): kept for its memory
  std::vector<SessionId> woken_;    // of note_arrival(): kept for its memory
  std::vector<SessionId> later_;    // are read on after others had their turn
  std::vector<SessionId> waiting_to_open_;
  std::size_t leaving_ = 0;  // actors of that state

  // kCausal.
  Precedence precedence_;
  SnapshotOrder snapshots_;
  std::vector<Victim> victims_;  // not yet answered
  std::vector<InQueue> queues_;  // that others wait for
  bool queues_timer_set_ = false;
  // Ended by the target before it was read what their clients did: whether they went on, and, of those that
  // could not log in (with the reason), whether they could when they were recorded.
  std::unordered_set<SessionId> cut_short_;
  std::unordered_map<SessionId, std::string> refused_;

  TimeNs recorded_start_ = 0;
  TimeNs played_until_ = std::numeric_limits<TimeNs>::min();
  TimeNs wall_start_ = 0;
  TimeNs last_progress_ = 0;
  TimeNs stall_wait_;
  bool advancing_ = false;
  bool opening_timer_set_ = false;
  bool stopping_ = false;
  bool finished_ = false;
  ReplayProgress progress_;
  ReplayResult result_;

  // What reads: in causal order, and else.
  std::optional<CausalReader> reader_;
  std::optional<SessionDirectory> directory_;
  Turns turns_;  // kSession
};

}  // namespace understudy::replayer
