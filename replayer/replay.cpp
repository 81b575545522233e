#include "replayer/replay.h"

#include "proxy/clock.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMaxLoginErrors = 20;

bool is_replication(const SessionDescriptor& descriptor) {
  const std::string value = descriptor.parameter("replication");
  return !value.empty() && value != "false" && value != "off" && value != "no" && value != "0";
}

}  // namespace

Replay::Replay(const Recording& recording, Target& target, proxy::Worker& worker,
               const ReplayOptions& options, std::function<void()> done)
    : recording_(recording),
      target_(target),
      worker_(worker),
      options_(options),
      done_(std::move(done)),
      directory_(recording),
      monitor_(target.connection(),
               [&worker](std::function<void()> task) { worker.loop().post(std::move(task)); }),
      stall_wait_(kFirstStall) {
  const auto [first, last] = recording.time_range();
  recorded_start_ = std::max(first, options.from);
  result_.recorded_span = std::max<TimeNs>(0, std::min(last, options.until) - recorded_start_);
}

Replay::~Replay() = default;

void Replay::start() {
  worker_.loop().post([this] {
    wall_start_ = last_progress_ = proxy::now_ns();
    watch_for_stall();
    advance();
  });
}

void Replay::stop() {
  worker_.loop().post([this] {
    stopping_ = true;
    result_.stopped = true;
    for (const auto& [id, client] : clients_) client->hang_up();
    advance();
  });
}

void Replay::progressed(TranscriptClient& client) {
  last_progress_ = proxy::now_ns();
  stall_wait_ = kFirstStall;
  if (client.schedule.ahead) run_ahead(client);
  if (options_.order != Order::kCausal) run_free(client);
  advance();
}

void Replay::ended(TranscriptClient& client) {
  last_progress_ = proxy::now_ns();
  if (client.logged_in()) {
    result_.exchanges += client.ready_count() - 1;
  } else {
    ++result_.sessions_failed;
    const std::string& why = client.login_error();
    const std::string key = why.empty() ? "closed without a word" : why;
    if (result_.login_errors.contains(key) || result_.login_errors.size() < kMaxLoginErrors)
      ++result_.login_errors[key];
  }
  if (client.logged_in() && !client.schedule.hung_up && !stopping_) {
    const auto next = client.recorded().peek();
    // Its recorded closing may be left, and the answers to a Terminate: none.
    if (next && next->kind == EventKind::kClientBytes) ++result_.sessions_ended_early;
  }
  progress_.sessions_open.fetch_sub(1, std::memory_order_relaxed);
  // The client is on the stack below; it goes after this turn.
  worker_.loop().defer([this, id = client.recorded().descriptor().id] {
    clients_.erase(id);
    advance();
  });
}

void Replay::advance() {
  if (advancing_) {
    again_ = true;
    return;
  }
  advancing_ = true;
  do {
    again_ = false;
    if (options_.order == Order::kCausal) {
      advance_causal();
    } else {
      advance_free();
    }
  } while (again_);
  advancing_ = false;
  check_finished();
}

TranscriptClient* Replay::earliest() {
  while (!turns_.empty()) {
    const Turn turn = turns_.top();
    const auto found = clients_.find(turn.session);
    const auto next = found == clients_.end() || found->second->ended()
                          ? std::nullopt
                          : found->second->recorded().next_time();
    if (next && *next <= turn.time) return found->second.get();
    turns_.pop();
    if (next) {
      turns_.push({*next, turn.session});
    } else if (found != clients_.end() && !found->second->ended() && !found->second->schedule.hung_up) {
      (void)step_end(*found->second, nullptr);
    }
  }
  return nullptr;
}

void Replay::advance_causal() {
  while (!stopping_ && !reply_awaited()) {
    TranscriptClient* const client = earliest();
    const SessionDirectory::Entry* const opening = directory_.peek();
    if (client == nullptr && opening == nullptr) return;
    if (opening != nullptr &&
        (client == nullptr || opening->summary.descriptor.opened_at <= turns_.top().time)) {
      if (!open_next()) return;
      continue;
    }
    const Step result = step(*client);
    if (result == Step::kWaitsForServer) awaited_ = client->recorded().descriptor().id;
    if (result != Step::kAdvanced) return;
  }
}

bool Replay::reply_awaited() {
  if (awaited_ == SessionId{}) return false;
  const auto found = clients_.find(awaited_);
  if (found != clients_.end() && !found->second->caught_up()) return true;
  awaited_ = {};
  return false;
}

// Openings keep their recorded order among what the sessions already open have done.
void Replay::advance_free() {
  while (!stopping_) {
    const SessionDirectory::Entry* const opening = directory_.peek();
    if (opening == nullptr) {
      (void)earliest();  // ends sessions whose events have run out
      return;
    }
    if (options_.order == Order::kSession && earliest() != nullptr &&
        turns_.top().time < opening->summary.descriptor.opened_at) {
      return;
    }
    if (!open_next()) return;
  }
}

void Replay::run_free(TranscriptClient& client) {
  while (!stopping_ && !client.ended() && step(client) == Step::kAdvanced) {
  }
}

bool Replay::open_next() {
  const SessionDescriptor& next = directory_.peek()->summary.descriptor;
  const bool left_out =
      is_replication(next) || next.opened_at < options_.from || next.opened_at > options_.until;
  if (!left_out && !due(next.opened_at, nullptr)) return false;
  SessionDirectory::Entry entry = directory_.take();
  if (left_out) {
    ++result_.sessions_skipped;
    return true;
  }
  const SessionDescriptor descriptor = entry.summary.descriptor;
  const std::string user = mapped(options_.users, descriptor.user());
  const std::string database = mapped(options_.databases, descriptor.database());
  auto client = std::make_unique<TranscriptClient>(
      static_cast<Audience&>(*this), RecordedSession(recording_, entry.summary, entry.continuing), user,
      database, target_.password(user, database));
  TranscriptClient& opened = *client;
  clients_.emplace(descriptor.id, std::move(client));
  proxy::AdoptOptions adopt;
  adopt.attributes = {{"origin", descriptor.id.to_string()}, {"recording", recording_.id()}};
  opened.start(worker_.adopt(opened.connect(), std::move(adopt)));
  ++result_.sessions;
  progress_.sessions_open.fetch_add(1, std::memory_order_relaxed);
  turns_.push({opened.recorded().next_time().value_or(descriptor.opened_at), descriptor.id});
  if (options_.order != Order::kCausal) run_free(opened);
  return true;
}

void Replay::check_finished() {
  if (finished_ || !clients_.empty() || (!stopping_ && directory_.peek() != nullptr)) return;
  finished_ = true;
  result_.sessions_lost = directory_.lost();
  result_.wall_time = proxy::now_ns() - wall_start_;
  done_();
}

Replay::Step Replay::step(TranscriptClient& client) {
  if (client.ended()) return Step::kEnded;
  RecordedSession& recorded = client.recorded();
  if (!client.caught_up()) return Step::kWaitsForServer;
  note_alignment(client);
  const auto event = recorded.peek();
  if (!event || recorded.broken() || recorded.has_holes()) return step_end(client, nullptr);
  switch (event->kind) {
    case EventKind::kClientBytes:
      return step_client_bytes(client, *event);
    case EventKind::kCancelled:
      return step_cancel(client, *event);
    case EventKind::kGap:
    case EventKind::kClosed:
      return step_end(client, &*event);
    default:
      break;
  }
  progress_.recorded_at.store(event->time, std::memory_order_relaxed);
  recorded.consume();
  client.schedule.answered = recorded.quiescent();
  // Taken now that its reply is there; the next event waits until the live server has come as far.
  return client.caught_up() ? Step::kAdvanced : Step::kWaitsForServer;
}

Replay::Step Replay::step_client_bytes(TranscriptClient& client, const Event& event) {
  RecordedSession& recorded = client.recorded();
  if (!recorded.logged_in()) {  // a recorded login's answer; ours are our own
    recorded.consume();
    return Step::kAdvanced;
  }
  if (client.congested()) return Step::kWaitsForServer;
  if (!due(event.time, &client)) return Step::kWaitsForTime;
  note_lag(event.time);
  result_.bytes_sent += event.data.size();
  ++result_.events_sent;
  client.send(event.data);
  recorded.consume();
  return Step::kAdvanced;
}

Replay::Step Replay::step_end(TranscriptClient& client, const Event* event) {
  if (client.schedule.hung_up) return Step::kEnded;
  // A client that said Terminate is closed by the server; so is one that was told FATAL. Hanging up harms
  // neither.
  if (event == nullptr) {
    const RecordedSession& recorded = client.recorded();
    ++(recorded.has_holes() || recorded.broken() ? result_.sessions_cut_at_gap : result_.sessions_unfinished);
  } else if (event->kind == EventKind::kGap) {
    ++result_.sessions_cut_at_gap;
  } else {
    CloseDetail detail;
    if (decode(event->data, detail) && detail.reason == CloseReason::kRecordingEnded)
      ++result_.sessions_unfinished;
    if (!due(event->time, &client)) return Step::kWaitsForTime;
  }
  client.hang_up();
  return Step::kEnded;
}

bool Replay::due(TimeNs recorded, TranscriptClient* client) {
  if (options_.speed <= 0 || (client != nullptr && client->schedule.ahead)) return true;
  const TimeNs when =
      wall_start_ + static_cast<TimeNs>(static_cast<double>(recorded - recorded_start_) / options_.speed);
  if (proxy::now_ns() >= when) return true;
  bool& set = client == nullptr || options_.order == Order::kCausal ? timer_set_ : client->schedule.timer_set;
  if (set) return false;
  set = true;
  const bool walk = &set == &timer_set_;
  const SessionId session = client == nullptr ? SessionId{} : client->recorded().descriptor().id;
  worker_.loop().call_at(when, [this, walk, session] {
    last_progress_ = proxy::now_ns();
    if (walk) timer_set_ = false;
    const auto found = walk ? clients_.end() : clients_.find(session);
    if (found != clients_.end()) {
      found->second->schedule.timer_set = false;
      run_free(*found->second);
    }
    advance();
  });
  return false;
}

void Replay::note_lag(TimeNs recorded) {
  if (options_.speed <= 0) return;
  const TimeNs target =
      wall_start_ + static_cast<TimeNs>(static_cast<double>(recorded - recorded_start_) / options_.speed);
  const TimeNs now = proxy::now_ns();
  // Before its dependencies were met nothing could be sent: that is the server's share of the lag.
  const TimeNs possible = std::max(target, std::min(last_progress_, now));
  result_.server_slower.add(possible - target);
  result_.replayer_late.add(now - possible);
  progress_.behind.store(now - target, std::memory_order_relaxed);
}

// An exchange is over on both sides.
void Replay::note_alignment(TranscriptClient& client) {
  if (!client.schedule.answered) return;
  client.schedule.answered = false;
  progress_.exchanges.fetch_add(1, std::memory_order_relaxed);
  if (client.transaction_status() != client.recorded().transaction_status())
    ++result_.transaction_state_differs;
}

}  // namespace understudy::replayer
