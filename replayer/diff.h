// Compares two recordings. Sessions that were open together are compared together, in the order of A's time,
// so that each chunk of either recording is decoded about once; memory does not grow with the recordings. One
// thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "replayer/diff_result.h"
#include "replayer/session_comparison.h"
#include "replayer/session_pairs.h"

namespace understudy::replayer {

class Diff {
 public:
  // Called now and then with how far it is in A's time. False: stop.
  using Progress = std::function<bool(TimeNs)>;

  // `ignore_unpaired`: a session that only one recording has is counted, but no difference.
  Diff(const Recording& a, const Recording& b, DiffResult& result, bool ignore_unpaired);

  // Returns false when `progress` stopped it.
  [[nodiscard]] bool run(const Progress& progress);
  [[nodiscard]] SessionPairs::By paired_by() const { return pairs_.by(); }

 private:
  struct Running {
    TimeNs time;
    std::uint64_t arrival;  // breaks ties
    std::unique_ptr<SessionComparison> comparison;
    bool operator>(const Running& other) const {
      return time != other.time ? time > other.time : arrival > other.arrival;
    }
  };

  void open_until(TimeNs time);
  void open(const SessionPair& pair);
  void note_unpaired(const SessionDescriptor& descriptor, Side side);
  void advance(Running running);

  const Recording& recording_a_;
  const Recording& recording_b_;
  DiffResult& result_;
  bool ignore_unpaired_;
  SessionPairs pairs_;
  std::optional<SessionPair> next_pair_;
  bool pairs_ended_ = false;
  std::uint64_t arrivals_ = 0;
  // A heap by std::push_heap; unique_ptrs cannot leave a priority_queue.
  std::vector<Running> running_;
};

}  // namespace understudy::replayer
