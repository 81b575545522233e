#include "replayer/causal_reader.h"

#include <utility>

namespace understudy::replayer {
namespace {

// A long result is read through in parts, so that what was read is played meanwhile.
constexpr int kEventsPerTurn = 512;

}  // namespace

CausalReader::CausalReader(const Recording& recording, const ReplayOptions& options,
                           std::function<TargetTables(const std::string&)> read_tables)
    : recording_(recording), options_(options), read_tables_(std::move(read_tables)), directory_(recording) {}

std::span<CausalReader::Item> CausalReader::read() {
  items_.clear();
  has_more_ = false;
  for (int events = 0; !over_ && room(); ++events) {
    if (events == kEventsPerTurn) {
      has_more_ = true;
      break;
    }
    const auto turn =
        turns_.first([this](SessionId session, TimeNs at_least) { return next_time(session, at_least); });
    const SessionDirectory::Entry* const opening = directory_.peek();
    if (!turn && opening == nullptr) {
      over_ = true;
    } else if (opening != nullptr && (!turn || opening->summary.descriptor.opened_at <= turn->time)) {
      open_next();
    } else if (auto step = read_event(turn->session, *sessions_.at(turn->session))) {
      add(turn->session, std::move(*step));
    }
  }
  return items_;
}

std::optional<Step> CausalReader::read_on(SessionId session) {
  for (int events = 0; events < kEventsPerTurn; ++events) {
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return std::nullopt;
    auto step = read_event(session, *found->second);
    if (!step) continue;
    count(*step);
    return step;
  }
  return std::nullopt;
}

void CausalReader::played(const Step& step) {
  --steps_;
  bytes_ -= step.bytes.size();
}

void CausalReader::ran_out(SessionId session) {
  const auto found = sessions_.find(session);
  if (found != sessions_.end() && !std::exchange(found->second->ran_out, true)) ++ran_out_;
}

void CausalReader::leave(SessionId session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  if (found->second->ran_out) --ran_out_;
  sessions_.erase(found);
}

void CausalReader::count(const Step& step) {
  ++steps_;
  bytes_ += step.bytes.size();
}

void CausalReader::release() {
  for (const auto& [id, session] : sessions_) session->recorded.release();
}

std::optional<TimeNs> CausalReader::next_time(SessionId session, TimeNs at_least) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return std::nullopt;
  return found->second->recorded.next_turn(at_least);
}

void CausalReader::open_next() {
  SessionDirectory::Entry entry = directory_.take();
  const SessionDescriptor& descriptor = entry.summary.descriptor;
  if (options_.leaves_out(descriptor)) {
    ++left_out_;
    return;
  }
  const SessionId id = descriptor.id;
  auto session =
      std::make_unique<Session>(recording_, entry, statements_of(options_.database_of(descriptor)));
  Step open;
  open.kind = Step::Kind::kOpen;
  open.time = descriptor.opened_at;
  open.footprint.login = true;
  session->exchange = open.footprint;
  turns_.add(open.time, id);
  const bool continuing = entry.continuing;
  add(id, std::move(open));
  items_.back().opening = std::make_unique<SessionDirectory::Entry>(std::move(entry));
  Session& placed = *(sessions_[id] = std::move(session));
  if (!continuing) return;
  Step logged_in = *step_of(placed.recorded.logged_in_before());
  complete(placed, logged_in);
  add(id, std::move(logged_in));
}

void CausalReader::add(SessionId session, Step step) {
  count(step);
  items_.push_back({session, std::move(step), nullptr});
}

// Of that database of the target, whose catalogs are read when it is first met.
StatementFootprints* CausalReader::statements_of(const std::string& database) {
  auto& statements = statements_[database];
  if (!statements) statements = std::make_unique<StatementFootprints>(read_tables_(database));
  return statements.get();
}

// The step that it is, if it is one.
std::optional<Step> CausalReader::read_event(SessionId id, Session& session) {
  std::optional<Step> step = step_of(session.recorded.next());
  if (!step) return std::nullopt;
  if (std::exchange(session.ran_out, false)) --ran_out_;
  complete(session, *step);
  if (step->kind == Step::Kind::kEnd) sessions_.erase(id);
  return step;
}

// With what it may touch.
void CausalReader::complete(Session& session, Step& step) {
  if (step.kind == Step::Kind::kSend) {
    step.footprint = session.footprints.sent(step.bytes);
    session.exchange.merge(step.footprint);
  } else if (step.kind == Step::Kind::kReply) {
    session.footprints.answered(step.checkpoint);
    if (step.checkpoint.quiescent) {
      step.footprint = std::exchange(session.exchange, {});
    } else {
      step.footprint = session.exchange;
    }
  } else if (step.kind == Step::Kind::kEnd) {
    step.footprint = session.footprints.leaving();
  }
}

}  // namespace understudy::replayer
