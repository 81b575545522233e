// ClientSession at a server that the monitor finds down, while its own connection there is still open: no packet
// came that would end it (a partition, a host without power, a process that was stopped).
//
// A read at a replica has no outcome to protect, so the replica is left at once, as if the connection had broken.
#include "proxy/client_session.h"

namespace understudy::proxy {

// Mode split. (In mode replica it is not where the session belongs: is_elsewhere().)
void ClientSession::leave_silent_replica(const Topology& topology) {
  if (login_ || !failover_ || !failover_->continuity.at_replica()) return;
  const BackendState* const backend = topology.find(server_.backend());
  if (backend != nullptr && backend->down()) leave_replica("it is down: " + backend->error);
}

}  // namespace understudy::proxy
