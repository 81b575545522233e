#include "proxy/cancel_relay.h"

#include "formats/wire/startup.h"
#include "proxy/log.h"

namespace understudy::proxy {

CancelRelay::CancelRelay(SessionContext& context, const CancelTarget& target,
                         std::unique_ptr<Connection> client, std::function<void()> done)
    : context_(context),
      backend_(target.backend),
      session_number_(target.session_number),
      client_(std::move(client)),
      server_(context.loop, *this, Runnable::Slot::kServer),
      done_(std::move(done)) {
  wire::append_cancel_request(packet_, target.process_id, target.server_key);
}

void CancelRelay::start() {
  std::string error;
  auto connection = SocketConnection::connect(backend_, to_string(backend_), context_.limits.socket, error);
  if (!connection) {
    log_event(LogLevel::kWarning, "cancel_failed",
              {{"session", std::to_string(session_number_)}, {"error", error}});
    return end();
  }
  server_.attach(std::move(connection));
  server_.set_interest(false, true);
}

void CancelRelay::run(std::uint32_t /*client_events*/, std::uint32_t /*server_events*/) {
  if (!server_.attached()) return;
  if (!packet_.empty()) {
    const bool sent = server_.send(packet_);
    packet_.clear();
    if (sent) {
      server_.want_read(true);
      return;
    }
    log_event(LogLevel::kWarning, "cancel_failed",
              {{"session", std::to_string(session_number_)}, {"error", server_.connection().error_text()}});
  } else if (server_.backlogged() && server_.flush()) {
    server_.want_read(true);
    return;
  }
  server_.close();
  end();
}

void CancelRelay::end() {
  if (done_) done_();
  context_.owner.ended(*this);
}

}  // namespace understudy::proxy
