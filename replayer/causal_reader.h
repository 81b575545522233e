// The reading of a replay in causal order, on a thread of its own: all sessions of a recording as one stream
// of steps in recorded time, with what each may touch, a window ahead of what is played.
//
// Why a thread: whoever plays shares the processors with as many busy backends as there are clients, and gets
// one share of them; what it need not do itself goes on beside it. Steps cross in batches, and enough of them
// lie ready that the player need not wait for this thread's turn.
//
// Threads: construction, take(), played(), read_on() and leave() are the player's; stop() is anybody's;
// `read_tables` and `options.wanted` are called on the reader's thread, and so is `wake`.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "replayer/replay_options.h"
#include "replayer/session_directory.h"
#include "replayer/session_footprint.h"
#include "replayer/step.h"
#include "replayer/turns.h"

namespace understudy::replayer {

class CausalReader {
 public:
  struct Item {
    SessionId session;
    Step step;
    std::unique_ptr<const SessionDirectory::Entry> opening;  // with kOpen, the first step of a session
  };
  struct Batch {
    std::vector<Item> items;
    std::size_t bytes = 0;       // sent by them
    std::uint64_t left_out = 0;  // sessions that were not to be read, since the batch before
    std::uint64_t lost = 0;      // so far: SessionDirectory::lost()
    bool last = false;           // that was all
    std::string failure;         // why no more can be read; empty when it can
  };
  // The window: so much that was taken and not played is enough.
  static constexpr std::size_t kWindowSteps = 1024;
  static constexpr std::size_t kWindowBytes = std::size_t{8} << 20;
  // So much that was read and not played is enough; then reading waits until a quarter of it is free.
  static constexpr std::size_t kAheadSteps = 8 * kWindowSteps;
  static constexpr std::size_t kAheadBytes = 2 * kWindowBytes;

  // `wake`: there is a batch to take.
  CausalReader(const Recording& recording, const ReplayOptions& options,
               std::function<TargetTables(const std::string& database)> read_tables,
               std::function<void()> wake);
  ~CausalReader();
  CausalReader(const CausalReader&) = delete;
  CausalReader& operator=(const CausalReader&) = delete;

  // Ends reading; what was read can still be taken.
  void stop();

  // The next of what was read; false when there is nothing, or the window is full.
  [[nodiscard]] bool take(Batch& batch);
  // A step that was taken is done with, played or not.
  void played(const Step& step);
  // This session is wanted now, window or not: the rest of its exchange, at least a step. It comes in the
  // same stream, out of its place.
  void read_on(SessionId session);
  // Nothing more of this session is wanted; of what was read already some may still come.
  void leave(SessionId session);

 private:
  struct Session {
    Session(const Recording& recording, const SessionDirectory::Entry& entry, StatementFootprints* statements)
        : recorded(recording, entry.summary, entry.continuing),
          footprints(statements, entry.summary.descriptor) {}
    RecordedSession recorded;
    SessionFootprint footprints;
    Footprint exchange;  // of what its client has asked since everything was answered
  };
  struct Amount {
    std::size_t steps = 0;
    std::size_t bytes = 0;
  };
  struct Request {
    SessionId session;
    bool leave;  // or to be read on
  };

  void run();
  [[nodiscard]] bool await_work();
  [[nodiscard]] bool may_read();
  void obey(const std::vector<Request>& requests);
  void read_ahead();
  [[nodiscard]] bool read_on_by(SessionId session, int events);
  [[nodiscard]] bool read_merged();
  [[nodiscard]] const SessionDirectory::Entry* next_opening();
  void open_next();
  [[nodiscard]] StatementFootprints* statements_of(const std::string& database);
  [[nodiscard]] std::optional<TimeNs> next_time(SessionId session, TimeNs at_least);
  const Step* read_event(SessionId id, Session& session);
  const Step* queue_step(SessionId id, Session& session, Step step);
  void hand_over();
  void report();
  void release();

  const Recording& recording_;
  const ReplayOptions& options_;
  const std::function<TargetTables(const std::string&)> read_tables_;
  const std::function<void()> wake_;
  SessionDirectory directory_;

  // The reader's.
  const SessionDirectory::Entry* opening_ = nullptr;  // of the directory: what comes next
  bool openings_over_ = false;
  bool merging_ = false;  // there is room for more than what was asked for
  std::unordered_map<SessionId, std::unique_ptr<Session>> sessions_;
  std::unordered_map<std::string, std::unique_ptr<StatementFootprints>> statements_;  // by database
  Turns turns_;
  std::vector<SessionId> ahead_;  // to be read on
  Batch batch_;                   // at hand
  TimeNs released_at_ = 0;

  // The player's.
  Amount held_;        // taken, and not played
  Amount unreported_;  // played
  std::unordered_set<SessionId> asked_for_;

  // Of both.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::vector<Request> requests_;
  Amount outstanding_;  // not reported to be played
  bool full_ = false;
  bool stopped_ = false;
  // There is something in ready_. Written under the mutex; the player looks without it.
  std::atomic<bool> filled_{false};

  std::thread thread_;
};

}  // namespace understudy::replayer
