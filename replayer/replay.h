// A replay: recorded clients put on stage again in a chosen order ("What ordering means in a replay",
// architecture; README.md of this folder).
//
// Threads: everything runs on one worker of the replay's proxy, inline with the sessions, so that no message
// is handed between threads; progress() may be read by any. Several of these, each with sessions of its own,
// make a replay on several workers (replay_parts.h).
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/worker.h"
#include "replayer/actor.h"
#include "replayer/ensemble.h"
#include "replayer/lock_monitor.h"
#include "replayer/precedence.h"
#include "replayer/replay_result.h"
#include "replayer/session_directory.h"
#include "replayer/target.h"

namespace understudy::replayer {

enum class Order : std::uint8_t {
  kSession,  // requests wait for their own session only
  kTime,     // requests are sent at their recorded times
  kCausal    // a request waits for the replies recorded before it, of any session
};

struct ReplayOptions {
  Order order = Order::kCausal;
  double speed = 1;  // recorded seconds a second; 0: no pacing
  NameMap users;
  NameMap databases;
  TimeNs from = std::numeric_limits<TimeNs>::min();  // sessions opened before are left out
  TimeNs until = std::numeric_limits<TimeNs>::max();
  std::function<bool(const SessionDescriptor&)> wanted;  // others are left out; any thread; empty: all are
  TimeNs stall_timeout = 30'000'000'000;
  TimeNs target_timeout = 30'000'000'000;  // 0: a target that is gone does not end the replay
};

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
  void progressed(TranscriptClient& client) override;
  void ended(TranscriptClient& client) override;
  void count_end(Actor& actor);
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
  void read_openings();
  [[nodiscard]] bool read_own(Actor& actor);
  [[nodiscard]] bool queue_step(Actor& actor, const RecordedStep& recorded);
  [[nodiscard]] Actor* earliest();
  [[nodiscard]] std::optional<TimeNs> next_time(Actor& actor, TimeNs at_least);
  void note_reply(Actor& actor, Step& reply);
  [[nodiscard]] bool room() const;
  void admit_next();
  [[nodiscard]] StatementFootprints* statements_of(const std::string& database);
  [[nodiscard]] bool left_out(const SessionDescriptor& session) const;
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
  void cancel_again(SessionId session, std::uint64_t answered, TimeNs not_before);
  [[nodiscard]] bool in_turn(Actor& actor, const Step& step);
  [[nodiscard]] bool due(Actor& actor, TimeNs recorded);
  [[nodiscard]] bool opening_due(TimeNs recorded);
  void tell_how_far();
  [[nodiscard]] TimeNs due_time(TimeNs recorded) const;
  void note_lag(const Actor& actor, TimeNs recorded);
  void note_arrival(std::uint64_t reply);
  void note_alignment(Actor& actor, const Checkpoint& checkpoint);
  void note_leaving(Actor& actor);
  void drop_queue(Actor& actor);
  void make_ready(const Actor& actor) { ready_.push_back(actor.id); }

  // When nothing moves (replay_stall.cpp).
  void watch();
  void release_idle();
  [[nodiscard]] static bool waits_for_reply(const Actor& actor);
  void ask_about_locks();
  void rescue(const std::vector<BackendActivity>& activities);
  void end_stuck(const std::vector<BackendActivity>& activities);
  void end_lock_waits(const std::vector<BackendActivity>& activities);

  // No progress for so long and the target is asked why.
  static constexpr TimeNs kFirstStall = 20'000'000;

  const Recording& recording_;
  Target& target_;
  proxy::Worker& worker_;
  const ReplayOptions options_;
  std::function<void()> done_;
  SessionDirectory directory_;
  const ReplayPart part_;

  std::unordered_map<SessionId, std::unique_ptr<Actor>> actors_;
  std::vector<SessionId> ready_;    // may be able to play on
  std::vector<SessionId> playing_;  // of advance(): kept for its memory
  std::vector<SessionId> woken_;    // of note_arrival(): kept for its memory
  std::vector<SessionId> later_;    // are read on after others had their turn
  std::vector<SessionId> waiting_to_open_;
  std::unordered_map<std::string, std::unique_ptr<StatementFootprints>> statements_;  // kCausal; by database
  Precedence precedence_;                                                             // kCausal
  std::size_t queued_steps_ = 0;                                                      // of all actors
  std::size_t queued_bytes_ = 0;
  std::size_t leaving_ = 0;  // actors of that state

  struct Turn {
    TimeNs time;
    SessionId session;
    bool operator>(const Turn& other) const {
      return time != other.time ? time > other.time : session > other.session;
    }
  };
  // Sessions by the time of their next step, or an earlier time: keys are brought up to date at the top.
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns_;

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
};

}  // namespace understudy::replayer
