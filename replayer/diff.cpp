#include "replayer/diff.h"

#include <algorithm>
#include <limits>

#include "replayer/recording_lookup.h"

namespace understudy::replayer {
namespace {

constexpr std::uint64_t kStepsBetweenProgress = 64;
// How far a session may run ahead of the others: each change of session looks its chunks up again.
constexpr TimeNs kRunAhead = 100'000'000;

bool is_replication(const SessionDescriptor& descriptor) {
  const std::string value = descriptor.parameter("replication");
  // As the server reads it: a boolean or "database".
  return !value.empty() && value != "false" && value != "off" && value != "no" && value != "0";
}

}  // namespace

Diff::Diff(const Recording& a, const Recording& b, DiffResult& result, bool ignore_unpaired)
    : recording_a_(a), recording_b_(b), result_(result), ignore_unpaired_(ignore_unpaired), pairs_(a, b) {}

bool Diff::run(const Progress& progress) {
  std::uint64_t steps = 0;
  open_until(std::numeric_limits<TimeNs>::min());
  while (!running_.empty()) {
    std::pop_heap(running_.begin(), running_.end(), std::greater<>());
    Running earliest = std::move(running_.back());
    running_.pop_back();
    const TimeNs time = earliest.time;
    advance(std::move(earliest));
    open_until(running_.empty() ? time : running_.front().time);
    if (++steps % kStepsBetweenProgress == 0 && !progress(time)) return false;
  }
  result_.totals.sessions_lost = pairs_.lost();
  return true;
}

// Opens the pairs that begin up to `time`, and at least one when none is running.
void Diff::open_until(TimeNs time) {
  while (!pairs_ended_) {
    if (!next_pair_) next_pair_ = pairs_.next();
    if (!next_pair_) {
      pairs_ended_ = true;
      return;
    }
    const auto& known = next_pair_->a ? *next_pair_->a : *next_pair_->b;
    const bool paired = next_pair_->a && next_pair_->b;
    if (paired && !running_.empty() && known.summary.descriptor.opened_at > time) return;
    open(*next_pair_);
    next_pair_.reset();
  }
}

void Diff::open(const SessionPair& pair) {
  const SessionDescriptor& known = pair.a ? pair.a->summary.descriptor : pair.b->summary.descriptor;
  if (is_replication(known)) {
    ++result_.totals.sessions_replication;
  } else if (!pair.a || !pair.b) {
    note_unpaired(known, pair.a ? Side::kA : Side::kB);
  } else {
    // Of two that replay nothing, B is the one that is judged.
    const SessionPairs::By by = pairs_.by();
    const bool a_is_replay = by == SessionPairs::By::kAReplaysB || by == SessionPairs::By::kBothReplay;
    const bool b_is_replay = by != SessionPairs::By::kAReplaysB;
    running_.push_back(
        {known.opened_at, arrivals_++,
         std::make_unique<SessionComparison>(ComparedSession{recording_a_, *pair.a, a_is_replay},
                                             ComparedSession{recording_b_, *pair.b, b_is_replay}, result_)});
    std::push_heap(running_.begin(), running_.end(), std::greater<>());
  }
}

void Diff::note_unpaired(const SessionDescriptor& descriptor, Side side) {
  ++(side == Side::kA ? result_.totals.sessions_only_a : result_.totals.sessions_only_b);
  if (ignore_unpaired_) return;
  Difference difference;
  difference.difference = DifferenceClass::kSession;
  (side == Side::kA ? difference.session_a : difference.session_b) = descriptor.id;
  difference.time = descriptor.opened_at;
  const std::string who = "user " + descriptor.user() + ", database " + descriptor.database();
  difference.in_a = side == Side::kA ? who : "no such session";
  difference.in_b = side == Side::kA ? "no such session" : who;
  result_.add(difference);
}

// One session goes on until another is well behind it.
void Diff::advance(Running running) {
  const TimeNs behind = running_.empty() ? running.time : running_.front().time;
  do {
    if (!running.comparison->step()) return;
    running.time = std::max(running.time, running.comparison->next_time().value_or(running.time));
  } while (time_between(behind, running.time) < kRunAhead);
  running.comparison->release();
  running_.push_back(std::move(running));
  std::push_heap(running_.begin(), running_.end(), std::greater<>());
}

}  // namespace understudy::replayer
