// A replay: recorded clients put on stage again in a chosen order. One merged walk over what was recorded
// says what may be sent when ("What ordering means in a replay", architecture; README.md of this folder).
//
// Threads: everything runs on the one worker of the replay's proxy, inline with the sessions, so that no
// message is handed between threads; progress() may be read by any.
#pragma once

#include <atomic>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/worker.h"
#include "replayer/histogram.h"
#include "replayer/lock_monitor.h"
#include "replayer/session_directory.h"
#include "replayer/target.h"
#include "replayer/transcript_client.h"

namespace understudy::replayer {

enum class Order : std::uint8_t {
  kSession,  // requests wait for their own session only
  kTime,     // requests are sent at their recorded times
  kCausal    // a request waits for every reply recorded before it, of any session
};

struct ReplayOptions {
  Order order = Order::kCausal;
  double speed = 1;  // recorded seconds a second; 0: no pacing
  NameMap users;
  NameMap databases;
  TimeNs from = std::numeric_limits<TimeNs>::min();  // sessions opened before are left out
  TimeNs until = std::numeric_limits<TimeNs>::max();
  TimeNs stall_timeout = 30'000'000'000;
};

// What happened, complete when the replay has ended.
struct ReplayResult {
  std::uint64_t sessions = 0;
  std::uint64_t sessions_failed = 0;       // could not log in
  std::uint64_t sessions_ended_early = 0;  // the target closed them with events left
  std::uint64_t sessions_cut_at_gap = 0;   // replayed up to a hole in the recording
  std::uint64_t sessions_unfinished = 0;   // the recording ended before they did
  std::uint64_t sessions_skipped = 0;      // replication, or outside --from/--until
  std::uint64_t sessions_lost = 0;         // their opening was damaged
  std::uint64_t sessions_stuck = 0;        // ended after stall_timeout without progress
  std::uint64_t exchanges = 0;             // ReadyForQuery messages of the target, logins aside
  std::uint64_t events_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t cancels = 0;
  std::uint64_t rescues = 0;  // lock queues that had formed the other way round
  std::uint64_t unstuck = 0;  // exchanges ended by us: COPY without data, pipeline without Sync
  std::uint64_t transaction_state_differs = 0;
  std::map<std::string, std::uint64_t> login_errors;  // bounded; SQLSTATE and message
  TimeNs recorded_span = 0;
  TimeNs wall_time = 0;
  Histogram server_slower;  // paced replays: dependencies were met so much after the due time
  Histogram replayer_late;  // and so much later than both it was sent
  bool stopped = false;     // ended by a signal
};

// Read while it runs.
struct ReplayProgress {
  std::atomic<std::uint64_t> exchanges{0};
  std::atomic<std::uint64_t> sessions_open{0};
  std::atomic<std::uint64_t> rescues{0};
  std::atomic<TimeNs> recorded_at{0};  // how far in the recording
  std::atomic<TimeNs> behind{0};       // lag of the last paced send
};

class Replay final : private Audience {
 public:
  // All references must outlive the replay. `done` is called on the worker's thread, once.
  Replay(const Recording& recording, Target& target, proxy::Worker& worker, const ReplayOptions& options,
         std::function<void()> done);
  ~Replay() override;

  // Any thread: begins; stops early (sessions are closed).
  void start();
  void stop();
  [[nodiscard]] const ReplayProgress& progress() const { return progress_; }
  // After `done`.
  [[nodiscard]] const ReplayResult& result() const { return result_; }

 private:
  enum class Step : std::uint8_t { kAdvanced, kWaitsForServer, kWaitsForTime, kEnded };

  void progressed(TranscriptClient& client) override;
  void ended(TranscriptClient& client) override;

  // What may happen next, by order.
  void advance();
  void advance_causal();
  void advance_free();
  void run_free(TranscriptClient& client);
  void run_ahead(TranscriptClient& client);
  [[nodiscard]] TranscriptClient* earliest();
  [[nodiscard]] bool reply_awaited();
  [[nodiscard]] bool open_next();
  void check_finished();

  // One session's next event.
  Step step(TranscriptClient& client);
  Step step_client_bytes(TranscriptClient& client, const Event& event);
  Step step_cancel(TranscriptClient& client, const Event& event);
  Step step_end(TranscriptClient& client, const Event* event);
  [[nodiscard]] bool due(TimeNs recorded, TranscriptClient* client);
  void note_lag(TimeNs recorded);
  void note_alignment(TranscriptClient& client);
  void cancel_until_done(SessionId session, bool repeat);

  // When nothing moves (replay_stall.cpp).
  void watch_for_stall();
  void ask_about_locks();
  void rescue(const std::vector<BackendActivity>& activities);
  void end_if_stuck(const std::vector<BackendActivity>& activities);

  // No progress for so long and the target is asked why.
  static constexpr TimeNs kFirstStall = 20'000'000;

  const Recording& recording_;
  Target& target_;
  proxy::Worker& worker_;
  const ReplayOptions options_;
  std::function<void()> done_;
  SessionDirectory directory_;
  LockMonitor monitor_;

  std::unordered_map<SessionId, std::unique_ptr<TranscriptClient>> clients_;
  struct Turn {
    TimeNs time;
    SessionId session;
    bool operator>(const Turn& other) const {
      return time != other.time ? time > other.time : session > other.session;
    }
  };
  // Sessions by the time of their next recorded event, or an earlier time: keys are brought up to date at the
  // top.
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns_;

  // The walk stands at a reply of this session that has not arrived; {} when at none.
  SessionId awaited_;

  TimeNs recorded_start_ = 0;
  TimeNs wall_start_ = 0;
  TimeNs last_progress_ = 0;
  TimeNs stall_wait_;
  bool advancing_ = false;
  bool again_ = false;
  bool timer_set_ = false;
  bool stopping_ = false;
  bool finished_ = false;
  ReplayProgress progress_;
  ReplayResult result_;
};

}  // namespace understudy::replayer
