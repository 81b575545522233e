// ClientSession that replicates, when its server is lost or another one is primary. What it streams is a
// position in one server's log, or a slot there: it cannot be carried over, and a receiver takes it up again
// by itself. So it is told, as a server would tell it that shuts down.
#include "proxy/client_session.h"
#include "proxy/log.h"

namespace understudy::proxy {

void ClientSession::strand_replication(const std::string& why) {
  log_event(LogLevel::kInfo, "server_lost",
            {{"session", std::to_string(number_)}, {"backend", server_.address_text()}, {"reason", why}});
  count(context_.shared.statistics.servers_lost);
  count(context_.shared.statistics.sessions_stranded);
  terminate(
      CloseReason::kServerLeft, "57P01",
      "terminating connection: its server was lost, and the session cannot be moved", {},
      "What it holds cannot be made again on another server: a replication stream, and its position in that "
      "server's log (" +
          why + ").");
}

}  // namespace understudy::proxy
