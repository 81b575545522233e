// Replay: from the recording to the actors' queues. In causal order CausalReader reads the whole recording as
// one, in recorded time, a window ahead of what is played; else each session is read as it plays.
#include <utility>

#include "replayer/replay.h"

namespace understudy::replayer {
namespace {

// A long result is read through in parts, so that others get their turns.
constexpr int kEventsPerTurn = 512;

}  // namespace

void Replay::read_steps() {
  if (stopping_) return;
  if (reader_) {
    read_merged();
  } else {
    read_openings();
  }
}

void Replay::read_merged() {
  for (CausalReader::Item& item : reader_->read()) take(item);
  result_.sessions_skipped = reader_->left_out();
  if (reader_->has_more()) go_on_later(SessionId{});
}

void Replay::take(CausalReader::Item& item) {
  if (item.opening) (void)admit(*item.opening);
  const auto found = actors_.find(item.session);
  if (found == actors_.end() || found->second->ended() || found->second->hung_up()) return pass_over(item);
  Actor& actor = *found->second;
  // Else what stands before it wakes the session when it can be played.
  if (actor.queue.empty()) make_ready(actor);
  queue_step(actor, std::move(item.step));
}

// Of a session that is over.
void Replay::pass_over(const CausalReader::Item& item) {
  reader_->played(item.step);
  if (decides(item)) reader_->leave(item.session);
}

// True when it tells what was not known of the session when the target ended it.
bool Replay::decides(const CausalReader::Item& item) {
  const bool end = item.step.kind == Step::Kind::kEnd;
  if (const auto refused = refused_.extract(item.session)) {
    if (item.step.checkpoint.logged_in) {
      count_failed_login(refused.mapped());
    } else {
      ++result_.sessions_not_admitted;
    }
    return true;
  }
  if (!end && item.step.kind != Step::Kind::kSend) return false;
  if (cut_short_.erase(item.session) == 0) return false;
  if (!end || item.step.end == RecordedEnd::kClientLeft) ++result_.sessions_ended_early;
  return true;
}

// Openings keep their recorded place among what the sessions already open have done; otherwise a fast replay
// would open all sessions of the recording at once.
void Replay::read_openings() {
  while (const SessionDirectory::Entry* const opening = directory_->peek()) {
    const SessionDescriptor& session = opening->summary.descriptor;
    if (!options_.leaves_out(session)) {
      if (options_.order == Order::kSession) {
        const auto others = earliest();
        if (others && *others < session.opened_at) return;
        if (!part_.ensemble.may_open(part_.index, session.opened_at)) return;
      }
      if (!opening_due(session.opened_at)) return;
    }
    admit_next();
  }
}

// Another part waits with an opening.
void Replay::tell_how_far() {
  if (options_.order != Order::kSession) return;
  TimeNs at = earliest().value_or(INT64_MAX);
  if (const SessionDirectory::Entry* const opening = directory_->peek(); opening != nullptr && !stopping_)
    at = std::min(at, opening->summary.descriptor.opened_at);
  part_.ensemble.reached(part_.index, at);
}

// True when there is a step to be played now.
bool Replay::read_own(Actor& actor) {
  if (actor.over) return false;
  if (reader_ && actor.ahead) return read_on(actor);
  if (reader_) {
    reader_->ran_out(actor.id);
    return false;
  }
  for (int events = 0; events < kEventsPerTurn; ++events) {
    const RecordedStep recorded = actor.recorded->next();
    actor.read = recorded.checkpoint;
    std::optional<Step> step = step_of(recorded);
    if (!step) continue;
    queue_step(actor, std::move(*step));
    return true;
  }
  go_on_later(actor.id);
  return false;
}

// Of one that is let through: out of turn, as far as it needs.
bool Replay::read_on(Actor& actor) {
  std::optional<Step> step = reader_->read_on(actor.id);
  if (step) {
    queue_step(actor, std::move(*step));
  } else {
    go_on_later(actor.id);
  }
  return step.has_value();
}

void Replay::go_on_later(SessionId session) {
  later_.push_back(session);
  if (later_.size() > 1) return;
  worker_.loop().post([this] {
    ready_.insert(ready_.end(), later_.begin(), later_.end());
    later_.clear();
    advance();
  });
}

void Replay::queue_step(Actor& actor, Step step) {
  step.sent_after = precedence_.recorded();
  if (step.kind == Step::Kind::kSend) actor.read_at = step.time;
  if (step.footprint.ends_transaction || step.footprint.anything) actor.open_since = UINT64_MAX;
  if (step.kind == Step::Kind::kSend && actor.read.quiescent) {
    actor.asked = {.replies = step.sent_after, .time = step.time};
    actor.refusal = Refusal::kNone;
  }
  actor.read = step.checkpoint;
  if (step.kind == Step::Kind::kReply) note_reply(actor, step);
  if (step.kind == Step::Kind::kEnd) {
    actor.over = true;
    Footprint closing;
    closing.closing = true;
    if (reader_)
      step.answered_as =
          precedence_.reply_recorded(actor.id, std::move(closing), {step.sent_after, step.time}, step.time);
    // What its server never answered waits for nothing that was recorded behind its end.
    note_answer(actor, step.answered_as, Refusal::kNone);
  }
  actor.queue.push_back(std::move(step));
  if (reader_ && actor.queue.back().kind == Step::Kind::kSend)
    snapshots_.read(actor.unanswered, actor.queue.back());
}

// Requests sent from now on have this reply before them.
void Replay::note_reply(Actor& actor, Step& reply) {
  if (!reader_) return;
  // Whose key was there already has taken none.
  if (reply.refusal != Refusal::kNone) actor.refusal = reply.refusal;
  if (actor.refusal == Refusal::kKeyTaken) reply.footprint.unique_keys.clear();
  // Nor has one that was ended in a deadlock got a lock.
  if (actor.refusal == Refusal::kDeadlock) reply.footprint.takes_locks = false;
  reply.sent_after =
      precedence_.reply_recorded(actor.id, std::move(reply.footprint), actor.asked, reply.time);
  if (!reply.checkpoint.quiescent) return;
  const bool open = reply.checkpoint.transaction_status == 'T';
  actor.open_since = open ? std::min(actor.open_since, reply.sent_after) : UINT64_MAX;
  precedence_.was_over(reply.sent_after, [this](SessionId session, std::uint64_t sooner) {
    const auto other = actors_.find(session);
    return other != actors_.end() && other->second->open_since <= sooner;
  });
  note_answer(actor, reply.sent_after, actor.refusal);
  if (actor.refusal == Refusal::kDeadlock) note_victim(actor, reply.sent_after);
}

// What was sent since everything was answered is answered by this reply.
void Replay::note_answer(Actor& actor, std::uint64_t number, Refusal refusal) {
  snapshots_.answered(actor.unanswered, number);
  for (auto step = actor.queue.rbegin(); step != actor.queue.rend(); ++step) {
    if (step->kind == Step::Kind::kReply && step->checkpoint.quiescent) break;
    if (step->kind != Step::Kind::kSend) continue;
    step->answered_as = number;
    step->refusal = refusal;
  }
}

// Of what has not been played, and in session order only.
std::optional<TimeNs> Replay::earliest() {
  const auto turn =
      turns_.first([this](SessionId session, TimeNs at_least) { return next_time(session, at_least); });
  if (!turn) return std::nullopt;
  return turn->time;
}

std::optional<TimeNs> Replay::next_time(SessionId session, TimeNs at_least) {
  const auto found = actors_.find(session);
  if (found == actors_.end()) return std::nullopt;
  Actor& actor = *found->second;
  if (actor.ended() || actor.hung_up()) return std::nullopt;
  if (!actor.queue.empty()) return actor.queue.front().time;
  if (actor.over) return std::nullopt;
  return actor.recorded->next_turn(at_least);
}

void Replay::admit_next() {
  const SessionDirectory::Entry entry = directory_->take();
  const SessionDescriptor& session = entry.summary.descriptor;
  if (options_.leaves_out(session)) {
    ++result_.sessions_skipped;
    return;
  }
  Actor& actor = admit(entry);
  actor.recorded = std::make_unique<RecordedSession>(recording_, entry.summary, entry.continuing);
  Step open;
  open.time = session.opened_at;
  queue_step(actor, std::move(open));
  if (entry.continuing) queue_step(actor, *step_of(actor.recorded->logged_in_before()));
  if (options_.order == Order::kSession) turns_.add(session.opened_at, session.id);
  make_ready(actor);
}

Actor& Replay::admit(const SessionDirectory::Entry& entry) {
  const SessionDescriptor& session = entry.summary.descriptor;
  Login login{mapped(options_.users, session.user()), options_.database_of(session), {}};
  login.password = target_.password(login.user, login.database);
  if (const auto* const used = mapping_of(options_.users, session.user()))
    result_.users_mapped.insert(used->first);
  if (const auto* const used = mapping_of(options_.databases, session.database()))
    result_.databases_mapped.insert(used->first);
  if (entry.continuing) result_.continuing.insert(session.id);
  auto actor = std::make_unique<Actor>(static_cast<Audience&>(*this), session, entry.continuing, login);
  return *(actors_[session.id] = std::move(actor));
}

// No session will be opened any more.
bool Replay::all_read() { return reader_ ? reader_->over() : directory_->peek() == nullptr; }

}  // namespace understudy::replayer
