// ClientSession at a server that the monitor finds down, while its own connection there is still open: no
// packet came that would end it (a partition, a host without power, a process that was stopped).
//
// A read at a replica has no outcome to protect, so the replica is left at once, as if the connection had
// broken. A primary may come back and answer: its sessions wait for that, or for another primary, as long as
// those do that have lost their server: failover_timeout. Only the ones that have asked something; the others
// wait for nothing.
#include <algorithm>

#include "proxy/client_session.h"
#include "proxy/clock.h"

namespace understudy::proxy {

// Mode split. (In mode replica it is not where the session belongs: is_elsewhere().)
void ClientSession::leave_silent_replica(const Topology& topology) {
  if (login_ || !failover_ || !failover_->continuity.at_replica()) return;
  const BackendState* const backend = topology.find(server_.backend());
  if (backend != nullptr && backend->down()) leave_replica("it is down: " + backend->error);
}

void ClientSession::note_primary(const Topology& topology) {
  if (!failover_ || replicas_only()) return;
  if (topology.primary) {
    failover_->unserved_since = 0;
  } else if (failover_->unserved_since == 0) {
    failover_->unserved_since = now_ns();
  }
}

bool ClientSession::waits_in_vain(TimeNs now) const {
  if (login_ || !failover_ || failover_->unserved_since == 0 || state() == SessionState::kReady) return false;
  const TimeNs since = std::max(failover_->unserved_since, request_since_);
  if (now - since <= context_.limits.failover_timeout) return false;
  const TopologySnapshot topology = context_.shared.topology.get();
  const BackendState* const backend = topology->find(server_.backend());
  return !topology->primary && backend != nullptr && backend->down();
}

void ClientSession::leave_silent_server() {
  lose_server("silent, and no other became primary within failover_timeout");
  // It has waited; unless there is a primary by now, and it is being reached.
  if (moving() && state() != SessionState::kClosed && !server_.endpoint().attached()) end_unserved();
}

}  // namespace understudy::proxy
