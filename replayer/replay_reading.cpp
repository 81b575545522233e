// Replay: from the recording to the actors' queues. In causal order the whole recording is read as one, in
// recorded time, a window ahead of what is played; else each session is read as it plays.
#include "replayer/replay.h"

namespace understudy::replayer {
namespace {

// How far reading may be ahead of playing.
constexpr std::size_t kWindowSteps = 1024;
constexpr std::size_t kWindowBytes = std::size_t{8} << 20;
// A long result is read through in parts, so that others get their turns.
constexpr int kEventsPerTurn = 512;

bool is_replication(const SessionDescriptor& descriptor) {
  const std::string value = descriptor.parameter("replication");
  return !value.empty() && value != "false" && value != "off" && value != "no" && value != "0";
}

}  // namespace

void Replay::read_steps() {
  if (stopping_) return;
  if (options_.order == Order::kCausal) {
    read_merged();
  } else {
    read_openings();
  }
}

bool Replay::room() const { return queued_steps_ < kWindowSteps && queued_bytes_ < kWindowBytes; }

void Replay::read_merged() {
  for (int events = 0; room(); ++events) {
    if (events == kEventsPerTurn) return go_on_later(SessionId{});
    Actor* const actor = earliest();
    const SessionDirectory::Entry* const opening = directory_.peek();
    if (actor == nullptr && opening == nullptr) return;
    if (opening != nullptr &&
        (actor == nullptr || opening->summary.descriptor.opened_at <= turns_.top().time)) {
      admit_next();
    } else if (queue_step(*actor, actor->recorded.next())) {
      make_ready(*actor);
    }
  }
}

// Openings keep their recorded place among what the sessions already open have done; otherwise a fast replay
// would open all sessions of the recording at once.
void Replay::read_openings() {
  while (const SessionDirectory::Entry* const opening = directory_.peek()) {
    const SessionDescriptor& session = opening->summary.descriptor;
    if (!left_out(session)) {
      if (options_.order == Order::kSession && earliest() != nullptr && turns_.top().time < session.opened_at)
        return;
      if (options_.order == Order::kSession && !part_.ensemble.may_open(part_.index, session.opened_at))
        return;
      if (!opening_due(session.opened_at)) return;
    }
    admit_next();
  }
}

// Another part waits with an opening.
void Replay::tell_how_far() {
  if (options_.order != Order::kSession) return;
  TimeNs at = earliest() != nullptr ? turns_.top().time : INT64_MAX;
  if (const SessionDirectory::Entry* const opening = directory_.peek(); opening != nullptr && !stopping_)
    at = std::min(at, opening->summary.descriptor.opened_at);
  part_.ensemble.reached(part_.index, at);
}

bool Replay::read_own(Actor& actor) {
  if (actor.over || (options_.order == Order::kCausal && !actor.ahead)) return false;
  for (int events = 0; events < kEventsPerTurn; ++events) {
    if (queue_step(actor, actor.recorded.next())) return true;
  }
  go_on_later(actor.id);
  return false;
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

bool Replay::queue_step(Actor& actor, const RecordedStep& recorded) {
  Step step;
  step.time = recorded.time;
  step.checkpoint = recorded.checkpoint;
  step.sent_after = precedence_.recorded();
  switch (recorded.kind) {
    case RecordedStep::Kind::kNothing:
      return false;
    case RecordedStep::Kind::kSend:
      step.kind = Step::Kind::kSend;
      step.bytes.assign(recorded.bytes.begin(), recorded.bytes.end());
      if (options_.order == Order::kCausal) {
        step.footprint = actor.footprints.sent(step.bytes);
        actor.exchange.merge(step.footprint);
      }
      break;
    case RecordedStep::Kind::kCancel:
      step.kind = Step::Kind::kCancel;
      step.ran_for = recorded.ran_for;
      break;
    case RecordedStep::Kind::kReply:
      step.kind = Step::Kind::kReply;
      note_reply(actor, step);
      break;
    case RecordedStep::Kind::kEnd:
      step.kind = Step::Kind::kEnd;
      step.end = recorded.end;
      if (options_.order == Order::kCausal) {
        step.footprint = actor.footprints.leaving();
        Footprint closing;
        closing.closing = true;
        step.answered_as = precedence_.reply_recorded(actor.id, closing);
      }
      actor.over = true;
      break;
  }
  ++queued_steps_;
  queued_bytes_ += step.bytes.size();
  actor.queue.push_back(std::move(step));
  return true;
}

// Requests sent from now on have this reply before them.
void Replay::note_reply(Actor& actor, Step& reply) {
  if (options_.order != Order::kCausal) return;
  reply.sent_after = precedence_.reply_recorded(actor.id, actor.exchange);
  actor.footprints.answered(reply.checkpoint);
  if (!reply.checkpoint.quiescent) return;
  actor.exchange = {};
  for (auto step = actor.queue.rbegin(); step != actor.queue.rend(); ++step) {
    if (step->kind == Step::Kind::kReply && step->checkpoint.quiescent) break;
    if (step->kind == Step::Kind::kSend) step->answered_as = reply.sent_after;
  }
}

// When the actor's next step is, to be read (causal order) or to be played.
std::optional<TimeNs> Replay::next_time(Actor& actor, TimeNs at_least) {
  if (options_.order != Order::kCausal && !actor.queue.empty()) return actor.queue.front().time;
  if (actor.over) return std::nullopt;
  // Known without reading for the chunk it is in: enough to tell that it is not the next.
  const auto earliest = actor.recorded.next_time_lower_bound();
  if (!earliest) return at_least;  // its last step: that nothing more comes
  if (*earliest > at_least) return earliest;
  return actor.recorded.next_time().value_or(at_least);
}

Actor* Replay::earliest() {
  while (!turns_.empty()) {
    const Turn turn = turns_.top();
    const auto found = actors_.find(turn.session);
    const auto next = found == actors_.end() || found->second->ended() || found->second->hung_up()
                          ? std::nullopt
                          : next_time(*found->second, turn.time);
    if (next && *next <= turn.time) return found->second.get();
    turns_.pop();
    if (next) turns_.push({*next, turn.session});
  }
  return nullptr;
}

bool Replay::left_out(const SessionDescriptor& session) const {
  return is_replication(session) || session.opened_at < options_.from || session.opened_at > options_.until ||
         (options_.wanted && !options_.wanted(session));
}

void Replay::admit_next() {
  const SessionDirectory::Entry entry = directory_.take();
  const SessionDescriptor& session = entry.summary.descriptor;
  if (left_out(session)) {
    ++result_.sessions_skipped;
    return;
  }
  Login login{mapped(options_.users, session.user()), mapped(options_.databases, session.database()), {}};
  login.password = target_.password(login.user, login.database);
  if (const auto* const used = mapping_of(options_.users, session.user()))
    result_.users_mapped.insert(used->first);
  if (const auto* const used = mapping_of(options_.databases, session.database()))
    result_.databases_mapped.insert(used->first);
  auto actor = std::make_unique<Actor>(static_cast<Audience&>(*this), recording_, entry.summary,
                                       entry.continuing, login, statements_of(login.database));
  Step open;
  open.kind = Step::Kind::kOpen;
  open.time = session.opened_at;
  open.footprint.login = true;
  open.sent_after = precedence_.recorded();
  actor->exchange = open.footprint;
  actor->queue.push_back(std::move(open));
  ++queued_steps_;
  if (entry.continuing) (void)queue_step(*actor, actor->recorded.logged_in_before());
  if (options_.order != Order::kTime) turns_.push({session.opened_at, session.id});
  make_ready(*actor);
  actors_.emplace(session.id, std::move(actor));
}

// Of that database of the target, whose catalogs are read when it is first met.
StatementFootprints* Replay::statements_of(const std::string& database) {
  if (options_.order != Order::kCausal) return nullptr;
  auto& statements = statements_[database];
  if (!statements) statements = std::make_unique<StatementFootprints>(target_.read_tables(database));
  return statements.get();
}

}  // namespace understudy::replayer
