#include "proxy/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "proxy/clock.h"
#include "proxy/log.h"

namespace understudy::proxy {
namespace {

constexpr int kAcceptsPerTurn = 16;
// Out of descriptors: the backlog holds the clients meanwhile.
constexpr TimeNs kPause = 100'000'000;

[[noreturn]] void fail(const std::string& address, int error) {
  throw std::runtime_error("cannot listen on " + address + ": " + std::generic_category().message(error) +
                           (error == EADDRINUSE ? "; another process listens there" : ""));
}

// A socket file nobody answers on was left by a process that died.
void remove_if_stale(const Address& address, const SocketAddress& where) {
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return;
  const bool answered = connect(probe, where.get(), where.length) == 0;
  const int error = errno;
  ::close(probe);
  if (!answered && error == ECONNREFUSED) unlink(address.unix_path().c_str());
}

std::string bound_name(int descriptor, const Address& address) {
  if (address.is_unix()) return address.unix_path();
  SocketAddress bound;
  bound.length = sizeof bound.storage;
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound.storage), &bound.length);
  return to_string(bound);
}

}  // namespace

void ListeningSockets::open(const Address& address, unsigned backlog, unsigned unix_mode) {
  for (const SocketAddress& where : resolve(address, true)) {
    const int descriptor = socket(where.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0 && errno == EAFNOSUPPORT && address.host.empty()) continue;  // no IPv6 on this machine
    if (descriptor < 0) fail(address.to_string(), errno);
    descriptors_.push_back(descriptor);
    const int one = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (where.family() == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (address.is_unix()) remove_if_stale(address, where);
    if (bind(descriptor, where.get(), where.length) != 0) fail(address.to_string(), errno);
    if (address.is_unix()) {
      paths_.push_back(address.unix_path());
      chmod(address.unix_path().c_str(), static_cast<mode_t>(unix_mode));
    }
    if (listen(descriptor, static_cast<int>(backlog)) != 0) fail(address.to_string(), errno);
    names_.push_back(bound_name(descriptor, address));
  }
}

void ListeningSockets::refuse() {
  for (const std::string& path : paths_) unlink(path.c_str());
  paths_.clear();
  for (const int descriptor : descriptors_) shutdown(descriptor, SHUT_RDWR);
}

void ListeningSockets::close() {
  for (const std::string& path : paths_) unlink(path.c_str());
  for (const int descriptor : descriptors_) ::close(descriptor);
  paths_.clear();
  descriptors_.clear();
}

Listener::Listener(EventLoop& loop, int descriptor, Accepted accepted)
    : loop_(loop), descriptor_(descriptor), accepted_(std::move(accepted)) {
  resume();
}

Listener::~Listener() {
  loop_.cancel(retry_);
  if (watching_) loop_.unwatch(descriptor_);
}

void Listener::resume() {
  loop_.watch(descriptor_, std::uint32_t{EPOLLIN} | std::uint32_t{EPOLLEXCLUSIVE}, *this, Slot::kClient);
  watching_ = true;
}

void Listener::pause() {
  loop_.unwatch(descriptor_);
  watching_ = false;
  retry_ = loop_.call_at(now_ns() + kPause, [this] { resume(); });
}

void Listener::run(std::uint32_t /*client_events*/, std::uint32_t /*server_events*/) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    SocketAddress peer;
    peer.length = sizeof peer.storage;
    const int descriptor = accept4(descriptor_, reinterpret_cast<sockaddr*>(&peer.storage), &peer.length,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      accepted_(descriptor, to_string(peer));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      log_event(LogLevel::kError, "accept_failed",
                {{"error", std::generic_category().message(errno)},
                 {"retry_ms", std::to_string(kPause / 1'000'000)}});
      return pause();
    }
    if (errno != ECONNABORTED && errno != EINTR) return;
  }
}

}  // namespace understudy::proxy
