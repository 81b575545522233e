// ClientSession when its server is lost and another is to take its place:
//
//     lost -> (no primary: wait) -> a server of the pool, or connect and log in -> Continuity restores and
//     replays -> on
//
// The client is not read meanwhile; what it sees is a slow answer.
#include <algorithm>

#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_builders.h"
#include "formats/wire/message_types.h"
#include "formats/wire/startup.h"
#include "proxy/client_session.h"
#include "proxy/clock.h"
#include "proxy/log.h"

namespace understudy::proxy {
namespace {

// A primary that could not be reached is tried again so soon.
constexpr TimeNs kRetryInterval = 50'000'000;
// A request that so many servers did not survive is not put to another.
constexpr unsigned kMostLosses = 5;
// Differs from that of any topology.
constexpr std::uint64_t kNoGeneration = ~std::uint64_t{0};

// Too many come at once, or the server is not ready yet: it may take the session a moment later.
bool may_take_it_later(ByteView error_message) {
  return refuses_for_now(error_message) ||
         as_text(error_message).find(std::string_view("\0C53300", 7)) != std::string_view::npos;
}

std::string milliseconds(TimeNs time) { return std::to_string(time / 1'000'000); }

}  // namespace

Continuity::Settings reported_in(ByteView greeting) {
  constexpr std::size_t kHeaderBytes = 5;
  Continuity::Settings::Items settings;
  while (greeting.size() >= kHeaderBytes) {
    const std::size_t size = std::size_t{load_be32(greeting.data() + 1)} + 1;
    if (size < kHeaderBytes || size > greeting.size()) break;
    if (static_cast<char>(greeting.front()) == wire::backend::kParameterStatus) {
      const auto status = wire::ParameterStatus::decode(greeting.subspan(kHeaderBytes, size - kHeaderBytes));
      if (status) settings.emplace_back(status->name, status->value);
    }
    greeting = greeting.subspan(size);
  }
  return Continuity::Settings(std::move(settings));
}

void ClientSession::begin_failover(const Login& login, ByteView greeting) {
  const SessionDescriptor& descriptor = login.descriptor;
  if (!context_.shared.failover) return;
  replicates_ = !descriptor.parameter("replication").empty();
  if (replicates_) return;
  failover_ = std::make_unique<Failover>(context_.shared.continuity, context_.traits);
  failover_->startup_parameters = descriptor.startup_parameters;
  failover_->user = descriptor.user();
  if (login.own) {
    failover_->password = login.own->authentication->password();
    failover_->keys = login.own->authentication->keys();
  }
  if (context_.shared.mode != Mode::kPrimary) failover_->pool = pool_key(descriptor);
  if (context_.shared.mode == Mode::kShadow) {
    begin_shadow(descriptor);
  } else if (context_.shared.mode != Mode::kPrimary) {
    failover_->split = std::make_unique<Split>();
  }
  const TopologySnapshot topology = context_.shared.topology.get();  // holds what is pointed to
  const BackendState* const backend = note_backend(*topology);
  failover_->continuity.served_by(backend == nullptr ? 0 : backend->timeline,
                                  pooled_ ? pooled_->facts.settings : reported_in(greeting));
  note_primary(*topology);
  // Another may have become primary while the login went on.
  if (is_elsewhere(*topology)) failover_->generation = kNoGeneration;
}

// Which backend serves the session, and as what.
const BackendState* ClientSession::note_backend(const Topology& topology) {
  failover_->generation = topology.generation;
  for (std::size_t index = 0; index < topology.backends.size(); ++index) {
    if (topology.backends[index].address != server_.backend()) continue;
    failover_->backend = index;
    failover_->timeline = topology.backends[index].timeline;
    return &topology.backends[index];
  }
  return nullptr;
}

void ClientSession::topology_changed() {
  if (state() == SessionState::kClosed || !client_.attached()) return;
  const TopologySnapshot topology = context_.shared.topology.get();
  note_primary(*topology);
  leave_silent_replica(*topology);
  if (state() == SessionState::kClosed || (!topology->primary && !replicas_only())) return settle();
  const bool elsewhere = is_elsewhere(*topology);
  if (login_) {
    const bool connecting = login_->connecting_since > 0 && !server_.connected();
    const bool ours = login_->own && login_->own->server_login;  // a login that can be begun anew
    const bool unanswered = !login_->own && !login_->startup_packet.empty() && server_.connected();
    if (elsewhere && (connecting || ours || unanswered)) await_server();
    if (login_ && login_->waiting_for_primary) begin_server();
  } else if (replicates()) {
    if (elsewhere) strand_replication("another server is primary");
  } else if (failover_ && moving() && !server_.endpoint().attached()) {
    if (!failover_->waiting_in_pool) seek_server();
  } else if (failover_ && replicas_only()) {
    if (elsewhere) lose_server(why_not_home(*topology));
  } else if (failover_ && topology->generation != failover_->generation) {
    failover_->generation = topology->generation;
    const BackendState& primary = topology->backends[*topology->primary];
    if (failover_->continuity.at_replica()) return primary_changed(primary);
    // The same server may have been away for a moment, as the monitor saw it; the session knows better.
    if (elsewhere || primary.timeline != failover_->timeline) lose_server("another server is primary");
  }
  settle();
}

bool ClientSession::moving() const { return failover_ && failover_->lost_at != 0; }

void ClientSession::lose_server(const std::string& why) {
  if (failover_->continuity.at_replica()) return leave_replica(why);
  Failover& failover = *failover_;
  Statistics& statistics = context_.shared.statistics;
  const bool again = moving();
  log_event(LogLevel::kInfo, "server_lost",
            {{"session", std::to_string(number_)}, {"backend", server_.address_text()}, {"reason", why}});
  failover.continuity.server_lost();
  failover.good_bye = failover.continuity.take_good_bye();
  failover.attempts = 0;
  drop_server();
  hide_from_cancels();
  leave_home();
  if (context_.shared.suspect) context_.shared.suspect(failover.backend);
  if (!again) {
    count(statistics.servers_lost);
    failover.lost_at = now_ns();
    tracker_.server_lost();
    const std::string pinned = failover.continuity.cannot_move();
    if (!pinned.empty()) {
      count(statistics.sessions_stranded);
      return terminate(CloseReason::kServerLeft, "57P01",
                       "terminating connection: its server was lost, and the session cannot be moved", {},
                       "What it holds cannot be made again on another server: " + pinned + ".");
    }
  } else {
    tracker_.server_lost();
  }
  // A session that had its server, and asked nothing of it, has not done for it.
  const bool perhaps_to_blame = again || failover.continuity.client_waits();
  failover.losses = perhaps_to_blame ? failover.losses + 1 : 0;
  if (failover.losses > kMostLosses) {
    return terminate(CloseReason::kServerLeft, "08006",
                     "terminating connection: its server was lost again and again", {},
                     std::to_string(failover.losses) + " times without an answer to its request.");
  }
  again ? try_later(why) : seek_server();
}

// A server that ends one session and is at once there for another was told to by an administrator
// (pg_terminate_backend); one that shuts down takes nobody.
bool ClientSession::was_terminated() const {
  const std::string_view good_bye = as_text(failover_->good_bye);
  const bool of_recovery = good_bye.find(std::string_view("\0C40001", 7)) != std::string_view::npos;
  return !good_bye.empty() && failover_->attempts == 1 && !of_recovery;
}

void ClientSession::pass_good_bye() {
  tracker_.server_found();
  tracker_.server_restored();
  show_client(failover_->good_bye);
  close(CloseReason::kServerLeft, "the session was terminated");
}

// Gives the present server up, whatever state it is in.
void ClientSession::drop_server() {
  server_.close();
  server_write_failed_ = false;
  failover_->login.reset();
  failover_->login_bytes.clear();
  failover_->connecting_since = 0;
  if (pooled_ && pooled_->acquired) {
    pooled_->acquired = false;
    context_.shared.pool.gone(pooled_->key, now_ns());
  }
}

void ClientSession::seek_server() {
  const TopologySnapshot topology = context_.shared.topology.get();
  if (state() == SessionState::kClosed) return;
  if (!find_home(*topology)) return replicas_only() ? seek_later() : void();
  Failover& failover = *failover_;
  if (!pooled_) return connect_to_primary();
  pooled_->key = home_key(replicas_only() ? failover.pool : pooled_->key);
  ServerPool::Answer answer =
      context_.shared.pool.acquire(pooled_->key, now_ns(), [&context = context_, number = number_] {
        context.loop.post([&context, number] { context.owner.session_called(number); });
      });
  failover.waiting_in_pool = answer.kind == ServerPool::Answer::Kind::kWait;
  failover.ticket = answer.ticket;
  if (!failover.waiting_in_pool) take_other_server(std::move(answer));
}

void ClientSession::take_other_server(ServerPool::Answer answer) {
  failover_->waiting_in_pool = false;
  pooled_->acquired = true;
  const bool connect = answer.kind == ServerPool::Answer::Kind::kConnect;
  // Whether the lost server is there for anybody only a new connection tells.
  if (connect || !failover_->good_bye.empty()) {
    pooled_->epoch = connect ? answer.epoch : answer.server.epoch;
    pooled_->connected_at = now_ns();
    return connect_to_primary();
  }
  pooled_->epoch = answer.server.epoch;
  pooled_->connected_at = answer.server.connected_at;
  pooled_->facts = answer.server.facts;
  const ServerFacts facts = answer.server.facts;
  server_.adopt(std::move(answer.server));
  found_server(facts);
}

void ClientSession::connect_to_primary() {
  const TopologySnapshot topology = context_.shared.topology.get();
  const auto at = home(*topology);
  if (!at) return try_later("there is no primary");
  const bool same = failover_->backend == *at && failover_->generation == topology->generation;
  failover_->attempts += same ? 1 : 2;
  failover_->backend = *at;
  failover_->generation = topology->generation;
  failover_->connecting_since = now_ns();
  if (server_.start(topology->backends[*at]) == ServerSession::Progress::kFailed) {
    try_later(server_.failure());
  }
}

void ClientSession::try_later(const std::string& why) {
  failover_->last_error = why;
  if (context_.shared.suspect) context_.shared.suspect(failover_->backend);
  drop_server();
  leave_home();
  seek_later();
}

// A change of the topology comes sooner, where it is one that is told of.
void ClientSession::seek_later() {
  context_.loop.cancel(failover_->retry);
  failover_->retry = context_.loop.call_at(now_ns() + kRetryInterval, [this] {
    if (moving() && !server_.endpoint().attached() && !failover_->waiting_in_pool) seek_server();
    settle();
  });
}

// A client that logs in waits for a server as one that is moved does.
void ClientSession::await_server() {
  login_->waiting_for_primary = true;
  login_->connecting_since = 0;
  server_.close();
  server_write_failed_ = false;
  if (login_->own) login_->own->server_login.reset();
  login_->server_bytes.clear();
  if (replicas_only()) {
    leave_home();
    if (pooled_ && pooled_->acquired) context_.shared.pool.gone(pooled_->key, now_ns());
    pooled_.reset();
  }
  login_->waiting_for_primary = true;
  await_home();
}

// topology_changed() comes back when there is a primary; that a replica has caught up it is not told.
void ClientSession::await_home() {
  context_.loop.cancel(login_->retry);
  login_->retry = context_.loop.call_at(now_ns() + kRetryInterval, [this] {
    if (login_ && login_->waiting_for_primary) begin_server();
    settle();
  });
}

ClientAuthenticator ClientSession::authenticator() const {
  const Failover& failover = *failover_;
  return failover.password.empty() && failover.keys ? ClientAuthenticator(failover.user, *failover.keys)
                                                    : ClientAuthenticator(failover.user, failover.password);
}

void ClientSession::log_in_elsewhere() {
  Failover& failover = *failover_;
  wire::StartupMessage startup;
  for (const auto& parameter : failover.startup_parameters) {
    if (!parameter.first.starts_with("_pq_.")) startup.parameters.push_back(parameter);
  }
  failover.login = std::make_unique<ServerLogin>(authenticator());
  const TlsConnection* const tls = server_.endpoint().connection().tls();
  if (tls != nullptr) failover.login->bind_to(tls->server_end_point());
  count(context_.shared.statistics.servers_connected);
  ByteBuffer packet;
  wire::append_startup_message(packet, startup);
  if (!server_.endpoint().send(packet)) server_write_failed_ = true;
}

void ClientSession::take_other_login(ByteView bytes) {
  Failover& failover = *failover_;
  append_bytes(failover.login_bytes, bytes);
  ByteBuffer reply;
  const ServerLogin::Progress progress = failover.login->take(failover.login_bytes, reply);
  if (!reply.empty() && !server_.endpoint().send(reply)) server_write_failed_ = true;
  if (progress == ServerLogin::Progress::kGoesOn) return;
  if (progress == ServerLogin::Progress::kReady) {
    const ServerFacts facts = std::move(failover.login->facts());
    failover.login.reset();
    if (was_terminated()) return pass_good_bye();
    if (pooled_) pooled_->facts = facts;
    return found_server(facts);
  }
  const ByteBuffer error = failover.login->server_error();
  if (may_take_it_later(error)) return try_later("the server takes no more clients at present");
  const std::string why = error.empty() ? failover.login->failure() : "the new server refused the login";
  terminate(CloseReason::kServerLeft, "08006",
            "could not move the session to " + server_.address_text() + ": " + why,
            pooled_ ? "" : "Where authentication is relayed the proxy knows no password: use auth = file.");
}

void ClientSession::found_server(const ServerFacts& facts) {
  Failover& failover = *failover_;
  const TopologySnapshot topology = context_.shared.topology.get();
  failover.connecting_since = 0;
  failover.found_at = now_ns();
  const BackendState* const backend = note_backend(*topology);
  failover.cancel = cancel_target(facts.process_id, facts.cancel_key);
  if (observer_) observer_->backend_switched(server_.address_text(), now_ns());
  tracker_.server_found();
  failover.continuity.server_found(backend == nullptr ? 0 : backend->timeline,
                                   backend == nullptr ? std::vector<TimelineSwitch>() : backend->history,
                                   facts.settings);
  go_on();
}

// After anything that may have moved the session's recovery along.
void ClientSession::go_on() {
  Continuity& continuity = failover_->continuity;
  continuity.ask_here_again();
  if (!continuity.broken().empty()) {
    return terminate(CloseReason::kServerLeft, "57P01",
                     "terminating connection: its server was lost, and the session could not be moved", {},
                     continuity.broken());
  }
  const ByteBuffer ours = continuity.take_for_server();
  if (!ours.empty() && server_.connected() && !server_.endpoint().send(ours)) server_write_failed_ = true;
  using Stage = Continuity::Stage;
  const bool resumed = continuity.stage() == Stage::kRelaying || continuity.stage() == Stage::kReplaying;
  if (!resumed || continuity.server_leaves()) return;
  tracker_.server_restored();
  const bool settled = moving() && continuity.stage() == Stage::kRelaying;
  if (settled && !tracker_.server_at_boundary()) return;  // a long row goes on first
  // What the client was told of settings and is not so any more, before it is told that it may go on.
  ByteBuffer told = settled ? continuity.settings_to_tell() : ByteBuffer();
  append_bytes(told, continuity.take_for_client());
  if (!told.empty()) show_client(told);
  if (continuity.stage() != Stage::kRelaying || !moving() || state() == SessionState::kClosed) return;
  context_.shared.cancels.move(process_id_, client_key_, std::exchange(failover_->cancel, {}));
  tell_missing_commit();
  const TimeNs took = now_ns() - std::exchange(failover_->lost_at, 0);
  if (!failover_->split || !std::exchange(failover_->split->returning, false)) {
    count(context_.shared.statistics.sessions_moved);
    log_event(LogLevel::kInfo, "session_moved",
              {{"session", std::to_string(number_)},
               {"backend", server_.address_text()},
               {"ms", milliseconds(took)}});
  }
  resume_waiting();
  pass_cancel();
}

void ClientSession::tell_missing_commit() {
  const auto missing = failover_->continuity.take_missing_commit();
  if (!missing) return;
  Statistics& statistics = context_.shared.statistics;
  count(missing->unclear ? statistics.commits_unclear : statistics.commits_lost);
  log_event(LogLevel::kError, missing->unclear ? "commits_unclear" : "commits_lost",
            {{"session", std::to_string(number_)},
             {"transaction", std::to_string(missing->mark.id)},
             {"after", to_string(Lsn{missing->mark.lsn})},
             {"timeline", std::to_string(missing->mark.timeline)},
             {"backend", server_.address_text()}});
}

// What the session itself will not be able to look up (commit_ledger.h).
void ClientSession::enter_commits(bool closing) {
  Continuity& continuity = failover_->continuity;
  CommitLedger& ledger = context_.shared.ledger;
  std::uint64_t late = 0;
  for (unsigned left = continuity.take_commits_without_id(); left > 0; --left) {
    if (!ledger.add(failover_->timeline)) ++late;
  }
  const auto& last = continuity.last_commit();
  if (closing && last && !ledger.add(*last, failover_->timeline)) ++late;
  if (late == 0) return;
  context_.shared.statistics.commits_unclear.fetch_add(late, std::memory_order_relaxed);
  log_event(LogLevel::kError, "commits_unclear",
            {{"count", std::to_string(late)},
             {"session", std::to_string(number_)},
             {"timeline", std::to_string(failover_->timeline)},
             {"reason", "told after the primary had changed"}});
}

void ClientSession::check_failover(TimeNs now) {
  const TimeNs limit = context_.limits.failover_timeout;
  if (login_ && login_->waiting_for_primary) {
    if (now - login_->started_at <= limit) return;
    return terminate(
        CloseReason::kServerLeft, "57P03",
        replicas_only() ? "no replica within failover_timeout" : "no primary server within failover_timeout",
        {}, context_.shared.topology.get()->describe());
  }
  if (!moving()) return;
  const TimeNs connect_limit = context_.limits.connect_timeout;
  if (failover_->connecting_since > 0 && connect_limit > 0 &&
      now - failover_->connecting_since > connect_limit) {
    try_later("timed out");
  }
  if (failover_->continuity.stage() != Continuity::Stage::kNoServer) return check_recovery(now);
  if (now - failover_->lost_at > limit) end_unserved();
}

void ClientSession::end_unserved() {
  std::string detail = context_.shared.topology.get()->describe();
  if (!failover_->last_error.empty()) detail += "; last attempt: " + failover_->last_error;
  const bool doubtful = failover_->continuity.outcome_unknown();
  terminate(CloseReason::kServerLeft, doubtful ? "08007" : "08006",
            std::string(doubtful ? "the outcome of the transaction is unknown: " : "") +
                "the server was lost, and no other was found within failover_timeout",
            {}, detail);
}

// Where it is being made again nothing may wait for ever.
void ClientSession::check_recovery(TimeNs now) {
  // (A server that says "in progress" again and again is not silent.)
  if (now - failover_->found_at > context_.limits.failover_timeout) failover_->continuity.stop_asking();
  const TimeNs silent_since = std::max(failover_->found_at, last_activity_);
  if (now - silent_since <= context_.limits.failover_timeout) return;
  failover_->continuity.out_of_patience();
  lose_server("no answer while the session was made again");
}

}  // namespace understudy::proxy
