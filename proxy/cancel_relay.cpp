#include "proxy/cancel_relay.h"

#include "formats/wire/startup.h"
#include "proxy/clock.h"
#include "proxy/log.h"

namespace understudy::proxy {
namespace {

// As a session reaches a crowded server.
constexpr TimeNs kRetryInterval = 5'000'000;
// A server that has not taken a cancel by then will not; whoever sent it is let go.
constexpr TimeNs kPatience = 30'000'000'000;

}  // namespace

CancelRelay::CancelRelay(SessionContext& context, const CancelTarget& target,
                         std::unique_ptr<Connection> client, std::function<void()> done)
    : context_(context),
      backend_(target.backend),
      host_(target.host),
      session_number_(target.session_number),
      client_(std::move(client)),
      server_(context.loop, *this, Runnable::Slot::kServer),
      tls_(target.tls),
      done_(std::move(done)) {
  wire::append_cancel_request(packet_, target.process_id, target.server_key);
}

CancelRelay::~CancelRelay() {
  context_.loop.cancel(retry_);
  context_.loop.cancel(deadline_);
}

void CancelRelay::start() {
  deadline_ = context_.loop.call_at(now_ns() + kPatience, [this] { fail("the server does not answer"); });
  connect();
}

void CancelRelay::connect() {
  auto attempt = SocketConnection::connect(backend_, to_string(backend_), context_.limits.socket);
  if (attempt.try_again) {
    retry_ = context_.loop.call_at(now_ns() + kRetryInterval, [this] { connect(); });
    return;
  }
  if (!attempt.connection) return fail(attempt.error);
  server_.attach(std::move(attempt.connection));
  server_.set_interest(false, true);
}

void CancelRelay::run(std::uint32_t /*client_events*/, std::uint32_t /*server_events*/) {
  if (!server_.attached()) return;
  if (!packet_.empty()) {
    if (!encrypted()) return;
    const bool sent = server_.send(packet_);
    packet_.clear();
    if (!sent) return fail(server_.connection().error_text());
    server_.want_read(true);
  } else if (server_.backlogged() && server_.flush()) {
    server_.want_read(true);
  } else {
    await_end();
  }
}

// Over TLS the socket may become readable for less than the end of file.
void CancelRelay::await_end() {
  ReadResult result;
  do result = server_.read(context_.scratch);
  while (result.status == IoStatus::kOk);
  if (result.status != IoStatus::kWouldBlock) return end();
  server_.want_read(true);
}

bool CancelRelay::encrypted() {
  using Progress = ServerEncryption::Progress;
  const bool begun = encryption_.begun();
  const Progress progress = begun ? encryption_.advance() : encryption_.begin(tls_, host_);
  if (progress == Progress::kFailed) fail(encryption_.failure());
  if (progress != Progress::kDone) return false;
  // The key went to the client encrypted; in plain text it would let others cancel.
  if (tls_ && server_.connection().tls() == nullptr) fail("the server no longer takes TLS");
  return server_.attached();
}

void CancelRelay::fail(const std::string& why) {
  log_event(LogLevel::kWarning, "cancel_failed",
            {{"session", std::to_string(session_number_)}, {"error", why}});
  end();
}

void CancelRelay::end() {
  server_.close();
  if (done_) done_();
  context_.owner.ended(*this);
}

}  // namespace understudy::proxy
