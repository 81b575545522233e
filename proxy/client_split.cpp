// ClientSession with a replica for its reads (mode split):
//
//     a batch comes:  safe, and the replica is far enough  -> there
//                     else                                 -> the primary, once the replica has answered
//
// The session is at one of the two at a time, between requests; the other is parked, and swapped in without a
// round trip. A replica is connected in the background, and taken when it is there: no client waits for one.
// What is safe is Continuity's to say; what a replica could not answer, or was lost with, is asked again of
// the primary as after any loss (client_failover.cpp).
#include "proxy/client_session.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/replica_connector.h"
#include "proxy/server_reset.h"

namespace understudy::proxy {
namespace {

// After a replica could not answer, the session reads at the primary for so long.
constexpr TimeNs kShunned = 1'000'000'000;
// From one attempt of a session to have a replica connected to the next.
constexpr TimeNs kConnectPause = 1'000'000'000;
// The primary's position is asked for behind a read at most so often.
constexpr TimeNs kAskPause = 1'000'000;
// A replica that has been too far behind for so long is given up for another that is not.
constexpr TimeNs kPatience = 50'000'000;

}  // namespace

void ClientSession::route(ByteView bytes) {
  Split& split = *failover_->split;
  Continuity& continuity = failover_->continuity;
  if (moving() || !split.waiting.empty()) return append_bytes(split.waiting, bytes);
  if (replicas_only()) return route_to_home(bytes);
  if (continuity.at_replica()) return route_from_replica(bytes);
  if (!continuity.quiet() || !continuity.may_read_elsewhere()) return pass_to_server(bytes, false);
  const Continuity::Batch batch = continuity.judge_batch(bytes);
  if (!batch.on_replica) return pass_to_server(bytes, false);
  if (go_to_replica(batch.takes_unnamed)) return read_at_replica(bytes);
  count(context_.shared.statistics.reads_kept);
  // So that the next one may go.
  const bool wanted = !context_.shared.continuity.own_writes_only || !continuity.floor().known();
  const bool ask = wanted && split.replica && last_activity_ - split.asked_at >= kAskPause;
  if (ask) split.asked_at = last_activity_;
  pass_to_server(bytes, ask);
}

void ClientSession::route_from_replica(ByteView bytes) {
  Split& split = *failover_->split;
  Continuity& continuity = failover_->continuity;
  const bool quiet = continuity.quiet();
  const Continuity::Batch batch = continuity.judge_batch(bytes);
  const bool stays = batch.whole && (!quiet || context_.shared.replicas.readable(split.backend));
  if (stays) {
    if (batch.takes_unnamed) continuity.bring_unnamed();
    return batch.asks ? read_at_replica(bytes) : pass_to_server(bytes, false);
  }
  if (quiet) return go_to_primary(bytes);
  append_bytes(split.waiting, bytes);
}

void ClientSession::read_at_replica(ByteView bytes) {
  count(context_.shared.statistics.replica_reads);
  context_.shared.replicas.count_read(failover_->split->backend);
  pass_to_server(bytes, false);
}

// In one write: what the server lacks of the session, what the client says, what is asked behind it.
void ClientSession::pass_to_server(ByteView bytes, bool ask_position) {
  Continuity& continuity = failover_->continuity;
  ByteBuffer all = continuity.take_for_server();
  const ByteView passed = continuity.to_server(bytes);
  if (ask_position) continuity.ask_position();
  const ByteBuffer behind = continuity.take_for_server();
  const bool alone = all.empty() && behind.empty();
  if (!alone) {
    append_bytes(all, passed);
    append_bytes(all, behind);
  }
  const ByteView sent = alone ? passed : ByteView(all);
  if (!sent.empty() && !server_.endpoint().send(sent)) server_write_failed_ = true;
  go_on();
}

// What came while the session could not pass it on.
void ClientSession::resume_waiting() {
  Split* const split = failover_ ? failover_->split.get() : nullptr;
  if (split == nullptr || split->waiting.empty() || moving() || !failover_->continuity.quiet()) return;
  const ByteBuffer bytes = std::exchange(split->waiting, {});
  route(bytes);
}

bool ClientSession::go_to_replica(bool with_unnamed) {
  Split& split = *failover_->split;
  ReplicaBoard& board = context_.shared.replicas;
  if (last_activity_ < split.not_before || server_write_failed_ || !server_.reusable()) return false;
  if (split.replica && !board.readable(split.backend)) drop_replica(true);
  if (!split.replica && !take_replica(board.choose())) return false;
  const ReadFloor& floor = failover_->continuity.floor();
  if (!floor.known()) return false;
  if (board.position(split.backend) < floor.position() && !take_nearer_replica(floor.position()))
    return false;
  split.behind_since = 0;
  if (!is_silent(*split.replica->server.connection)) {
    drop_replica(false);
    return false;
  }
  split.primary = change_server(*std::exchange(split.replica, std::nullopt), true, with_unnamed);
  return true;
}

void ClientSession::go_to_primary(ByteView bytes) {
  Split& split = *failover_->split;
  if (split.primary && is_silent(*split.primary->server.connection)) {
    // A Query, or a Parse of it, takes the unnamed statement away; else it may be wanted.
    constexpr std::size_t kNameAt = 5;
    const bool takes_away =
        bytes.front() == 'Q' || (bytes.front() == 'P' && bytes.size() > kNameAt && bytes[kNameAt] == 0);
    split.replica = change_server(*std::exchange(split.primary, std::nullopt), false, !takes_away);
    return pass_to_server(bytes, false);
  }
  forget_primary();
  append_bytes(split.waiting, bytes);
  ParkedServer replica;
  failover_->continuity.take_copy(replica.copy);
  replica.server = server_.release();
  replica.cancel = context_.shared.cancels.exchange(process_id_, client_key_, {});
  context_.shared.cancels.move(process_id_, client_key_, replica.cancel);  // until there is another
  split.replica = std::move(replica);
  failover_->continuity.server_lost();
  seek_primary();
}

// The session goes on at `next`; returns the server it leaves.
ParkedServer ClientSession::change_server(ParkedServer next, bool replica, bool with_unnamed) {
  ParkedServer left;
  left.server = server_.release();
  server_.adopt(std::move(next.server));
  left.cancel = context_.shared.cancels.exchange(process_id_, client_key_, std::move(next.cancel));
  failover_->continuity.switch_to(next.copy, replica, with_unnamed);
  left.copy = std::move(next.copy);
  if (observer_) observer_->backend_switched(server_.address_text(), now_ns());
  return left;
}

bool ClientSession::take_nearer_replica(Lsn least) {
  Split& split = *failover_->split;
  ReplicaBoard& board = context_.shared.replicas;
  board.want_positions();
  if (split.behind_since == 0) split.behind_since = last_activity_;
  if (last_activity_ - split.behind_since < kPatience) return false;
  const auto other = board.choose(least);
  if (!other) return false;
  drop_replica(true);
  return take_replica(other);
}

// A replica of the pool; or one is connected for a later read.
bool ClientSession::take_replica(std::optional<std::size_t> chosen) {
  Split& split = *failover_->split;
  ReplicaBoard& board = context_.shared.replicas;
  if (!chosen) return false;
  const TopologySnapshot topology = context_.shared.topology.get();
  const BackendState& backend = topology->backends[*chosen];
  std::string key = replica_key(failover_->pool, backend.address);
  ServerPool& pool = context_.shared.pool;
  ServerPool::Answer answer = pool.acquire(key, last_activity_, [] {});
  if (answer.kind == ServerPool::Answer::Kind::kWait) {
    pool.abandon(key, answer.ticket, last_activity_);
    return false;
  }
  if (answer.kind == ServerPool::Answer::Kind::kConnect) {
    if (last_activity_ < split.connect_after) {
      pool.gone(key, last_activity_);
    } else {
      split.connect_after = last_activity_ + kConnectPause;
      connect_replica(key, answer.epoch, backend);
    }
    return false;
  }
  split.key = std::move(key);
  split.backend = *chosen;
  split.epoch = answer.server.epoch;
  split.connected_at = answer.server.connected_at;
  split.facts = answer.server.facts;
  board.enter(*chosen);
  ParkedServer parked;
  parked.cancel = cancel_target(answer.server.address, answer.server.backend.host, answer.server.tls,
                                split.facts.process_id, split.facts.cancel_key);
  parked.copy.settings = split.facts.settings;
  parked.copy.timeline = backend.timeline;
  parked.server = std::move(answer.server);
  split.replica = std::move(parked);
  return true;
}

void ClientSession::connect_replica(const std::string& key, std::uint64_t epoch,
                                    const BackendState& backend) {
  LoginCredentials credentials{{}, authenticator()};
  for (const auto& parameter : failover_->startup_parameters) {
    if (!parameter.first.starts_with("_pq_.")) credentials.parameters.push_back(parameter);
  }
  auto connector = std::make_unique<ReplicaConnector>(context_, key, epoch, std::move(credentials));
  ReplicaConnector& started = *connector;
  context_.owner.keep(std::move(connector));
  started.start(backend);
}

// Of the one that is parked, if any.
void ClientSession::drop_replica(bool reusable) {
  Split& split = *failover_->split;
  if (!split.replica) return;
  ParkedServer parked = std::move(*split.replica);
  split.replica.reset();
  context_.shared.replicas.leave(split.backend);
  if (!reusable) return context_.shared.pool.gone(split.key, now_ns());
  PooledServer server = std::move(parked.server);
  server.facts = std::move(split.facts);
  server.facts.settings = parked.copy.settings;
  server.epoch = split.epoch;
  server.connected_at = split.connected_at;
  give_back(split.key, std::move(server));
}

// Another is primary while the session reads at a replica: it is looked for when it is needed.
void ClientSession::primary_changed(const BackendState& primary) {
  const Split& split = *failover_->split;
  if (!split.primary) return;
  if (split.primary->server.backend != primary.address || primary.timeline != failover_->timeline) {
    forget_primary();
  }
}

void ClientSession::forget_primary() {
  failover_->split->primary.reset();
  if (!pooled_ || !pooled_->acquired) return;
  pooled_->acquired = false;
  context_.shared.pool.gone(pooled_->key, now_ns());
}

// The replica is lost, or cannot answer: what it was asked is asked of the primary.
void ClientSession::leave_replica(const std::string& why) {
  Split& split = *failover_->split;
  Continuity& continuity = failover_->continuity;
  count(context_.shared.statistics.reads_asked_again);
  log_event(LogLevel::kInfo, "replica_left",
            {{"session", std::to_string(number_)}, {"backend", server_.address_text()}, {"reason", why}});
  continuity.server_lost();
  hide_from_cancels();
  const ByteBuffer good_bye = continuity.take_good_bye();
  split.not_before = now_ns() + kShunned;
  server_.close();
  server_write_failed_ = false;
  context_.shared.replicas.leave(split.backend);
  context_.shared.pool.gone(split.key, now_ns());
  if (context_.shared.suspect) context_.shared.suspect(split.backend);
  if (!split.primary || !is_silent(*split.primary->server.connection)) {
    forget_primary();
    return seek_primary();
  }
  failover_->lost_at = now_ns();
  split.returning = true;
  tracker_.server_lost();
  ParkedServer primary = std::move(*split.primary);
  split.primary.reset();
  server_.adopt(std::move(primary.server));
  failover_->cancel = std::move(primary.cancel);
  if (observer_) observer_->backend_switched(server_.address_text(), now_ns());
  tracker_.server_found();
  continuity.server_regained(std::move(primary.copy));
  go_on();
}

// From a replica, where the primary that was parked is gone.
void ClientSession::seek_primary() {
  failover_->lost_at = now_ns();
  failover_->attempts = 0;
  failover_->good_bye.clear();
  hide_from_cancels();
  tracker_.server_lost();
  seek_server();
}

// Before the session ends: its server is the primary's again, if it has one, and the replica is given back.
void ClientSession::end_split(bool reusable) {
  Split& split = *failover_->split;
  if (failover_->continuity.at_replica()) {
    ParkedServer replica;
    replica.server = server_.release();
    if (split.primary) {
      std::swap(replica.copy, split.primary->copy);
      server_.adopt(std::move(split.primary->server));
      split.primary.reset();
    }
    failover_->continuity.take_copy(replica.copy);
    split.replica = std::move(replica);
  }
  drop_replica(reusable);
}

}  // namespace understudy::proxy
