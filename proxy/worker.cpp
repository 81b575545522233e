#include "proxy/worker.h"

#include <algorithm>

#include "proxy/clock.h"
#include "proxy/log_limit.h"

namespace understudy::proxy {
namespace {

// What one read may bring; the most a session holds back for a slow peer.
constexpr std::size_t kScratchBytes = std::size_t{128} << 10;
// How often time-outs are looked at.
constexpr TimeNs kSweepInterval = 250'000'000;
// So long servers have to take the last cancels. One that is there takes them in milliseconds.
constexpr TimeNs kCancelPatience = 2'000'000'000;

}  // namespace

Worker::Worker(unsigned index, ProxyShared& shared, const Limits& limits, std::function<void()> drained)
    : scratch_(kScratchBytes),
      context_{.shared = shared,
               .loop = loop_,
               .owner = *this,
               .worker_index = index,
               .scratch = scratch_,
               .traits = traits_,
               .latency = latency_,
               .limits = limits},
      drained_(std::move(drained)) {}

Worker::~Worker() {
  listeners_.clear();
  sessions_.clear();
  runnables_.clear();
}

void Worker::start() {
  loop_.call_at(now_ns() + kSweepInterval, [this] { sweep(); });
  thread_ = std::thread([this] { loop_.run(); });
}

void Worker::listen(int descriptor, std::function<Worker&(Worker&)> place) {
  listeners_.push_back(std::make_unique<Listener>(
      loop_, descriptor, [this, place = std::move(place)](int accepted, const std::string& peer) {
        count(context_.shared.statistics.connections_accepted);
        auto connection = std::make_unique<SocketConnection>(accepted, peer, context_.limits.socket);
        Worker& home = place(*this);
        if (&home == this) {
          adopt(std::move(connection));
          return;
        }
        // Shared only because std::function copies its captures: a worker that ends closes what it never ran.
        auto held = std::make_shared<std::unique_ptr<Connection>>(std::move(connection));
        home.loop().post([&home, held] { home.adopt(std::move(*held)); });
      }));
}

ClientSession& Worker::adopt(std::unique_ptr<Connection> connection, AdoptOptions options) {
  auto* in_process = dynamic_cast<InProcessConnection*>(connection.get());
  auto session = std::make_unique<ClientSession>(context_, std::move(connection), std::move(options));
  ClientSession& adopted = *session;
  if (in_process != nullptr) in_process->on_readable([this, &adopted] { loop_.make_runnable(adopted); });
  sessions_.emplace(adopted.number(), &adopted);
  session_count_.store(static_cast<std::uint32_t>(sessions_.size()), std::memory_order_relaxed);
  keep(std::move(session));
  loop_.make_runnable(adopted);
  if (context_.draining || stopping_) adopted.drain();
  return adopted;
}

void Worker::keep(std::unique_ptr<Runnable> runnable) {
  Runnable* key = runnable.get();
  runnables_.emplace(key, std::move(runnable));
}

void Worker::ended(Runnable& runnable) {
  const auto found = runnables_.find(&runnable);
  if (found == runnables_.end()) return;
  if (const auto* session = dynamic_cast<ClientSession*>(&runnable)) {
    sessions_.erase(session->number());
    session_count_.store(static_cast<std::uint32_t>(sessions_.size()), std::memory_order_relaxed);
  }
  loop_.bury(std::move(found->second));
  runnables_.erase(found);
  check_drained();
}

void Worker::session_cancelled(std::uint32_t number, bool sent) {
  const auto found = sessions_.find(number);
  if (found != sessions_.end()) found->second->note_cancelled(sent);
}

void Worker::session_cancel_taken(std::uint32_t number) {
  const auto found = sessions_.find(number);
  if (found != sessions_.end()) found->second->cancel_taken();
}

void Worker::session_called(std::uint32_t number) {
  const auto found = sessions_.find(number);
  if (found != sessions_.end()) found->second->called();
}

void Worker::sweep() {
  const TimeNs now = now_ns();
  if (context_.worker_index == 0) {
    context_.shared.pool.sweep(now);
    log_withheld(now);
  }
  const bool overdue = drain_deadline_ > 0 && now > drain_deadline_;
  for (ClientSession* session : present_sessions()) {
    if (overdue) {
      end_now(*session, "terminating connection: drain_timeout reached");
    } else {
      session->check_deadlines(now);
    }
  }
  if (context_.draining) end_streams();
  loop_.call_at(now + kSweepInterval, [this] { sweep(); });
}

// Replication streams never become idle. They end when all else has, on every worker: until then a COMMIT may
// be waiting for what a standby says in one.
void Worker::end_streams() {
  const auto streams_or_ended = [](const auto& entry) {
    return entry.second->streams_replication() || entry.second->state() == SessionState::kClosed;
  };
  if (!std::all_of(sessions_.begin(), sessions_.end(), streams_or_ended)) return;
  if (!std::exchange(only_streams_, true)) --context_.shared.workers_with_transactions;
  if (context_.shared.workers_with_transactions > 0) return;
  for (const auto& [number, session] : sessions_) session->end_stream();
}

void Worker::stop_listening() {
  // Buried, not deleted: a client may be waiting in the very round in which the word to stop arrives.
  for (auto& listener : listeners_) loop_.bury(std::move(listener));
  listeners_.clear();
}

void Worker::start_drain() {
  loop_.post([this] {
    if (context_.draining) return;
    context_.draining = true;
    if (context_.limits.drain_timeout > 0) drain_deadline_ = now_ns() + context_.limits.drain_timeout;
    stop_listening();
    for (const auto& [number, session] : sessions_) session->drain();
    check_drained();
  });
}

void Worker::check_drained() {
  if (!context_.draining || !sessions_.empty() || !drained_) return;
  const auto drained = std::exchange(drained_, nullptr);
  drained();
}

void Worker::stop() {
  loop_.post([this] {
    stop_listening();
    stopping_ = true;
    for (ClientSession* session : present_sessions())
      end_now(*session, "terminating connection due to administrator command");
    loop_.call_at(now_ns() + kCancelPatience, [this] { loop_.stop(); });
    check_stopped();
  });
}

void Worker::end_now(ClientSession& session, const std::string& why) {
  ++last_cancels_;
  const bool told = session.end_now(why, [this] {
    --last_cancels_;
    check_stopped();
  });
  if (!told) --last_cancels_;
}

void Worker::check_stopped() {
  if (!stopping_ || last_cancels_ > 0) return;
  // After the turns that close the sessions.
  loop_.defer([this] { loop_.stop(); });
}

void Worker::reload(const Limits& limits) {
  loop_.post([this, limits] { context_.limits = limits; });
}

// For what may end a session, which changes the map.
std::vector<ClientSession*> Worker::present_sessions() const {
  std::vector<ClientSession*> sessions;
  sessions.reserve(sessions_.size());
  for (const auto& [number, session] : sessions_) sessions.push_back(session);
  return sessions;
}

void Worker::topology_changed() {
  loop_.post([this] {
    for (ClientSession* session : present_sessions()) session->topology_changed();
  });
}

void Worker::pause_changed() {
  loop_.post([this] {
    for (ClientSession* session : present_sessions()) session->pause_changed();
  });
}

void Worker::recording_began(std::shared_ptr<JoinTally> tally) {
  loop_.post([this, tally = std::move(tally)] {
    for (ClientSession* session : present_sessions()) session->recording_began(tally);
  });
}

void Worker::recording_ended() {
  loop_.post([this] {
    for (ClientSession* session : present_sessions()) session->recording_ended();
  });
}

void Worker::tally(std::function<void(SessionTally)> done) {
  loop_.post([this, done = std::move(done)] {
    SessionTally tally;
    for (const auto& [number, session] : sessions_) {
      tally.busy += session->busy() ? 1 : 0;
      tally.held += session->awaits_resume() ? 1 : 0;
    }
    done(tally);
  });
}

void Worker::list_sessions(std::function<void(std::vector<SessionStatus>)> done) {
  loop_.post([this, done = std::move(done)] {
    std::vector<SessionStatus> statuses;
    statuses.reserve(sessions_.size());
    for (const auto& [number, session] : sessions_) statuses.push_back(session->status());
    done(std::move(statuses));
  });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace understudy::proxy
