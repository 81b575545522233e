// Replay: cancels, and what is done when nothing moves. A lock queue that formed the other way round leaves
// its holder waiting at our gate for the session it blocks; waiting longer cannot help, and letting go by
// time-out alone would wreck the order. So the target is asked who blocks whom, and only the holder is let
// through.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "proxy/clock.h"
#include "replayer/replay.h"

namespace understudy::replayer {
namespace {

constexpr TimeNs kMillisecond = 1'000'000;
constexpr TimeNs kReleaseInterval = 100 * kMillisecond;
constexpr TimeNs kLongestStall = 1000 * kMillisecond;
// A cancel must find its statement running: it is sent a little after, and again if it has not done its work.
// Not soon: a server under load answers late, and a second one would stop the next statement.
constexpr TimeNs kCancelDelay = 10 * kMillisecond;
constexpr TimeNs kCancelPatience = 500 * kMillisecond;  // since the server took the last one
constexpr TimeNs kPatience = 1000 * kMillisecond;
// A wait that came to nothing in production lasts so much longer than it did there, before it counts as
// stuck.
constexpr TimeNs kWaitPatience = 3000 * kMillisecond;
constexpr TimeNs kCancelInterval = 50 * kMillisecond;
// So long an answer may take from the target to here.
constexpr TimeNs kAnswerPatience = 1000 * kMillisecond;

}  // namespace

// The recorded server stopped its statement at this point of its answers, and this one has come as far.
bool Replay::play_cancel(Actor& actor, const Step& step) {
  if (!due(actor, step.time)) return false;
  // Where nobody on record asked for it, the server may well do it by itself: a time-out.
  const TimeNs delay = step.ran_for ? *step.ran_for + kPatience : kCancelDelay;
  if (!step.ran_for) ++result_.cancels;
  const TimeNs when = proxy::now_ns() + delay;
  worker_.loop().call_at(when,
                         [this, session = actor.id, at = actor.answered()] { cancel_again(session, at, 0); });
  return true;
}

void Replay::cancel_again(SessionId session, std::uint64_t answered, TimeNs not_before) {
  const auto found = actors_.find(session);
  if (found == actors_.end()) return;
  Actor& actor = *found->second;
  // Whatever the server has said since, what was to be stopped is over.
  if (!actor.open() || actor.answered() != answered || actor.quiescent()) return;
  const TimeNs now = proxy::now_ns();
  if (!actor.cancelling() && now >= not_before) {
    actor.cancel();
    not_before = now + kCancelPatience;
  } else if (actor.cancelling()) {
    not_before = now + kCancelPatience;
  }
  worker_.loop().call_at(now + kCancelInterval, [this, session, answered, not_before] {
    cancel_again(session, answered, not_before);
  });
}

void Replay::watch() {
  if (finished_) return;
  ask_about_victims();
  const TimeNs now = proxy::now_ns();
  if (now - part_.ensemble.last_progress() >= stall_wait_) {
    ask_about_locks();
    stall_wait_ = std::min(stall_wait_ * 2, kLongestStall);
  }
  worker_.loop().call_at(now + kWatchInterval, [this] { watch(); });
}

// Idle sessions pin no decoded chunks; those in use come back from the recording's cache.
void Replay::release_idle() {
  if (finished_) return;
  if (reader_) reader_->release();
  for (const auto& [id, actor] : actors_) {
    if (actor->recorded) actor->recorded->release();
  }
  worker_.loop().call_at(proxy::now_ns() + kReleaseInterval, [this] { release_idle(); });
}

bool Replay::waits_for_reply(const Actor& actor) {
  return actor.open() && !actor.queue.empty() && actor.queue.front().kind == Step::Kind::kReply;
}

void Replay::ask_about_locks() {
  std::vector<std::uint32_t> pids;
  bool waiting = false;
  if (reader_ && break_circle()) return advance();
  for (const auto& [id, actor] : actors_) {
    if (!actor->open()) continue;
    if (actor->process_id() != 0) pids.push_back(actor->process_id());
    if (!waits_for_reply(*actor)) continue;
    waiting = true;
    (void)actor->nudge();
  }
  if (!waiting) return let_first_through();
  if (pids.empty()) return;
  const auto deliver = [this](std::function<void()> task) { worker_.loop().post(std::move(task)); };
  part_.monitor.ask(std::move(pids), deliver, [this](const std::vector<BackendActivity>& activities) {
    if (finished_ || stopping_) return;
    rescue(activities);
    end_stuck(activities);
    advance();
  });
}

void Replay::rescue(std::vector<BackendActivity> activities) {
  if (!reader_) return;
  std::unordered_set<std::uint32_t> holding;
  for (BackendActivity& activity : activities) {
    if (activity.blocked_by.empty()) continue;
    const Refusal* const refusal = refused_as_recorded(activity.process_id);
    if (refusal == nullptr) holding.insert(activity.blocked_by.begin(), activity.blocked_by.end());
    // A wait that a time-out ends goes on by itself.
    if (refusal != nullptr && *refusal != Refusal::kDeadlock) activity.blocked_by.clear();
  }
  const TargetWaits waits(activities);
  for (const auto& [id, actor] : actors_) {
    // One that waits for a lock itself is not at our gate; whom it waits for is among the holders.
    const std::uint32_t pid = actor->process_id();
    if (pid == 0 || !waits.is_waited_for(pid) || waits.waits(pid) || !actor->open() || actor->ahead) continue;
    if (waits_for_reply(*actor) || goes_on_by_itself(*actor, waits)) continue;
    if (holding.contains(pid)) {
      let_through(*actor);
    } else {
      let_deadlock_be(*actor, waits);
    }
  }
  wake(woken_);
}

// It waits in line for the answer of one that waits for it at the target. Where a deadlock was ended, it was
// one of those; so it asks, too.
void Replay::let_deadlock_be(const Actor& actor, const TargetWaits& waits) {
  const auto ahead = actors_.find(actor.behind);
  if (!actor.waits_in_line || !actor.waits_for || ahead == actors_.end()) return;
  const std::uint32_t process = ahead->second->process_id();
  if (refused_as_recorded(process) != nullptr || !waits.waits_for(process, actor.process_id())) return;
  precedence_.waits_for_session(*actor.waits_for, actor.id, woken_);
}

// Its time will come, or that of one it waits in line for; or the target works for that one.
bool Replay::goes_on_by_itself(const Actor& actor, const TargetWaits& waits) const {
  const Actor* at = &actor;
  for (std::size_t steps = 0; steps <= actors_.size(); ++steps) {
    if (at->timer_set) return true;
    if (waits_for_reply(*at)) return waits.works(at->process_id());
    const auto next = actors_.find(at->behind);
    if (!at->waits_in_line || next == actors_.end()) return false;
    at = next->second.get();
  }
  return false;  // they wait for each other
}

// Of one whose wait, if it is for a lock, came to nothing in production and is to come to nothing here: why
// it did. Else null.
const Refusal* Replay::refused_as_recorded(std::uint32_t process) const {
  const TimeNs now = proxy::now_ns();
  for (const auto& [id, actor] : actors_) {
    if (actor->process_id() != process || !waits_for_reply(*actor)) continue;
    const Step& reply = actor->queue.front();
    if (reply.ran_for && now < actor->asked_at + *reply.ran_for + kWaitPatience) return &reply.refusal;
  }
  return nullptr;
}

void Replay::let_through(Actor& actor) {
  ++result_.rescues;
  progress_.rescues.store(result_.rescues, std::memory_order_relaxed);
  actor.ahead = true;
  actor.ahead_moved = false;
  actor.waits_in_line = false;
  make_ready(actor);
}

// Sessions wait in line for each other, whatever others do. The one of them that was recorded first goes.
bool Replay::break_circle() {
  for (const auto& [id, actor] : actors_) {
    Actor* first = actor.get();
    Actor* at = actor.get();
    for (std::size_t steps = 0; steps <= actors_.size() && at->waits_in_line && !at->queue.empty(); ++steps) {
      if (at->queue.front().time < first->queue.front().time) first = at;
      const auto next = actors_.find(at->behind);
      if (next == actors_.end()) break;
      at = next->second.get();
      if (at != actor.get()) continue;
      let_through(*first);
      return true;
    }
  }
  return false;
}

// The target owes nobody anything, and sessions wait in line for each other: no order on record is kept by
// waiting on. The one that was recorded first goes.
void Replay::let_first_through() {
  if (stopping_ || !waiting_to_open_.empty()) return;
  Actor* first = nullptr;
  for (const auto& [id, actor] : actors_) {
    const bool owed = actor->open() && !actor->quiescent() && !actor->waits_in_line;
    if (owed || actor->timer_set || actor->cancelling()) return;
    if (!actor->waits_in_line || actor->queue.empty()) continue;
    if (first == nullptr || actor->queue.front().time < first->queue.front().time) first = actor.get();
  }
  if (first == nullptr) return;
  let_through(*first);
  advance();
}

// Nothing has moved for long. Where the target waits for us an exchange went another way, and its session
// waits for an answer that will not come. Where it waits for the lock of somebody who is none of us, nothing
// that is played will free it.
void Replay::end_stuck(const std::vector<BackendActivity>& activities) {
  const TimeNs now = proxy::now_ns();
  if (now - part_.ensemble.last_progress() < options_.stall_timeout) return;
  std::unordered_set<std::uint32_t> idle;
  for (const BackendActivity& activity : activities) {
    if (!activity.active && activity.blocked_by.empty()) idle.insert(activity.process_id);
  }
  for (const auto& [id, actor] : actors_) {
    if (!idle.contains(actor->process_id())) actor->idle_at = UINT64_MAX;
    if (!waits_for_reply(*actor) || !idle.contains(actor->process_id())) continue;
    // Its answer may be on its way: the target was asked on another connection.
    if (std::exchange(actor->idle_at, actor->received_bytes()) != actor->received_bytes())
      actor->idle_since = now;
    if (now - actor->idle_since < kAnswerPatience) continue;
    ++result_.sessions_stuck;
    actor->hang_up();
  }
  end_lock_waits(activities);
}

void Replay::end_lock_waits(const std::vector<BackendActivity>& activities) {
  std::unordered_map<std::uint32_t, Actor*> ours;
  for (const auto& [id, actor] : actors_) {
    if (actor->process_id() != 0) ours.emplace(actor->process_id(), actor.get());
  }
  const auto of_any_part = part_.ensemble.processes();
  for (const BackendActivity& activity : activities) {
    const auto found = ours.find(activity.process_id);
    const bool others = std::any_of(activity.blocked_by.begin(), activity.blocked_by.end(),
                                    [&](std::uint32_t pid) { return !of_any_part.contains(pid); });
    if (found == ours.end() || !others) continue;
    Actor& actor = *found->second;
    if (!waits_for_reply(actor) || actor.lock_wait_ended == actor.answered()) continue;
    actor.lock_wait_ended = actor.answered();
    ++result_.lock_waits_ended;
    cancel_again(actor.id, actor.answered(), 0);
  }
}

}  // namespace understudy::replayer
