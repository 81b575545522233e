// Accepts connections on one address. The listening descriptor is opened once by the proxy; each worker has a
// Listener of its own on it (EPOLLEXCLUSIVE wakes one worker a connection), so accepting needs no hand-off.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/address.h"
#include "proxy/event_loop.h"

namespace understudy::proxy {

// Listening descriptors; closed (and Unix sockets removed) with the object.
class ListeningSockets {
 public:
  ListeningSockets() = default;
  ~ListeningSockets() { close(); }
  ListeningSockets(const ListeningSockets&) = delete;
  ListeningSockets& operator=(const ListeningSockets&) = delete;

  // Throws std::runtime_error naming the address and the reason. A stale Unix socket is replaced; one that
  // answers is not.
  void open(const Address& address, unsigned backlog, unsigned unix_mode);
  void close();
  // From now on the kernel refuses whoever comes; the descriptors stay valid for those who watch them.
  void refuse();
  [[nodiscard]] const std::vector<int>& descriptors() const { return descriptors_; }
  // What is listened on, as the kernel says it.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<int> descriptors_;
  std::vector<std::string> names_;
  std::vector<std::string> paths_;
};

class Listener final : public Runnable {
 public:
  // `accepted` gets a non-blocking descriptor and the peer's name.
  using Accepted = std::function<void(int descriptor, std::string peer)>;
  Listener(EventLoop& loop, int descriptor, Accepted accepted);
  ~Listener() override;
  void run(std::uint32_t client_events, std::uint32_t server_events) override;

 private:
  void resume();
  void pause();

  EventLoop& loop_;
  int descriptor_;  // borrowed of ListeningSockets
  Accepted accepted_;
  bool watching_ = false;
  EventLoop::TimerId retry_ = 0;
};

}  // namespace understudy::proxy
