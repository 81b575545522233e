// The proxy as a whole: listeners, workers, the backend's address. Knows nothing of files; what it relays
// goes to one observer. A live proxy and a replay are both this class; a replay merely listens nowhere.
//
// Threads: construct, start, stop and destroy on one thread; drain, reload and statistics from any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "proxy/backend_monitor.h"
#include "proxy/configuration.h"
#include "proxy/failover_log.h"
#include "proxy/listener.h"
#include "proxy/observer.h"
#include "proxy/session_context.h"
#include "proxy/user_directory.h"
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

  void note_token_refused() { count(shared_.statistics.admin_tokens_refused); }

  // What there is to see, from any thread until stop(). Workers are waited for `limit` at most; nothing: one
  // was too slow.
  [[nodiscard]] TopologySnapshot topology() const;
  // There is a server for clients.
  [[nodiscard]] bool serves() const {
    return configuration_.mode == Mode::kReplica ? shared_.replicas.choose().has_value()
                                                 : topology()->primary.has_value();
  }
  [[nodiscard]] ModeReport mode_report() const;
  [[nodiscard]] const ReplicaBoard& replicas() const { return shared_.replicas; }
  [[nodiscard]] const ServerPool& pool() const { return shared_.pool; }
  [[nodiscard]] std::vector<FailoverEvent> failovers() const {
    return failovers_.events(shared_.statistics.sessions_moved.load());
  }
  [[nodiscard]] std::uint64_t failover_count() const { return failovers_.failovers(); }
  [[nodiscard]] std::uint64_t restart_count() const { return failovers_.restarts(); }
  [[nodiscard]] LatencyCounts latency() const;
  // What the observer has counted, as Prometheus reads it, is part of the metrics. `text`: any thread. Before
  // start().
  void set_observer_metrics(std::function<std::string()> text) { observer_metrics_ = std::move(text); }
  [[nodiscard]] std::string observer_metrics() const {
    return observer_metrics_ ? observer_metrics_() : std::string();
  }
  [[nodiscard]] std::optional<SessionTally> tally(TimeNs limit) const;
  [[nodiscard]] std::optional<std::vector<SessionStatus>> sessions(TimeNs limit) const;

  // Several backends are watched, or Patroni's. (A sole one is looked at where there is an admin port, and
  // serves clients whatever is seen.)
  [[nodiscard]] bool watches_backends() const { return monitor_ != nullptr; }
  // Has a look at it soon. Cheap to call often.
  void check_backend(std::size_t backend) const { monitor_->check_now(backend); }
  // Asks one that is watched, as health_user; waits for up to connecting and `patience`.
  [[nodiscard]] BackendAnswer ask_backend(std::size_t backend, const std::string& sql, TimeNs patience) const;

  // While paused, clients wait at their next idle moment outside a transaction, and new ones before they get
  // a server. Any thread, until stop().
  void set_paused(bool paused);
  [[nodiscard]] bool paused() const { return shared_.paused.load(std::memory_order_relaxed); }
  [[nodiscard]] bool draining() const { return draining_.load(std::memory_order_relaxed); }

  // The observer wants to be shown what is open already: each session from its next idle moment on, and the
  // state it has then; or it will be shown nothing more. Any thread, until stop().
  void recording_began(const std::shared_ptr<JoinTally>& tally);
  void recording_ended();

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
  bool set_only_backend(std::vector<SocketAddress> addresses);
  void watch_backends();
  void look_at_only_backend();
  void topology_changed();
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
  std::function<std::string()> observer_metrics_;
  std::thread dns_;                          // of a single backend
  std::unique_ptr<BackendMonitor> monitor_;  // of several
  CurrentTopology seen_of_only_;             // what the admin port tells of a sole backend
  std::unique_ptr<BackendMonitor> onlooker_;
  std::unique_ptr<UserDirectory> users_;
  std::uint64_t generation_ = 0;  // of the topology; the monitor's thread
  FailoverLog failovers_;
  std::atomic<bool> draining_{false};
};

}  // namespace understudy::proxy
