#include "proxy/server_session.h"

namespace understudy::proxy {

ServerSession::Progress ServerSession::start() {
  addresses_ = context_.shared.backend_addresses.get();
  next_address_ = 0;
  failure_ = "its name has no address";
  return try_next();
}

ServerSession::Progress ServerSession::try_next() {
  while (next_address_ < addresses_->size()) {
    address_ = (*addresses_)[next_address_++];
    auto connection =
        SocketConnection::connect(address_, to_string(address_), context_.limits.socket, failure_);
    if (!connection) continue;
    endpoint_.attach(std::move(connection));
    endpoint_.set_interest(false, true);
    return Progress::kConnecting;
  }
  endpoint_.close();
  return Progress::kFailed;
}

ServerSession::Progress ServerSession::continue_connecting() {
  failure_ = static_cast<SocketConnection&>(endpoint_.connection()).connect_result();
  if (!failure_.empty()) return try_next();
  connected_ = true;
  addresses_.reset();
  return Progress::kConnected;
}

std::string ServerSession::address_text() const {
  return address_.family() == AF_UNIX ? context_.shared.backend.unix_path() : to_string(address_);
}

}  // namespace understudy::proxy
