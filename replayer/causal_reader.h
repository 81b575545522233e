// The reading of a replay in causal order: all sessions of a recording as one stream of steps in recorded
// time, with what each may touch, a window ahead of what is played. One thread, the player's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
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
    std::unique_ptr<SessionDirectory::Entry> opening;  // with kOpen, the first step of a session
  };
  // So much that was read and not played is enough; while a session has run out of steps, more is. Sessions
  // that nothing holds back drift apart by thousands, and what is not needed yet only crowds the caches.
  static constexpr std::size_t kWindowSteps = 1024;
  static constexpr std::size_t kWidestWindowSteps = 32'768;
  static constexpr std::size_t kWindowBytes = std::size_t{8} << 20;

  // `read_tables`: of a database of the target, asked once when its first session is opened.
  CausalReader(const Recording& recording, const ReplayOptions& options,
               std::function<TargetTables(const std::string& database)> read_tables);

  // What comes next, until the window is full or this is enough for one turn; the caller may move from it,
  // and it is valid until the next call. Throws what made reading fail (a segment that has gone away).
  [[nodiscard]] std::span<Item> read();
  // read() would find more: a turn was over first.
  [[nodiscard]] bool has_more() const { return has_more_; }
  // There is nothing more to read.
  [[nodiscard]] bool over() const { return over_; }
  // The next step of this session out of its place, window or not; none when none was found in one turn.
  [[nodiscard]] std::optional<Step> read_on(SessionId session);
  // A step that was read is done with, played or not.
  void played(const Step& step);
  // All that was read of this session has been played.
  void ran_out(SessionId session);
  // Nothing more of this session is wanted.
  void leave(SessionId session);
  // Idle sessions pin no decoded chunks; those in use come back from the recording's cache.
  void release();

  // Sessions that were not to be read, so far.
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }
  // SessionDirectory::lost().
  [[nodiscard]] std::uint64_t lost() const { return directory_.lost(); }

 private:
  struct Session {
    Session(const Recording& recording, const SessionDirectory::Entry& entry, StatementFootprints* statements)
        : recorded(recording, entry.summary, entry.continuing),
          footprints(statements, entry.summary.descriptor) {}
    RecordedSession recorded;
    SessionFootprint footprints;
    Footprint exchange;  // of what its client has asked since everything was answered
    bool ran_out = false;
  };

  [[nodiscard]] bool room() const {
    return steps_ < (ran_out_ > 0 ? kWidestWindowSteps : kWindowSteps) && bytes_ < kWindowBytes;
  }
  void open_next();
  void add(SessionId session, Step step);
  [[nodiscard]] StatementFootprints* statements_of(const std::string& database);
  [[nodiscard]] std::optional<TimeNs> next_time(SessionId session, TimeNs at_least);
  [[nodiscard]] std::optional<Step> read_event(SessionId id, Session& session);
  void complete(Session& session, Step& step);
  void count(const Step& step);

  const Recording& recording_;
  const ReplayOptions& options_;
  const std::function<TargetTables(const std::string&)> read_tables_;
  SessionDirectory directory_;
  std::unordered_map<SessionId, std::unique_ptr<Session>> sessions_;
  std::unordered_map<std::string, std::unique_ptr<StatementFootprints>> statements_;  // by database
  Turns turns_;
  std::vector<Item> items_;  // of this turn
  std::size_t ran_out_ = 0;  // sessions
  std::size_t steps_ = 0;    // read, and not played
  std::size_t bytes_ = 0;    // sent by them
  std::uint64_t left_out_ = 0;
  bool has_more_ = false;
  bool over_ = false;
};

}  // namespace understudy::replayer
