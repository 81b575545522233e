#include "recorder/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace understudy::recorder {

Signals::Signals() {
  sigset_t awaited;
  sigemptyset(&awaited);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&awaited, signal);
  pthread_sigmask(SIG_BLOCK, &awaited, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // a client that left is an error of write()
  signal_fd_ = ::signalfd(-1, &awaited, SFD_CLOEXEC);
  event_fd_ = ::eventfd(0, EFD_CLOEXEC);
  if (signal_fd_ < 0 || event_fd_ < 0) {
    throw std::system_error(errno, std::generic_category(), "cannot wait for signals");
  }
}

Signals::~Signals() {
  ::close(signal_fd_);
  ::close(event_fd_);
}

int Signals::wait() const {
  pollfd watched[] = {{signal_fd_, POLLIN, 0}, {event_fd_, POLLIN, 0}};
  while (::poll(watched, 2, -1) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waiting for signals");
  }
  return take((watched[0].revents & POLLIN) != 0);
}

std::optional<int> Signals::poll(int descriptor, int timeout_ms) const {
  pollfd watched[] = {{signal_fd_, POLLIN, 0}, {event_fd_, POLLIN, 0}, {descriptor, POLLIN, 0}};
  const int ready = ::poll(watched, descriptor < 0 ? 2 : 3, timeout_ms);
  if (ready < 0 && errno != EINTR)
    throw std::system_error(errno, std::generic_category(), "waiting for signals");
  if (ready <= 0 || ((watched[0].revents | watched[1].revents) & POLLIN) == 0) return std::nullopt;
  return take((watched[0].revents & POLLIN) != 0);
}

int Signals::take(bool signalled) const {
  if (signalled) {
    signalfd_siginfo info{};
    if (::read(signal_fd_, &info, sizeof info) == sizeof info) return static_cast<int>(info.ssi_signo);
  }
  std::uint64_t count = 0;
  (void)!::read(event_fd_, &count, sizeof count);
  return kNotified;
}

void Signals::notify() const {
  const std::uint64_t one = 1;
  (void)!::write(event_fd_, &one, sizeof one);
}

}  // namespace understudy::recorder
