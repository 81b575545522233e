// The proxy as a whole: listeners, workers, the backend's address. Knows nothing of files; what it relays
// goes to one observer. A live proxy and a replay are both this class; a replay merely listens nowhere.
//
// Threads: construct, start, stop and destroy on one thread; drain, reload and statistics from any.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/configuration.h"
#include "proxy/listener.h"
#include "proxy/observer.h"
#include "proxy/session_context.h"
#include "proxy/worker.h"

namespace understudy::proxy {

class Proxy {
 public:
  // `observer` may be null and must outlive the proxy.
  Proxy(const Configuration& configuration, TrafficObserver* observer);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  // Reads certificates, looks up the backend, binds every listening address, starts the workers. Throws
  // std::runtime_error naming the file or the address that could not be used.
  void start();
  // What is listened on, with the ports the kernel chose.
  [[nodiscard]] const std::vector<std::string>& listening() const { return sockets_.names(); }

  [[nodiscard]] unsigned worker_count() const { return static_cast<unsigned>(workers_.size()); }
  [[nodiscard]] Worker& worker(unsigned index) { return *workers_[index]; }
  [[nodiscard]] const Statistics& statistics() const { return shared_.statistics; }

  // No new clients; sessions end at their next idle moment outside a transaction. `drained` is called from a
  // worker's thread when the last has ended.
  void drain(std::function<void()> drained);
  // Applies what may change while running. `access` as load_access_policy() gives it.
  void reload(const Limits& limits, std::shared_ptr<const AccessPolicy> access);
  // For connections made from now on.
  void reload_tls(TlsContexts contexts) {
    shared_.tls.set(std::move(contexts));
    shared_.pool.renew();
  }
  // Ends every session and the workers; returns when they have ended. Safe to call again.
  void stop();

 private:
  void follow_dns();
  void worker_drained();

  Configuration configuration_;
  ProxyShared shared_;
  ListeningSockets sockets_;
  std::vector<std::unique_ptr<Worker>> workers_;

  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stopped_ = false;
  unsigned workers_draining_ = 0;
  std::function<void()> drained_;
  std::thread dns_;
};

}  // namespace understudy::proxy
