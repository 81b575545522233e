#include "proxy/socket_connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace understudy::proxy {
namespace {

void set_option(int descriptor, int level, int name, int value) {
  setsockopt(descriptor, level, name, &value, sizeof value);
}

void apply(int descriptor, const SocketOptions& options) {
  int domain = AF_UNIX;
  socklen_t length = sizeof domain;
  getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length);
  if (domain == AF_UNIX) return;
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  if (options.keepalive_idle_s > 0)
    set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, options.keepalive_idle_s);
  if (options.keepalive_interval_s > 0) {
    set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, options.keepalive_interval_s);
  }
  if (options.keepalive_count > 0) set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, options.keepalive_count);
  if (options.user_timeout_ms > 0)
    set_option(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, options.user_timeout_ms);
}

std::string words(int error) { return std::generic_category().message(error); }

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

SocketConnection::SocketConnection(int descriptor, std::string peer, const SocketOptions& options)
    : descriptor_(descriptor), peer_(std::move(peer)) {
  apply(descriptor_, options);
}

SocketConnection::~SocketConnection() { close(descriptor_); }

SocketConnection::Attempt SocketConnection::connect(const SocketAddress& address, std::string peer,
                                                    const SocketOptions& options) {
  const auto failed = [&](int error) {
    return Attempt{nullptr, words(error), address.family() == AF_UNIX && error == EAGAIN};
  };
  const int descriptor = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return failed(errno);
  auto connection = std::make_unique<SocketConnection>(descriptor, std::move(peer), options);
  if (::connect(descriptor, address.get(), address.length) != 0 && errno != EINPROGRESS) return failed(errno);
  return {std::move(connection), {}};
}

std::string SocketConnection::connect_result() const {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &length);
  return error == 0 ? std::string() : words(error);
}

ReadResult SocketConnection::read(std::span<Byte> scratch) {
  const ssize_t count = recv(descriptor_, scratch.data(), scratch.size(), 0);
  if (count > 0) {
    const auto size = static_cast<std::size_t>(count);
    return {.status = IoStatus::kOk, .bytes = scratch.first(size), .more = size == scratch.size()};
  }
  if (count == 0) return {.status = IoStatus::kClosed, .bytes = {}, .more = false};
  if (would_block(errno)) return {};
  error_ = errno;
  return {.status = IoStatus::kError, .bytes = {}, .more = false};
}

WriteResult SocketConnection::write(ByteView bytes) {
  const ssize_t count = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count >= 0) return {.status = IoStatus::kOk, .written = static_cast<std::size_t>(count)};
  if (would_block(errno)) return {.status = IoStatus::kWouldBlock, .written = 0};
  error_ = errno;
  return {.status = errno == EPIPE || errno == ECONNRESET ? IoStatus::kClosed : IoStatus::kError,
          .written = 0};
}

void SocketConnection::shutdown_write() { shutdown(descriptor_, SHUT_WR); }

std::string SocketConnection::error_text() const { return error_ == 0 ? std::string() : words(error_); }

}  // namespace understudy::proxy
