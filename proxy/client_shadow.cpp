// ClientSession in mode shadow: what its client reads is also asked of another server, and the answers
// compared (shadow_session.h). The client waits for nothing of that.
#include "formats/wire/message_types.h"
#include "proxy/client_session.h"
#include "proxy/replica_connector.h"

namespace understudy::proxy {
namespace {

// From one attempt of a session to have its shadow connected to the next.
constexpr TimeNs kConnectPause = 1'000'000'000;

// How many ReadyForQuery will answer whole messages.
unsigned readies_of(ByteView batch) {
  constexpr std::size_t kHeaderBytes = 5;
  unsigned readies = 0;
  while (batch.size() >= kHeaderBytes) {
    const char type = static_cast<char>(batch.front());
    if (type == wire::frontend::kQuery || type == wire::frontend::kSync) ++readies;
    const std::size_t size = std::size_t{load_be32(batch.data() + 1)} + 1;
    if (size > batch.size()) break;
    batch = batch.subspan(size);
  }
  return readies;
}

}  // namespace

void ClientSession::begin_shadow(const SessionDescriptor& descriptor) {
  auto shadow = std::make_unique<ShadowSession>(
      context_, replica_key(failover_->pool, context_.shared.shadow.address), descriptor);
  failover_->shadow = shadow.get();
  context_.owner.keep(std::move(shadow));
}

// Before the client's bytes are passed on.
void ClientSession::cast_shadow(ByteView bytes) {
  Continuity& continuity = failover_->continuity;
  ShadowSession& shadow = *failover_->shadow;
  if (moving() || !continuity.quiet() || !continuity.may_read_elsewhere() || tracker_.terminate_seen())
    return;
  const Continuity::Batch batch = continuity.judge_batch(bytes);
  if (!batch.on_replica) return;
  if (!shadow.has_server()) reach_shadow();
  if (!shadow.has_server() || !shadow.has_room()) return count(context_.shared.statistics.shadow_shed);
  ByteBuffer before;
  const unsigned answers = continuity.bring_elsewhere(before, shadow.version(), batch.takes_unnamed);
  shadow.ask(before, answers, bytes, readies_of(bytes), continuity.text_of(bytes));
}

// By its pool; or it is connected for a later read.
void ClientSession::reach_shadow() {
  const std::string key = replica_key(failover_->pool, context_.shared.shadow.address);
  ServerPool& pool = context_.shared.pool;
  ServerPool::Answer answer = pool.acquire(key, last_activity_, [] {});
  switch (answer.kind) {
    case ServerPool::Answer::Kind::kServer:
      return failover_->shadow->attach(std::move(answer.server));
    case ServerPool::Answer::Kind::kWait:
      return pool.abandon(key, answer.ticket, last_activity_);
    case ServerPool::Answer::Kind::kConnect:
      break;
  }
  if (last_activity_ < failover_->shadow_connect_after) return pool.gone(key, last_activity_);
  failover_->shadow_connect_after = last_activity_ + kConnectPause;
  connect_replica(key, answer.epoch, context_.shared.shadow);
}

void ClientSession::end_shadow() {
  if (!failover_ || failover_->shadow == nullptr) return;
  std::exchange(failover_->shadow, nullptr)->end();
}

}  // namespace understudy::proxy
