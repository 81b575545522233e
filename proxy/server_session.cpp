#include "proxy/server_session.h"

#include <utility>

#include "proxy/clock.h"

namespace understudy::proxy {
namespace {

// The server takes connections off its backlog about this fast when it is crowded.
constexpr TimeNs kRetryInterval = 5'000'000;

}  // namespace

ServerSession::Progress ServerSession::start(const BackendState& backend) {
  backend_ = backend.address;
  addresses_ = backend.addresses;
  next_address_ = 0;
  failure_ = "its name has no address";
  return try_next();
}

void ServerSession::close() {
  context_.loop.cancel(retry_);
  retry_due_ = connected_ = plain_ = false;
  endpoint_.close();
  encryption_.reset();
}

void ServerSession::adopt(PooledServer server) {
  backend_ = server.backend;
  address_ = server.address;
  endpoint_.attach(std::move(server.connection));
  encryption_.adopt(std::move(server.tls));
  connected_ = true;
}

PooledServer ServerSession::release() {
  PooledServer server;
  server.backend = backend_;
  server.address = address_;
  server.address_text = address_text();
  server.tls = tls();
  server.connection = endpoint_.release();
  connected_ = false;
  return server;
}

ServerSession::Progress ServerSession::try_next() {
  while (next_address_ < addresses_.size()) {
    address_ = addresses_[next_address_];
    encryption_.reset();
    auto attempt = SocketConnection::connect(address_, to_string(address_), context_.limits.socket);
    failure_ = std::move(attempt.error);
    if (attempt.try_again) {
      try_again_soon();
      return Progress::kConnecting;
    }
    ++next_address_;
    if (!attempt.connection) {
      plain_ = false;
      continue;
    }
    endpoint_.attach(std::move(attempt.connection));
    endpoint_.set_interest(false, true);
    return Progress::kConnecting;
  }
  endpoint_.close();
  return Progress::kFailed;
}

void ServerSession::try_again_soon() {
  retry_ = context_.loop.call_at(now_ns() + kRetryInterval, [this] {
    retry_due_ = true;
    context_.loop.make_runnable(owner_);
  });
}

ServerSession::Progress ServerSession::encrypt() {
  auto progress = ServerEncryption::Progress::kDone;
  if (encryption_.begun()) {
    progress = encryption_.advance();
  } else {
    const bool wanted = !plain_ && address_.family() != AF_UNIX;
    progress = encryption_.begin(wanted ? context_.shared.tls.get().servers : nullptr, backend_.host);
  }
  if (progress == ServerEncryption::Progress::kPending) return Progress::kConnecting;
  if (progress == ServerEncryption::Progress::kDone) return Progress::kConnected;
  failure_ = encryption_.failure();
  plain_ = encryption_.plain_may_do();
  if (plain_) --next_address_;  // the same once more
  return Progress::kFailed;
}

ServerSession::Progress ServerSession::continue_connecting(bool socket_ready) {
  if (std::exchange(retry_due_, false)) return try_next();
  if (!socket_ready || !endpoint_.attached()) return Progress::kConnecting;
  if (!encryption_.begun()) {
    failure_ = static_cast<SocketConnection&>(endpoint_.connection()).connect_result();
    if (!failure_.empty()) {
      plain_ = false;  // the next address may have TLS
      return try_next();
    }
  }
  const Progress progress = encrypt();
  if (progress == Progress::kConnecting) return progress;
  if (progress == Progress::kFailed) return try_next();
  connected_ = true;
  addresses_.clear();
  return Progress::kConnected;
}

std::string ServerSession::address_text() const {
  return address_.family() == AF_UNIX ? backend_.unix_path() : to_string(address_);
}

}  // namespace understudy::proxy
