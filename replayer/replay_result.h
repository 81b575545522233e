// What a replay counts: its result, complete when it has ended, and its progress, read while it runs. Values.
#pragma once

#include <atomic>
#include <map>
#include <set>
#include <string>

#include "formats/transcript/session_set.h"
#include "replayer/histogram.h"

namespace understudy::replayer {

struct ReplayResult {
  static constexpr std::size_t kSessionsNamed = 4;

  std::uint64_t sessions = 0;               // put on stage
  std::uint64_t sessions_failed = 0;        // could not log in, where the recorded ones could
  std::uint64_t sessions_not_admitted = 0;  // never logged in when they were recorded, either
  std::uint64_t sessions_ended_early = 0;   // the target closed them, where their clients had left
  std::uint64_t sessions_cut_at_gap = 0;    // replayed up to a hole in the recording
  std::uint64_t requests_left_out = 0;      // of those, behind the hole; and what their clients sent there
  std::uint64_t bytes_left_out = 0;
  std::uint64_t sessions_begun_late = 0;  // their opening is missing: played from their first idle moment on
  std::uint64_t requests_before = 0;      // of those, before it; and what their clients sent there
  std::uint64_t bytes_before = 0;
  std::uint64_t sessions_unfinished = 0;  // the recording ended before they did
  std::uint64_t sessions_skipped = 0;     // replication, outside --from/--until, or not --where
  std::uint64_t sessions_lost = 0;        // their opening was damaged
  std::uint64_t sessions_stuck = 0;       // ended after stall_timeout without progress
  std::uint64_t lock_waits_ended = 0;     // statements cancelled, as they waited for somebody else's lock
  std::uint64_t exchanges = 0;            // ReadyForQuery messages of the target, logins aside
  std::uint64_t events_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t passwords_hidden = 0;  // of the pieces sent: with x where the recording hid a password
  std::uint64_t cancels = 0;
  std::uint64_t cancels_late = 0;  // that stopped nothing when they were recorded, and were not sent
  std::uint64_t rescues = 0;       // lock queues that had formed the other way round
  std::uint64_t unstuck = 0;       // exchanges ended by us: COPY without data, pipeline without Sync
  std::uint64_t errors_new = 0;    // exchanges with more errors than were recorded
  std::uint64_t errors_gone = 0;   // and with fewer
  std::uint64_t transaction_state_differs = 0;
  std::map<std::string, std::uint64_t> login_errors;  // bounded; SQLSTATE and message
  std::set<std::string> users_mapped;                 // names on the left of --user-map that were met
  std::set<std::string> databases_mapped;
  std::set<SessionId> passwords_hidden_in;  // sessions that sent such pieces: the first, and one more
  SessionSet cut_at_gap;                    // the sessions that were
  SessionSet continuing;                    // sessions on stage that were open before the recording began
  TimeNs recorded_span = 0;
  TimeNs played_span = 0;  // how much of it was played: up to the latest step of any session
  TimeNs wall_time = 0;
  Histogram server_slower;  // paced replays: what a request waits for came so much after its due time
  Histogram replayer_late;  // and so much later than both it was sent
  bool stopped = false;     // ended by a signal
  std::string failure;      // why it could not go on; empty when it could

  void note_password_hidden(SessionId session);
  // Takes in what another part of the same replay counted.
  void add(const ReplayResult& other);
  [[nodiscard]] bool nobody_logged_in() const { return sessions > 0 && sessions_failed == sessions; }
  // Sessions that were to be replayed were not, or not to their ends.
  [[nodiscard]] bool in_part() const {
    return sessions == 0 || sessions_failed + sessions_ended_early + sessions_cut_at_gap +
                                    sessions_begun_late + sessions_stuck + sessions_lost >
                                0;
  }
};

struct ReplayProgress {
  std::atomic<std::uint64_t> exchanges{0};
  std::atomic<std::uint64_t> sessions_open{0};
  std::atomic<std::uint64_t> rescues{0};
  std::atomic<TimeNs> recorded_at{0};    // how far in the recording
  std::atomic<TimeNs> server_slower{0};  // lag of the last paced send, in its two parts
  std::atomic<TimeNs> replayer_late{0};
};

}  // namespace understudy::replayer
