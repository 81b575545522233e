#include "proxy/backend_monitor.h"

#include <algorithm>

#include "proxy/clock.h"
#include "proxy/log.h"

namespace understudy::proxy {
namespace {

constexpr TimeNs kQuickInterval = 50'000'000;
// Between checks that others ask for: however many sessions break, and if a server closes all it takes.
constexpr TimeNs kLeastPause = 5'000'000;
// From a check that was not let in to the next: the server logs each.
constexpr TimeNs kTurnedAwayInterval = 10'000'000'000;
// Between questions for positions, however many sessions want to know.
constexpr TimeNs kPositionInterval = 1'000'000;

}  // namespace

BackendMonitor::BackendMonitor(const std::vector<Address>& backends, HealthSettings settings,
                               const PatroniSettings& patroni, ServerTlsSource tls, CurrentTopology& topology,
                               ReplicaBoard* board, CommitBooks books, bool sole)
    : topology_(topology),
      board_(board),
      books_(books),
      sole_(sole),
      settings_(std::move(settings)),
      tls_(std::move(tls)),
      tracker_(backends, settings_.failures_before_down, !patroni.endpoints.empty()),
      lookup_(backends, [this](std::size_t i, const Address& address, std::vector<SocketAddress> addresses,
                               std::string error) {
        loop_.post([this, i, address, addresses = std::move(addresses), error = std::move(error)] {
          looked_up(i, address, addresses, error);
        });
      }) {
  const std::size_t most = patroni.endpoints.empty() ? 0 : kMostPatroniMembers;
  for (std::size_t i = 0; i < std::max(backends.size(), most); ++i) {
    watches_.push_back(std::make_unique<Watch>());
    if (i < backends.size()) watch(i, backends[i]);
  }
  if (patroni.endpoints.empty()) return;
  patroni_ = std::make_unique<PatroniWatch>(
      loop_, patroni,
      PatroniWatch::Listener{
          .answered = [this](const PatroniCluster& cluster) { patroni_answered(cluster); },
          .history =
              [this](std::vector<TimelineSwitch> history) {
                publish(tracker_.follow_history(std::move(history)));
              },
          .silent =
              [this](std::string why) {
                log_event(LogLevel::kWarning, "patroni_silent",
                          {{"error", why}, {"until_it_answers", "the servers are judged by their own word"}});
                publish(tracker_.unled(std::move(why)));
              }});
}

BackendMonitor::~BackendMonitor() {
  stop();
  for (const auto& question : questions_) question->client->close();
}

void BackendMonitor::start() {
  publish({});
  lookup_.start();
  if (patroni_) patroni_->start();
  thread_ = std::thread([this] { loop_.run(); });
}

void BackendMonitor::stop() {
  lookup_.stop();
  if (patroni_) patroni_->stop_lookup();
  loop_.stop();
  if (thread_.joinable()) thread_.join();
}

void BackendMonitor::check_now(std::size_t backend) {
  if (watches_[backend]->requested.exchange(true)) return;
  loop_.post([this, backend] {
    watches_[backend]->requested = false;
    check_soon(backend);
    look_at_patroni();
  });
}

void BackendMonitor::watch(std::size_t backend, const Address& address) {
  Watch& watch = *watches_[backend];
  watch.address = address;
  watch.name = address.to_string();
  watch.looked_up = false;
  watch.check_again = false;
  watch.began = 0;
  HealthCheck::Listener listener{
      .succeeded =
          [this, backend](const CheckResult& result) {
            const TopologyChanges changes = tracker_.succeeded(backend, result, now_ns());
            note_position(backend);
            checked(backend, true, changes);
          },
      .failed =
          [this, backend](std::string error) {
            forget_position(backend);
            checked(backend, false, tracker_.failed(backend, std::move(error)));
          },
      .disconnected =
          [this, backend] {
            forget_position(backend);
            check_soon(backend);
            look_at_patroni();
          },
      .replayed = [this, backend](Lsn position) { position_answered(backend, position); }};
  if (sole_) listener.turned_away = [this, backend](const std::string& why) { turned_away(backend, why); };
  watch.check = std::make_unique<HealthCheck>(loop_, address, settings_, tls_, std::move(listener));
}

void BackendMonitor::unwatch(std::size_t backend) {
  Watch& watch = *watches_[backend];
  loop_.cancel(watch.timer);
  lookup_.forget(backend);
  forget_position(backend);
  watch.looked_up = false;
  watch.check.reset();
}

void BackendMonitor::look_at_patroni() {
  if (patroni_) patroni_->look();
}

void BackendMonitor::patroni_answered(const PatroniCluster& cluster) {
  std::vector<Address> members;
  for (const PatroniMember& member : cluster.members) members.push_back(member.address);
  const TopologyChanges changes = tracker_.follow(members, cluster.leader);
  using Kind = TopologyChange::Kind;
  for (const TopologyChange& change : changes) {
    const Address& address = tracker_.topology().backends[change.backend].address;
    if (change.kind == Kind::kBackendRemoved) {
      log_event(LogLevel::kInfo, "backend_removed", {{"backend", watches_[change.backend]->name}});
      unwatch(change.backend);
    } else if (change.kind == Kind::kBackendAdded) {
      log_event(LogLevel::kInfo, "backend_added", {{"backend", address.to_string()}});
      watch(change.backend, address);
    }
  }
  publish(changes);
  for (const TopologyChange& change : changes) {
    if (change.kind != Kind::kBackendAdded) continue;
    lookup_.set(change.backend, watches_[change.backend]->address);
  }
}

// Sessions look at the board more often; what they learn of a change there must not be older.
void BackendMonitor::publish(const TopologyChanges& changes) {
  for (const TopologyChange& change : changes) {
    // Before anything is committed there.
    if (change.kind == TopologyChange::Kind::kPrimaryFound && books_.ledger != nullptr) {
      settle_accounts(change.backend);
    }
  }
  if (board_ != nullptr) board_->publish(tracker_.topology());
  topology_.set(tracker_.topology());
  for (const TopologyChange& change : changes) log(change);
}

// What the sessions cannot look up themselves.
void BackendMonitor::settle_accounts(std::size_t primary) {
  const BackendState& state = tracker_.topology().backends[primary];
  if (const auto lost = tracker_.take_lost_wal()) {
    log_event(LogLevel::kWarning, "wal_lost",
              {{"timeline", std::to_string(lost->timeline)},
               {"left_at", to_string(lost->left_at)},
               {"flushed", to_string(lost->flushed)},
               {"bytes", std::to_string(lost->flushed.value - lost->left_at.value)},
               {"backend", watches_[primary]->name}});
  }
  CommitLedger::Account account = books_.ledger->primary_is(state.timeline, state.history);
  if (account.ids.empty()) return tell_missing(account, account.lost, account.unclear, {});
  auto question = std::make_unique<Question>();
  question->sql = CommitLedger::question(account.ids);
  question->patience = settings_.query_timeout;
  question->told = [this, account = std::move(account)](const BackendAnswer& answer) {
    const auto missing = answer.answered ? CommitLedger::read(answer.answer.row) : std::nullopt;
    if (missing) {
      return tell_missing(account, account.lost + missing->lost, account.unclear + missing->unclear, {});
    }
    tell_missing(account, account.lost, account.unclear + account.ids.size(), answer.answer.error);
  };
  begin_question(primary, std::move(question));
}

void BackendMonitor::tell_missing(const CommitLedger::Account& account, std::uint64_t lost,
                                  std::uint64_t unclear, const std::string& error) {
  const std::string left_at = account.left_at ? to_string(*account.left_at) : "not in the timeline's history";
  const auto tell = [&](std::string_view event, std::string_view which, std::uint64_t count) {
    log_event(LogLevel::kError, event,
              {{"count", std::to_string(count)},
               {"timeline", std::to_string(account.timeline)},
               {"left_at", left_at},
               {"commits", std::string(which)},
               {"error", error.empty() ? "none" : error}});
  };
  books_.statistics->commits_lost.fetch_add(lost, std::memory_order_relaxed);
  books_.statistics->commits_unclear.fetch_add(unclear, std::memory_order_relaxed);
  if (lost > 0) tell("commits_lost", "the last ones of sessions that have closed", lost);
  if (unclear > 0) tell("commits_unclear", "without an id, or of sessions that have closed", unclear);
}

void BackendMonitor::ask(std::size_t backend, const std::string& sql, TimeNs patience,
                         std::function<void(const BackendAnswer&)> told) {
  loop_.post([this, backend, sql, patience, told = std::move(told)] {
    auto question = std::make_unique<Question>();
    question->sql = sql;
    question->patience = patience;
    question->told = told;
    begin_question(backend, std::move(question));
  });
}

void BackendMonitor::begin_question(std::size_t backend, std::unique_ptr<Question> question) {
  const BackendState& state = tracker_.topology().backends[backend];
  Question& asking = *question;
  asking.client = std::make_unique<DatabaseClient>(
      loop_, state.address, tls_,
      DatabaseClient::Listener{.ready =
                                   [this, &asking] {
                                     asking.asked = true;
                                     asking.client->ask(asking.sql, asking.patience);
                                   },
                               .answered =
                                   [this, &asking](const QueryAnswer& answer) {
                                     end_question(asking, {answer, true, true});
                                   },
                               .failed =
                                   [this, &asking](std::string why) {
                                     end_question(asking, {{.error = std::move(why)}, asking.asked, false});
                                   },
                               .disconnected = [] {}});
  asking.client->set_addresses(state.addresses, "its name has no address");
  questions_.push_back(std::move(question));
  asking.client->open({settings_.user, settings_.password, settings_.database, "understudy"},
                      settings_.connect_timeout);
}

void BackendMonitor::end_question(Question& question, BackendAnswer answer) {
  const auto told = std::move(question.told);
  question.client->close();
  loop_.bury(std::move(question.client));
  std::erase_if(questions_, [&](const auto& one) { return one.get() == &question; });
  told(answer);
}

void BackendMonitor::reload(HealthSettings settings) {
  loop_.post([this, settings = std::move(settings)] {
    const bool other_login = settings.user != settings_.user || settings.password != settings_.password ||
                             settings.database != settings_.database;
    settings_ = settings;
    tracker_.set_failures_before_down(settings.failures_before_down);
    for (std::size_t i = 0; i < watches_.size(); ++i) {
      if (other_login && watches_[i]->check) watches_[i]->check->reconnect();
      check_soon(i);
    }
  });
}

// A name that cannot be looked up any more keeps the addresses it had.
void BackendMonitor::looked_up(std::size_t backend, const Address& address,
                               std::vector<SocketAddress> addresses, std::string error) {
  Watch& watch = *watches_[backend];
  if (!watch.check || watch.address != address) return;  // it is no more
  const bool had_some = !tracker_.topology().backends[backend].addresses.empty();
  if (addresses.empty() && had_some) {
    log_event(LogLevel::kWarning, "backend_lookup_failed",
              {{"backend", watch.name}, {"error", error}, {"kept", "the last addresses"}});
    return;
  }
  tracker_.looked_up(backend, addresses);
  watch.check->set_addresses(std::move(addresses), std::move(error));
  publish({});
  if (!std::exchange(watch.looked_up, true)) begin_check(backend);
}

void BackendMonitor::schedule(std::size_t backend, TimeNs when) {
  Watch& watch = *watches_[backend];
  loop_.cancel(watch.timer);
  watch.timer = loop_.call_at(when, [this, backend] { begin_check(backend); });
}

void BackendMonitor::begin_check(std::size_t backend) {
  Watch& watch = *watches_[backend];
  if (watch.check->busy()) {
    watch.check_again = true;
    return;
  }
  loop_.cancel(watch.timer);
  watch.check_again = false;
  watch.began = now_ns();
  if (books_.ledger != nullptr) watch.page = books_.ledger->turn_page();
  watch.check->check();
}

void BackendMonitor::ask_positions() {
  loop_.post([this] {
    const TimeNs soonest = positions_asked_ + kPositionInterval;
    if (now_ns() >= soonest) return ask_positions_now();
    (void)loop_.call_at(soonest, [this] { ask_positions_now(); });
  });
}

void BackendMonitor::ask_positions_now() {
  positions_asked_ = now_ns();
  board_->asking();
  for (std::size_t i = 0; i < watches_.size(); ++i) {
    const auto& check = watches_[i]->check;
    if (check && board_->readable(i) && check->resting()) check->ask_position();
  }
}

void BackendMonitor::position_answered(std::size_t backend, Lsn position) {
  if (position.value != 0 && board_->readable(backend)) board_->replayed(backend, position);
  if (watches_[backend]->check_again) begin_check(backend);
}

void BackendMonitor::note_position(std::size_t backend) {
  const Topology& topology = tracker_.topology();
  if (books_.ledger == nullptr || topology.primary != backend) return;
  const BackendState& state = topology.backends[backend];
  books_.ledger->stood_at(watches_[backend]->page, state.timeline, state.lsn);
}

void BackendMonitor::forget_position(std::size_t backend) {
  if (board_ != nullptr) board_->forget_position(backend);
}

// One that just failed, or is down, is asked soon enough anyway.
void BackendMonitor::check_soon(std::size_t backend) {
  Watch& watch = *watches_[backend];
  if (!watch.looked_up) return;
  if (watch.check->busy()) {
    watch.check_again = true;
    return;
  }
  const bool up = tracker_.topology().backends[backend].up && !tracker_.suspect(backend);
  schedule(backend, watch.began + (up ? kLeastPause : pause()));
}

void BackendMonitor::turned_away(std::size_t backend, const std::string& why) {
  publish(tracker_.turned_away(backend));
  if (!std::exchange(watches_[backend]->told_turned_away, true)) {
    log_event(LogLevel::kInfo, "health_check_turned_away",
              {{"backend", watches_[backend]->name},
               {"error", why},
               {"meaning", "it is up; its role is not known"},
               {"remedy", "health_user and health_password that it lets in"}});
  }
  schedule(backend, now_ns() + kTurnedAwayInterval);
}

void BackendMonitor::checked(std::size_t backend, bool answered, const TopologyChanges& changes) {
  publish(changes);
  const Watch& watch = *watches_[backend];
  const bool hurry = urgent();
  // Where a server has another role than before, or is gone, Patroni knows why.
  if (hurry || !changes.empty()) look_at_patroni();
  // Where nothing is the matter all are asked at the same time: the monitor wakes up once for them.
  const TimeNs interval = std::max(settings_.interval, TimeNs{1});
  const TimeNs next =
      hurry || tracker_.suspect(backend) ? watch.began + pause() : (watch.began / interval + 1) * interval;
  const TimeNs soonest = now_ns() + (answered ? kLeastPause : pause());
  schedule(backend, watch.check_again ? soonest : std::max(soonest, next));
  if (hurry && !std::exchange(was_urgent_, hurry)) {
    for (std::size_t i = 0; i < watches_.size(); ++i) {
      if (i != backend) check_soon(i);
    }
  }
  was_urgent_ = hurry;
}

// Whoever takes over should be seen as soon as it does.
bool BackendMonitor::urgent() const {
  if (sole_) return false;
  const auto& primary = tracker_.topology().primary;
  return !primary || tracker_.suspect(*primary);
}

TimeNs BackendMonitor::pause() const { return std::min(settings_.interval, kQuickInterval); }

void BackendMonitor::log(const TopologyChange& change) const {
  const Topology& topology = tracker_.topology();
  const BackendState& state = topology.backends[change.backend];
  const std::string& name = watches_[change.backend]->name;
  const std::string timeline = std::to_string(state.timeline);
  switch (change.kind) {
    case TopologyChange::Kind::kBackendUp:
      return log_event(
          LogLevel::kInfo, "backend_up",
          {{"backend", name}, {"role", std::string(to_string(state.role))}, {"timeline", timeline}});
    case TopologyChange::Kind::kBackendDown:
      return log_event(LogLevel::kWarning, "backend_down", {{"backend", name}, {"error", state.error}});
    case TopologyChange::Kind::kBackendFenced:
      return log_event(LogLevel::kWarning, "backend_fenced",
                       {{"backend", name},
                        {"timeline", timeline},
                        {"primary", topology.primary ? watches_[*topology.primary]->name : "none"}});
    case TopologyChange::Kind::kPrimaryFound:
      return log_event(LogLevel::kInfo, "primary_found", {{"backend", name}, {"timeline", timeline}});
    case TopologyChange::Kind::kBackendAdded:
    case TopologyChange::Kind::kBackendRemoved:
      return;  // said already, while its place had its name
    case TopologyChange::Kind::kPrimaryLost:
      return log_event(LogLevel::kWarning, "primary_lost", {{"backend", name}, {"timeline", timeline}});
  }
}

}  // namespace understudy::proxy
