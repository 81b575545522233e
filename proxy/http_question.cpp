#include "proxy/http_question.h"

#include <utility>

#include "proxy/clock.h"
#include "proxy/socket_connection.h"

namespace understudy::proxy {

HttpQuestion::HttpQuestion(EventLoop& loop, Listener listener, std::size_t most_bytes)
    : loop_(loop),
      listener_(std::move(listener)),
      most_bytes_(most_bytes),
      endpoint_(loop, *this, Slot::kServer) {}

HttpQuestion::~HttpQuestion() { stop(); }

void HttpQuestion::ask(Target target, const std::string& path, TimeNs timeout) {
  constexpr TimeNs kMillisecond = 1'000'000;
  target_ = std::move(target);
  request_ = "GET " + path + " HTTP/1.0\r\nHost: " + target_.name +
             "\r\nAccept: application/json\r\nUser-Agent: understudy/" UNDERSTUDY_VERSION
             "\r\nConnection: close\r\n\r\n";
  address_ = 0;
  timeout_ = loop_.call_at(now_ns() + timeout, [this, timeout] {
    fail("no answer within " + std::to_string(timeout / kMillisecond) + " ms");
  });
  beginning_ = loop_.call_at(now_ns(), [this] { connect(); });
}

void HttpQuestion::stop() {
  loop_.cancel(std::exchange(timeout_, 0));
  loop_.cancel(beginning_);
  endpoint_.close();
  tls_ = nullptr;
  received_.clear();
}

void HttpQuestion::connect() {
  if (target_.addresses.empty()) return fail("its name has no address");
  step_ = Step::kConnecting;
  const SocketAddress& address = target_.addresses[address_];
  auto attempt = SocketConnection::connect(address, to_string(address), SocketOptions());
  if (!attempt.connection) return try_next_address(std::move(attempt.error));
  endpoint_.attach(std::move(attempt.connection));
  endpoint_.set_interest(false, true);
}

void HttpQuestion::try_next_address(std::string why) {
  endpoint_.close();
  tls_ = nullptr;
  if (++address_ >= target_.addresses.size()) return fail(std::move(why));
  connect();
}

void HttpQuestion::run(std::uint32_t /*client_events*/, std::uint32_t server_events) {
  if (!endpoint_.attached()) return;
  if (step_ == Step::kShakingHands) return shake_hands();
  if (step_ == Step::kAsked) return receive(server_events);
  // What was seen on the connection before this one is of no account.
  if ((server_events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) connected();
}

void HttpQuestion::connected() {
  std::string error = static_cast<SocketConnection&>(endpoint_.connection()).connect_result();
  if (!error.empty()) return try_next_address(std::move(error));
  if (!target_.tls) return send_request();
  auto secured = target_.tls->connect(endpoint_.release(), target_.host);
  if (!secured) return fail("out of memory");
  tls_ = secured.get();
  endpoint_.attach(std::move(secured));
  step_ = Step::kShakingHands;
  shake_hands();
}

void HttpQuestion::shake_hands() {
  switch (tls_->handshake()) {
    case TlsConnection::Handshake::kPending:
      return endpoint_.want_read(true);
    case TlsConnection::Handshake::kFailed:
      return fail(endpoint_.connection().error_text());
    case TlsConnection::Handshake::kDone:
      tls_ = nullptr;
      return send_request();
  }
}

void HttpQuestion::send_request() {
  step_ = Step::kAsked;
  if (!endpoint_.send(as_bytes(request_))) return fail(endpoint_.connection().error_text());
  endpoint_.want_read(true);
}

void HttpQuestion::receive(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0 && !endpoint_.flush()) return fail(endpoint_.connection().error_text());
  bool ended = false;
  std::string error;
  while (endpoint_.ready_to_read(events) && !ended &&
         received_.size() <= most_bytes_ + kMostHttpHeaderBytes) {
    const ReadResult result = endpoint_.read(scratch_);
    if (result.status == IoStatus::kWouldBlock) break;
    ended = result.status != IoStatus::kOk;
    if (result.status == IoStatus::kError) error = endpoint_.connection().error_text();
    if (!ended) received_ += as_text(result.bytes);
  }
  // Patroni ends TLS without a farewell, as many do: whether the answer is whole, the answer itself tells.
  HttpReply reply;
  switch (HttpReply::read(received_, ended, most_bytes_, reply)) {
    case HttpReply::Progress::kGoesOn:
      return endpoint_.want_read(true);
    case HttpReply::Progress::kMalformed:
      return fail(error.empty() ? reply.wrong : error);
    case HttpReply::Progress::kWhole:
      stop();
      return listener_.answered(reply);
  }
}

void HttpQuestion::fail(std::string why) {
  stop();
  listener_.failed(std::move(why));
}

}  // namespace understudy::proxy
