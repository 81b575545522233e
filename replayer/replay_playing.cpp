// Replay: from the actors' queues to the stage. A step is played when its own session has come as far as it
// had, when the order allows, and when it is due.
#include <algorithm>

#include "formats/transcript/known_replies.h"
#include "formats/wire/message_types.h"
#include "proxy/clock.h"
#include "replayer/replay.h"

namespace understudy::replayer {
namespace {

// Sessions that are about to be gone at the target still hold a slot there. So many may be replaced before.
constexpr std::size_t kLeavingAtOnce = 8;  // of all parts
// How often it is looked whether a client that is to leave in the middle of an answer has heard enough of it.
constexpr TimeNs kLeaveInterval = 10'000'000;

// A piece that ends with a Terminate message.
bool says_good_bye(ByteView bytes) {
  constexpr Byte kTerminate[] = {wire::frontend::kTerminate, 0, 0, 0, 4};
  return bytes.size() >= sizeof kTerminate &&
         std::equal(std::begin(kTerminate), std::end(kTerminate), bytes.end() - sizeof kTerminate);
}

}  // namespace

void Replay::advance() {
  if (advancing_ || finished_) return;
  advancing_ = true;
  try {
    while (true) {
      read_steps();
      if (ready_.empty()) break;
      playing_.swap(ready_);
      for (const SessionId session : playing_) {
        const auto found = actors_.find(session);
        if (found != actors_.end()) play(*found->second);
      }
      playing_.clear();
    }
    if (part_.ensemble.asked()) tell_how_far();
    check_finished();
  } catch (const std::exception& error) {
    fail(error.what());
  }
  advancing_ = false;
}

void Replay::play(Actor& actor) {
  while (!stopping_ && !actor.ended() && !actor.hung_up() && !actor.waits_in_line) {
    if (actor.queue.empty() && !read_own(actor)) return;
    Step& step = actor.queue.front();
    if (!play_step(actor, step)) return;
    progress_.recorded_at.store(step.time, std::memory_order_relaxed);
    played_until_ = std::max(played_until_, step.time);
    if (reader_) reader_->played(step);
    note_sent(actor, step, actor.asked_at);
    actor.queue.pop_front();
  }
}

bool Replay::play_step(Actor& actor, const Step& step) {
  switch (step.kind) {
    case Step::Kind::kOpen:
      return play_open(actor, step);
    case Step::Kind::kSend:
      return play_send(actor, step);
    case Step::Kind::kCancel:
      return play_cancel(actor, step);
    case Step::Kind::kReply:
      return play_reply(actor, step);
    case Step::Kind::kEnd:
      return play_end(actor, step);
  }
  return true;
}

bool Replay::play_open(Actor& actor, const Step& step) {
  if (!due(actor, step.time) || !in_turn(actor, step)) return false;
  if (leaving_ >= std::max<std::size_t>(1, kLeavingAtOnce / part_.ensemble.size())) {
    waiting_to_open_.push_back(actor.id);
    return false;
  }
  proxy::AdoptOptions adopt;
  adopt.attributes = {{"origin", actor.id.to_string()}, {"recording", recording_.id()}};
  actor.start(worker_.adopt(actor.connect(), std::move(adopt)));
  ++result_.sessions;
  progress_.sessions_open.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool Replay::play_send(Actor& actor, const Step& step) {
  if (actor.cancelling() || actor.congested()) return false;
  if (!due(actor, step.time) || !in_turn(actor, step)) return false;
  note_lag(actor, step.time);
  result_.bytes_sent += step.bytes.size();
  ++result_.events_sent;
  if (step.password_hidden) result_.note_password_hidden(actor.id);
  actor.ahead_moved = true;
  actor.asked_at = proxy::now_ns();
  actor.send(step.bytes);
  victim_asked(actor, step);
  if (says_good_bye(step.bytes)) {
    actor.terminated = true;
    note_leaving(actor);
  }
  return true;
}

bool Replay::play_reply(Actor& actor, const Step& step) {
  if (!actor.reached(step.checkpoint)) {
    if (step.checkpoint.quiescent && actor.unstick()) ++result_.unstuck;
    return false;
  }
  actor.may_go_since = last_progress_;
  note_alignment(actor, step.checkpoint);
  note_arrival(step.sent_after);
  const bool settled = step.checkpoint.quiescent && step.checkpoint.transaction_status == 'I';
  if (settled && actor.ahead_moved && actor.transaction_status() == 'I') actor.ahead = false;
  return true;
}

bool Replay::play_end(Actor& actor, const Step& step) {
  const bool closed = step.end == RecordedEnd::kClientLeft || step.end == RecordedEnd::kServerLeft;
  // Refused, or gone before it was admitted: the target is to answer, too.
  if (closed && !step.checkpoint.logged_in && !actor.logged_in()) return false;
  if (closed && (!due(actor, step.time) || !in_turn(actor, step))) return false;
  if (step.end == RecordedEnd::kHole) {
    ++result_.sessions_cut_at_gap;
    result_.cut_at_gap.insert(actor.id);
  }
  if (step.end == RecordedEnd::kUnfinished) ++result_.sessions_unfinished;
  // A server that said FATAL left whatever it was doing.
  if (step.checkpoint.fatal) cancel_again(actor.id, actor.answered(), 0);
  note_leaving(actor);
  actor.hang_up();
  note_arrival(step.answered_as);
  // A log does not tell how much was answered.
  const bool told = actor.recorded_as().attribute(kRepliesAttribute).empty();
  if (step.ran_for && told) leave_as_recorded(actor.id, step.checkpoint, actor.asked_at + *step.ran_for);
  return true;
}

// The recorded client did not wait for the rest of its answer, and its server noticed when it had more to
// say. So no cancel: what that server went on with although its client was gone, this one goes on with, too.
void Replay::leave_as_recorded(SessionId session, const Checkpoint& recorded, TimeNs not_before) {
  worker_.loop().call_at(std::max(not_before, proxy::now_ns() + kLeaveInterval), [this, session, recorded] {
    const auto found = actors_.find(session);
    if (found == actors_.end() || !found->second->open()) return;
    if (!found->second->answered_as_much(recorded)) return leave_as_recorded(session, recorded, 0);
    found->second->vanish();
  });
}

bool Replay::in_turn(Actor& actor, const Step& step) {
  if (!reader_ || actor.ahead) return true;
  Precedence::Place place{step.sent_after, step.answered_as, step.time, step.refusal == Refusal::kKeyTaken,
                          step.begins_before};
  // It asks for a lock that it does not get, whoever gets it.
  if (step.refusal == Refusal::kDeadlock) place.answered_as = step.sent_after;
  actor.waits_for = precedence_.in_the_way_of(actor.id, step.footprint, place);
  actor.waits_in_line = actor.waits_for.has_value();
  if (!actor.waits_in_line) return lets_victim_ask_first(actor, step) && lets_others_begin(actor, step);
  actor.behind = precedence_.session_of(*actor.waits_for);
  if (*actor.waits_for >= step.begins_before.replies) {
    queue_behind(*actor.waits_for, step);
    return false;
  }
  if (*actor.waits_for >= step.sent_after) actor.held_until = precedence_.time_of(*actor.waits_for);
  if (step.beginning) wake(step.beginning->waiting);  // some may not wait for it now
  return false;
}

// So that it does not bring about what they did not see.
bool Replay::lets_others_begin(Actor& actor, const Step& step) {
  for (const auto& other : step.begun_before) {
    if (precedence_.has_arrived(other->answered_as)) continue;
    if (other->sent_at == 0) {
      if (begins_later(*other, step)) continue;
      actor.waits_in_line = true;
      actor.behind = other->session;
      other->waiting.push_back(actor.id);
      return false;
    }
    const TimeNs when = other->sent_at + std::min(step.time - other->recorded_at, kBeginning);
    if (proxy::now_ns() >= when) continue;
    go_on_at(actor, when);
    return false;
  }
  return true;
}

// It waits for a reply that came after this step: for who got a lock before it did, though it had asked
// first.
bool Replay::begins_later(const Beginning& other, const Step& step) const {
  const auto found = actors_.find(other.session);
  if (found == actors_.end()) return true;
  const Actor& actor = *found->second;
  if (!actor.waits_in_line || !actor.waits_for || *actor.waits_for < step.sent_after) return false;
  return *actor.waits_for < actor.queue.front().begins_before.replies;
}

// Nothing of it is needed any more but its place.
void Replay::note_sent(Actor& actor, Step& step, TimeNs sent_at) {
  if (!reader_ || step.kind != Step::Kind::kSend) return;
  snapshots_.sent(actor.unanswered, step, sent_at);
  look_at_queues_again();
  if (!step.beginning) return;
  // What came before that was before it here, too.
  step.beginning->recorded_at = std::max(step.beginning->recorded_at, actor.held_until);
  wake(step.beginning->waiting);
}

void Replay::note_arrival(std::uint64_t reply) {
  if (!reader_) return;
  victim_answered(reply);
  precedence_.arrived(reply, woken_);
  wake(woken_);
}

// Those that waited in line.
void Replay::wake(std::vector<SessionId>& sessions) {
  for (const SessionId session : sessions) {
    const auto found = actors_.find(session);
    if (found == actors_.end()) continue;
    found->second->waits_in_line = false;
    found->second->may_go_since = last_progress_;
    make_ready(*found->second);
  }
  sessions.clear();
}

void Replay::note_leaving(Actor& actor) {
  if (actor.leaving || !actor.open() || !actor.quiescent()) return;
  actor.leaving = true;
  ++leaving_;
}

// The session is over: nobody waits for the rest of it.
void Replay::drop_queue(Actor& actor) {
  for (Step& step : actor.queue) {
    if (reader_) reader_->played(step);
    note_sent(actor, step, proxy::now_ns());
    if (step.kind == Step::Kind::kReply) note_arrival(step.sent_after);
    if (step.kind == Step::Kind::kEnd) note_arrival(step.answered_as);
  }
  actor.queue.clear();
  snapshots_.answered(actor.unanswered, UINT64_MAX);
}

TimeNs Replay::due_time(TimeNs recorded) const {
  return wall_start_ + static_cast<TimeNs>(static_cast<double>(recorded - recorded_start_) / options_.speed);
}

bool Replay::due(Actor& actor, TimeNs recorded) {
  if (options_.speed <= 0) return true;
  const TimeNs when = due_time(recorded);
  if (proxy::now_ns() >= when) return true;
  go_on_at(actor, when);
  return false;
}

void Replay::go_on_at(Actor& actor, TimeNs when) {
  if (actor.timer_set) return;
  actor.timer_set = true;
  worker_.loop().call_at(when, [this, session = actor.id] {
    const auto found = actors_.find(session);
    if (found == actors_.end()) return;
    found->second->timer_set = false;
    make_ready(*found->second);
    advance();
  });
}

bool Replay::opening_due(TimeNs recorded) {
  if (options_.speed <= 0) return true;
  const TimeNs when = due_time(recorded);
  if (proxy::now_ns() >= when) return true;
  if (opening_timer_set_) return false;
  opening_timer_set_ = true;
  worker_.loop().call_at(when, [this] {
    opening_timer_set_ = false;
    advance();
  });
  return false;
}

void Replay::note_lag(const Actor& actor, TimeNs recorded) {
  if (options_.speed <= 0) return;
  const TimeNs due = due_time(recorded);
  const TimeNs now = proxy::now_ns();
  // Before what it waited for had arrived nothing could be sent: that is the server's share of the lag.
  const TimeNs possible = std::max(due, std::min(actor.may_go_since, now));
  result_.server_slower.add(possible - due);
  result_.replayer_late.add(now - possible);
  progress_.server_slower.store(possible - due, std::memory_order_relaxed);
  progress_.replayer_late.store(now - possible, std::memory_order_relaxed);
}

// Where both servers have answered everything, they are compared.
void Replay::note_alignment(Actor& actor, const Checkpoint& checkpoint) {
  if (!checkpoint.quiescent || checkpoint.fatal || !actor.open()) return;
  progress_.exchanges.fetch_add(1, std::memory_order_relaxed);
  // A log does not tell it.
  const bool told = actor.recorded_as().attribute(kRepliesAttribute).empty();
  if (told && actor.transaction_status() != checkpoint.transaction_status)
    ++result_.transaction_state_differs;
  const std::uint64_t recorded = checkpoint.errors - actor.recorded_errors;
  const std::uint64_t live = actor.errors() - actor.live_errors;
  if (live > recorded) ++result_.errors_new;
  if (live < recorded) ++result_.errors_gone;
  actor.recorded_errors = checkpoint.errors;
  actor.live_errors = actor.errors();
}

}  // namespace understudy::replayer
