// Keeps the names of backends looked up, again and again, on a thread of its own: DNS may take its time, and
// nobody else waits for it. Numbers and Unix sockets are looked up once, by whoever starts it.
//
// Owned by the BackendMonitor. Threads: start() and stop() from one; `found` is called on the lookups' own,
// or on the caller's of start() and set().
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/address.h"

namespace understudy::proxy {

class NameLookup {
 public:
  // Of the backend with that index, and that address as configured: its addresses, or why there are none.
  using Found =
      std::function<void(std::size_t, const Address&, std::vector<SocketAddress>, std::string error)>;

  NameLookup(const std::vector<Address>& backends, Found found);
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  // Tells those that need no lookup before it returns. Throws std::runtime_error naming an address that can
  // never be one (a Unix socket's path that is too long).
  void start();
  // Waits for a lookup that is under way.
  void stop();
  // From now on that index is this address; after start(). Nothing is found of an address that can be none.
  void set(std::size_t index, const Address& address);
  void forget(std::size_t index);

 private:
  void look_up_names();
  void look_up(std::size_t index, const Address& address);

  std::map<std::size_t, Address> names_;
  std::map<std::size_t, Address> numbers_;
  Found found_;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stopped_ = false;
  bool changed_ = false;  // names_, since the last round began
  std::thread thread_;
};

}  // namespace understudy::proxy
