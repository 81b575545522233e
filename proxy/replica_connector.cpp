#include "proxy/replica_connector.h"

#include "formats/wire/backend_messages.h"
#include "formats/wire/startup.h"
#include "proxy/clock.h"
#include "proxy/log.h"

namespace understudy::proxy {
namespace {

constexpr TimeNs kTimeout = 15'000'000'000;  // where server_connect_timeout is none
constexpr std::size_t kMaxLoginBytes = 256U << 10;
constexpr std::size_t kHeaderBytes = 5;

}  // namespace

ReplicaConnector::ReplicaConnector(SessionContext& context, std::string key, std::uint64_t epoch,
                                   LoginCredentials credentials)
    : context_(context),
      key_(std::move(key)),
      epoch_(epoch),
      credentials_(std::move(credentials)),
      server_(context, *this) {}

void ReplicaConnector::start(const BackendState& backend) {
  began_at_ = now_ns();
  backend_name_ = backend.address.to_string();
  const TimeNs limit = context_.limits.connect_timeout > 0 ? context_.limits.connect_timeout : kTimeout;
  timeout_ = context_.loop.call_at(began_at_ + limit, [this] { fail("timed out"); });
  if (server_.start(backend) == ServerSession::Progress::kFailed) fail(server_.failure());
}

void ReplicaConnector::run(std::uint32_t /*client_events*/, std::uint32_t server_events) {
  if (ended_) return;
  if (!server_.connected()) {
    const auto progress = server_.continue_connecting(server_events != 0);
    if (progress == ServerSession::Progress::kFailed) return fail(server_.failure());
    if (progress == ServerSession::Progress::kConnected) begin_login();
    return;
  }
  if ((server_events & EPOLLOUT) != 0 && !server_.endpoint().flush()) return fail("it closed the connection");
  bool more = server_.endpoint().ready_to_read(server_events);
  while (more && !ended_) {
    const ReadResult result = server_.endpoint().read(context_.scratch);
    if (result.status == IoStatus::kWouldBlock) break;
    if (result.status != IoStatus::kOk) return fail("it closed the connection");
    append_bytes(received_, result.bytes);
    if (received_.size() > kMaxLoginBytes) return fail("it sent more than a login");
    take_login();
    more = result.more;
  }
  if (!ended_) server_.endpoint().set_interest(true, server_.endpoint().backlogged());
}

void ReplicaConnector::begin_login() {
  login_ = std::make_unique<ServerLogin>(std::move(credentials_.authenticator));
  const TlsConnection* const tls = server_.endpoint().connection().tls();
  if (tls != nullptr) login_->bind_to(tls->server_end_point());
  wire::StartupMessage startup;
  startup.parameters = std::move(credentials_.parameters);
  count(context_.shared.statistics.servers_connected);
  ByteBuffer packet;
  wire::append_startup_message(packet, startup);
  if (!server_.endpoint().send(packet)) return fail("it closed the connection");
  server_.endpoint().set_interest(true, server_.endpoint().backlogged());
}

void ReplicaConnector::take_login() {
  ByteBuffer reply;
  const ServerLogin::Progress progress = login_->take(received_, reply);
  if (!reply.empty() && !server_.endpoint().send(reply)) return fail("it closed the connection");
  if (progress == ServerLogin::Progress::kGoesOn) return;
  if (progress == ServerLogin::Progress::kFailed) {
    const ByteBuffer& error = login_->server_error();
    if (error.size() <= kHeaderBytes) return fail(login_->failure());
    const auto decoded = wire::ErrorResponse::decode(ByteView(error).subspan(kHeaderBytes));
    return fail(decoded ? std::string(decoded->message()) : "it refused the login");
  }
  PooledServer server = server_.release();
  server.facts = std::move(login_->facts());
  server.epoch = epoch_;
  server.connected_at = began_at_;
  context_.shared.pool.release(key_, std::move(server), now_ns());
  end();
}

void ReplicaConnector::fail(const std::string& why) {
  if (ended_) return;
  log_event(LogLevel::kWarning, "replica_unreachable", {{"backend", backend_name_}, {"error", why}});
  server_.close();
  context_.shared.pool.gone(key_, now_ns());
  end();
}

void ReplicaConnector::end() {
  ended_ = true;
  context_.loop.cancel(timeout_);
  context_.owner.ended(*this);
}

}  // namespace understudy::proxy
