// Replay: the order in which sessions ask for locks, where that of their answers does not tell it or comes
// too late: who must be seen to wait at the target before others ask.
#include <algorithm>
#include <utility>

#include "proxy/clock.h"
#include "replayer/replay.h"

namespace understudy::replayer {
namespace {

constexpr TimeNs kMillisecond = 1'000'000;
// So long at most the others of its deadlock wait for the one that was ended to wait at the target.
constexpr TimeNs kVictimLead = 500 * kMillisecond;
// So long it waits before they ask, too: of those whose time to look for a deadlock comes within a few
// milliseconds, a busy machine may wake any one first.
constexpr TimeNs kVictimHeadStart = 50 * kMillisecond;
// Others are kept back for it if on record they had not asked so much sooner.
constexpr TimeNs kVictimLag = 5000 * kMillisecond;
constexpr TimeNs kPacedVictimLag = 100 * kMillisecond;
// How often it is looked whether those that others queue up behind wait by now.
constexpr TimeNs kQueueInterval = 1 * kMillisecond;

}  // namespace

// Who has waited for deadlock_timeout looks for a deadlock and is ended if there is one ("Lock Management",
// chapter 20.12 of the manual): so it is the one that waits first. In production it had waited first, or so
// much longer that others had looked already; where that time is not kept, it must ask before them.
void Replay::note_victim(const Actor& actor, std::uint64_t answered_as) {
  const TimeNs asked_at = still_to_ask(actor, answered_as) ? 0 : actor.asked_at;
  victims_.push_back({actor.id, actor.asked.replies, answered_as, actor.read_at, asked_at, 0, {}});
}

bool Replay::lets_victim_ask_first(Actor& actor, const Step& step) {
  if (!step.footprint.anything && !step.footprint.takes_locks) return true;
  for (Victim& victim : victims_) {
    if (!may_have_met(victim, actor, step)) continue;
    if (victim.asked_at == 0) {
      actor.waits_in_line = true;
      actor.behind = victim.session;
      victim.waiting.push_back(actor.id);
      return false;
    }
    const TimeNs now = proxy::now_ns();
    const bool ahead = victim.waits_since != 0 && now >= victim.waits_since + kVictimHeadStart;
    if (ahead || now >= victim.asked_at + kVictimLead) continue;
    go_on_at(actor, now + kWatchInterval);
    return false;
  }
  return true;
}

void Replay::ask_about_victims() {
  std::vector<std::uint32_t> pids;
  for (const Victim& victim : victims_) {
    const auto found = actors_.find(victim.session);
    if (victim.asked_at != 0 && victim.waits_since == 0 && found != actors_.end())
      pids.push_back(found->second->process_id());
  }
  if (pids.empty()) return;
  const auto deliver = [this](std::function<void()> task) { worker_.loop().post(std::move(task)); };
  const auto answer = [this, asked = proxy::now_ns()](const std::vector<BackendActivity>& activities) {
    const TargetWaits waits(activities);
    for (Victim& victim : victims_) {
      const auto found = actors_.find(victim.session);
      if (victim.asked_at == 0 || victim.asked_at > asked || found == actors_.end()) continue;
      if (victim.waits_since == 0 && waits.waits(found->second->process_id())) victim.waits_since = asked;
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

// A request that must have begun before others end their transactions cannot wait for the answer of who got
// its lock first, which comes after that. It asks for the lock when that one has; the target has queues.
void Replay::queue_behind(std::uint64_t reply, const Step& step) {
  const auto found = actors_.find(precedence_.session_of(reply));
  if (found == actors_.end()) return;
  Actor& first = *found->second;
  for (Step& ahead : first.queue) {
    if (ahead.kind != Step::Kind::kSend || ahead.answered_as != reply) continue;
    if (ahead.begins_before.time <= step.begins_before.time) continue;
    ahead.begins_before = step.begins_before;  // nor can that one
    if (!first.waits_in_line) continue;
    first.waits_in_line = false;
    make_ready(first);
  }
  const bool known = std::any_of(queues_.begin(), queues_.end(),
                                 [&](const InQueue& one) { return one.answered_as == reply; });
  if (!known) queues_.push_back({first.id, reply});
  look_at_queues_again();
}

void Replay::look_at_queues_again() {
  if (queues_.empty() || queues_timer_set_) return;
  queues_timer_set_ = true;
  worker_.loop().call_at(proxy::now_ns() + kQueueInterval, [this] {
    queues_timer_set_ = false;
    if (!finished_) look_at_queues();
  });
}

void Replay::look_at_queues() {
  std::vector<std::uint32_t> pids;
  const TimeNs now = proxy::now_ns();
  std::erase_if(queues_, [&](const InQueue& one) {
    const auto found = actors_.find(one.session);
    if (precedence_.has_arrived(one.answered_as) || found == actors_.end()) return true;
    if (still_to_ask(*found->second, one.answered_as)) return false;
    if (now >= found->second->asked_at + kBeginning) {
      precedence_.waits_at_target(one.answered_as, woken_);
      return true;
    }
    pids.push_back(found->second->process_id());
    return false;
  });
  if (!pids.empty()) {  // else somebody must ask first
    const auto deliver = [this](std::function<void()> task) { worker_.loop().post(std::move(task)); };
    part_.monitor.ask(std::move(pids), deliver, [this, now](const std::vector<BackendActivity>& activities) {
      if (!finished_ && !stopping_) found_waiting(activities, now);
    });
    look_at_queues_again();
  }
  wake(woken_);
  advance();
}

void Replay::found_waiting(const std::vector<BackendActivity>& activities, TimeNs asked) {
  const TargetWaits waits(activities);
  std::erase_if(queues_, [&](const InQueue& one) {
    const auto found = actors_.find(one.session);
    if (found == actors_.end()) return true;
    const Actor& actor = *found->second;
    if (still_to_ask(actor, one.answered_as) || actor.asked_at > asked) return false;
    if (!waits.waits(actor.process_id())) return false;
    precedence_.waits_at_target(one.answered_as, woken_);
    return true;
  });
  wake(woken_);
  advance();
}

// Whether any of what that reply answers has not been sent.
bool Replay::still_to_ask(const Actor& actor, std::uint64_t answered_as) {
  return std::any_of(actor.queue.begin(), actor.queue.end(), [&](const Step& step) {
    return step.kind == Step::Kind::kSend && step.answered_as == answered_as;
  });
}

}  // namespace understudy::replayer
