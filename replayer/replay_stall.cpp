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
constexpr TimeNs kWatchInterval = 10 * kMillisecond;
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
// So long at most the others of its deadlock wait for the one that was ended to wait at the target.
constexpr TimeNs kVictimLead = 500 * kMillisecond;
// Others are kept back for it if on record they had not asked so much sooner.
constexpr TimeNs kVictimLag = 5000 * kMillisecond;
constexpr TimeNs kPacedVictimLag = 100 * kMillisecond;
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

void Replay::rescue(const std::vector<BackendActivity>& activities) {
  if (!reader_) return;
  std::unordered_set<std::uint32_t> waiting;
  std::unordered_set<std::uint32_t> holding;
  const auto as_recorded = waiting_as_recorded();
  for (const BackendActivity& activity : activities) {
    if (!activity.blocked_by.empty()) waiting.insert(activity.process_id);
    if (as_recorded.contains(activity.process_id)) continue;
    holding.insert(activity.blocked_by.begin(), activity.blocked_by.end());
  }
  for (const auto& [id, actor] : actors_) {
    // One that waits for a lock itself is not at our gate; whom it waits for is among the holders.
    const std::uint32_t pid = actor->process_id();
    if (pid == 0 || !holding.contains(pid) || waiting.contains(pid) || !actor->open() || actor->ahead)
      continue;
    // Its time will come.
    if (waits_for_reply(*actor) || actor->timer_set) continue;
    let_through(*actor);
  }
}

// Those whose wait, if it is for a lock, came to nothing in production: it is to come to nothing here.
std::unordered_set<std::uint32_t> Replay::waiting_as_recorded() const {
  std::unordered_set<std::uint32_t> processes;
  const TimeNs now = proxy::now_ns();
  for (const auto& [id, actor] : actors_) {
    if (!waits_for_reply(*actor)) continue;
    const auto waited = actor->queue.front().ran_for;
    if (waited && now < actor->asked_at + *waited + kWaitPatience) processes.insert(actor->process_id());
  }
  return processes;
}

void Replay::let_through(Actor& actor) {
  ++result_.rescues;
  progress_.rescues.store(result_.rescues, std::memory_order_relaxed);
  actor.ahead = true;
  actor.ahead_moved = false;
  actor.waits_in_line = false;
  make_ready(actor);
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

// Who has waited for deadlock_timeout looks for a deadlock and is ended if there is one ("Lock Management",
// chapter 20.12 of the manual): so it is the one that waits first. In production it had waited first, or so
// much longer that others had looked already; where that time is not kept, it must ask before them.
void Replay::note_victim(const Actor& actor, std::uint64_t answered_as) {
  Victim victim{actor.id, actor.asked_after, answered_as, actor.read_at, actor.asked_at, false, {}};
  for (const Step& step : actor.queue) {
    if (step.kind == Step::Kind::kSend && step.answered_as == answered_as) victim.asked_at = 0;
  }
  victims_.push_back(std::move(victim));
}

bool Replay::lets_victim_ask_first(Actor& actor, const Step& step) {
  if (!step.footprint.anything && !step.footprint.takes_locks) return true;
  for (Victim& victim : victims_) {
    if (!may_have_met(victim, actor, step)) continue;
    if (victim.asked_at == 0) {
      actor.waits_in_line = true;
      victim.waiting.push_back(actor.id);
      return false;
    }
    const TimeNs now = proxy::now_ns();
    if (victim.waits || now >= victim.asked_at + kVictimLead) continue;
    go_on_at(actor, now + kWatchInterval);
    return false;
  }
  return true;
}

void Replay::ask_about_victims() {
  std::vector<std::uint32_t> pids;
  for (const Victim& victim : victims_) {
    const auto found = actors_.find(victim.session);
    if (victim.asked_at != 0 && !victim.waits && found != actors_.end())
      pids.push_back(found->second->process_id());
  }
  if (pids.empty()) return;
  const auto deliver = [this](std::function<void()> task) { worker_.loop().post(std::move(task)); };
  const auto answer = [this, asked = proxy::now_ns()](const std::vector<BackendActivity>& activities) {
    std::unordered_set<std::uint32_t> waiting;
    for (const BackendActivity& activity : activities) {
      if (!activity.blocked_by.empty()) waiting.insert(activity.process_id);
    }
    for (Victim& victim : victims_) {
      const auto found = actors_.find(victim.session);
      if (victim.asked_at == 0 || victim.asked_at > asked || found == actors_.end()) continue;
      victim.waits = victim.waits || waiting.contains(found->second->process_id());
    }
  };
  part_.monitor.ask(std::move(pids), deliver, answer);
}

// Whether a request may have been another of the victim's deadlock, and is to be kept back for it.
bool Replay::may_have_met(const Victim& victim, const Actor& actor, const Step& step) const {
  const bool together = step.sent_after <= victim.answered_as && victim.asked_after <= step.answered_as;
  if (!together || victim.session == actor.id) return false;
  // It was itself to be ended in a deadlock, before that one was.
  if (step.refusal == Refusal::kDeadlock && step.answered_as < victim.answered_as) return false;
  // Not where it comes to the same without: a pace keeps the long waits apart.
  const bool paced = options_.speed > 0 && options_.speed <= 1;
  if (victim.recorded_at - step.time > (paced ? kPacedVictimLag : kVictimLag)) return false;
  return !precedence_.would_miss_its_place(actor.id, step.footprint, step.sent_after, victim.asked_after);
}

void Replay::victim_asked(const Actor& actor, const Step& step) {
  for (Victim& victim : victims_) {
    if (victim.session != actor.id || victim.answered_as != step.answered_as) continue;
    victim.asked_at = actor.asked_at;
    wake(victim.waiting);
  }
}

void Replay::victim_answered(std::uint64_t reply) {
  const auto victim = std::find_if(victims_.begin(), victims_.end(),
                                   [&](const Victim& one) { return one.answered_as == reply; });
  if (victim == victims_.end()) return;
  wake(victim->waiting);
  victims_.erase(victim);
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
