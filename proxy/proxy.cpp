#include "proxy/proxy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>

#include "proxy/access_rules.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/log_limit.h"

namespace understudy::proxy {
namespace {

// How long an address looked up by name is believed (pgbouncer's dns_max_ttl).
constexpr std::chrono::seconds kDnsInterval{15};

bool is_name(const Address& address) {
  if (address.is_unix() || address.host.empty()) return false;
  in6_addr scratch{};
  return inet_pton(AF_INET, address.host.c_str(), &scratch) != 1 &&
         inet_pton(AF_INET6, address.host.c_str(), &scratch) != 1;
}

std::set<std::string> names_of(const std::vector<SocketAddress>& addresses) {
  std::set<std::string> names;
  for (const SocketAddress& address : addresses) names.insert(to_string(address));
  return names;
}

// A new client lives where it was accepted unless that worker has clearly more than another.
Worker& place(std::vector<std::unique_ptr<Worker>>& workers, Worker& acceptor) {
  Worker* least = &acceptor;
  for (const auto& worker : workers) {
    if (worker->session_count() < least->session_count()) least = worker.get();
  }
  return acceptor.session_count() > least->session_count() + 1 ? *least : acceptor;
}

// A proxy that is its own backend would connect to itself until it runs out of descriptors.
void refuse_loop(const Configuration& configuration, const Address& address,
                 const std::vector<SocketAddress>& backend) {
  for (const Address& listen : configuration.listen) {
    for (const SocketAddress& mine : resolve(listen, true)) {
      const bool same = std::any_of(backend.begin(), backend.end(), [&](const SocketAddress& one) {
        return one.length == mine.length && std::memcmp(&one.storage, &mine.storage, one.length) == 0;
      });
      const bool loopback = listen.host.empty() && listen.port == address.port &&
                            std::any_of(backend.begin(), backend.end(), [](const SocketAddress& one) {
                              return is_local_peer(to_string(one));
                            });
      if (same || loopback) {
        throw std::runtime_error("backend " + address.to_string() + " is where the proxy itself listens (" +
                                 listen.to_string() + ")");
      }
    }
  }
}

}  // namespace

Proxy::Proxy(const Configuration& configuration, TrafficObserver* observer) : configuration_(configuration) {
  shared_.observer = observer;
  shared_.failover = configuration.backends.size() > 1 || !configuration.patroni.endpoints.empty() ||
                     configuration.mode == Mode::kReplica || configuration.mode == Mode::kShadow;
  shared_.continuity.commit_guard = configuration.commit_guard;
  shared_.continuity.transaction_bytes = configuration.transaction_journal_bytes;
  shared_.continuity.own_writes_only = configuration.own_writes_only;
  shared_.continuity.trust_functions = configuration.trust_functions;
  shared_.mode = configuration.mode;
  // A replica has no transaction ids to give out.
  shared_.continuity.replicas_only = shared_.mode == Mode::kReplica;
  if (shared_.mode == Mode::kReplica) shared_.continuity.commit_guard = false;
  shared_.names_sessions = configuration.admin.listen.has_value();
  shared_.joins_recordings = configuration.joins_recordings && observer != nullptr;
}

Proxy::~Proxy() { stop(); }

void Proxy::start() {
  if (configuration_.mode == Mode::kSplit && configuration_.backends.size() < 2 &&
      configuration_.patroni.endpoints.empty()) {
    throw std::runtime_error("mode = split needs several backends: a primary and replicas to read from");
  }
  if ((configuration_.mode == Mode::kShadow) != (configuration_.shadow.size() == 1)) {
    throw std::runtime_error("mode = shadow needs one shadow_backend, and no other mode has one");
  }
  if (configuration_.mode == Mode::kShadow) {
    shared_.shadow.address = configuration_.shadow.front();
    shared_.shadow.addresses = resolve(configuration_.shadow.front(), false);
    refuse_loop(configuration_, shared_.shadow.address, shared_.shadow.addresses);
  }
  shared_.access.set(load_access_policy(configuration_));
  shared_.pool.set_limits(configuration_.limits.pool);
  shared_.guard.set(configuration_.limits.guard);
  shared_.tls.set(load_tls(configuration_.tls));
  if (shared_.failover) {
    watch_backends();
  } else {
    set_only_backend(resolve(configuration_.backends.front(), false));
    refuse_loop(configuration_, configuration_.backends.front(),
                shared_.topology.get()->backends[0].addresses);
    if (configuration_.admin.listen) look_at_only_backend();
  }
  users_ = std::make_unique<UserDirectory>(UserDirectory::Sources{
      shared_.topology, [this] { return shared_.tls.get().servers; }, shared_.suspect, shared_.statistics});
  shared_.users = users_.get();
  for (const Address& address : configuration_.listen) {
    sockets_.open(address, configuration_.listen_backlog, configuration_.unix_socket_mode);
  }
  const unsigned count = effective_workers(configuration_);
  for (unsigned index = 0; index < count; ++index) {
    workers_.push_back(
        std::make_unique<Worker>(index, shared_, configuration_.limits, [this] { worker_drained(); }));
  }
  for (const auto& worker : workers_) {
    for (const int descriptor : sockets_.descriptors()) {
      worker->listen(descriptor, [this](Worker& acceptor) -> Worker& { return place(workers_, acceptor); });
    }
  }
  for (const auto& worker : workers_) worker->start();
  users_->start();
  if (monitor_) {
    monitor_->start();
  } else if (is_name(configuration_.backends.front())) {
    dns_ = std::thread([this] { follow_dns(); });
  }
  if (onlooker_) onlooker_->start();
}

// Nothing hangs on a single backend's role.
bool Proxy::set_only_backend(std::vector<SocketAddress> addresses) {
  const TopologySnapshot before = shared_.topology.get();
  BackendState only;
  only.address = configuration_.backends.front();
  only.addresses = std::move(addresses);
  only.up = true;
  const bool moved =
      before->backends.empty() || names_of(only.addresses) != names_of(before->backends[0].addresses);
  Topology topology;
  topology.backends.push_back(std::move(only));
  topology.primary = 0;
  shared_.topology.set(std::move(topology));
  return moved;
}

// So that /readyz, the metrics and `ctl status` do not call ready what is not there. Once a second is enough:
// nobody takes over.
void Proxy::look_at_only_backend() {
  constexpr TimeNs kSecond = 1'000'000'000;
  HealthSettings health = configuration_.health;
  health.interval = std::max(health.interval, kSecond);
  onlooker_ = std::make_unique<BackendMonitor>(
      configuration_.backends, std::move(health), configuration_.patroni,
      [this] { return shared_.tls.get().servers; }, seen_of_only_, nullptr, CommitBooks{}, true);
  shared_.suspect = [this](std::size_t backend) { onlooker_->check_now(backend); };
}

TopologySnapshot Proxy::topology() const {
  TopologySnapshot topology = shared_.topology.get();
  const TopologySnapshot seen = seen_of_only_.get();
  // Until it was asked it counts as up.
  if (seen->backends.empty() || (!seen->backends[0].up && seen->backends[0].error.empty())) return topology;
  auto told = std::make_shared<Topology>(*seen);
  told->generation = topology->generation;
  told->primary = told->backends[0].up ? std::optional<std::size_t>(0) : std::nullopt;
  return told;
}

void Proxy::watch_backends() {
  // Patroni's members come and go.
  const std::size_t most = configuration_.patroni.endpoints.empty() ? 0 : kMostPatroniMembers;
  shared_.replicas.begin(std::max(configuration_.backends.size(), most),
                         [this] { monitor_->ask_positions(); });
  shared_.replicas.set_limits(configuration_.limits.replica_lag);
  monitor_ = std::make_unique<BackendMonitor>(
      configuration_.backends, configuration_.health, configuration_.patroni,
      [this] { return shared_.tls.get().servers; }, shared_.topology, &shared_.replicas,
      CommitBooks{&shared_.ledger, &shared_.statistics});
  shared_.suspect = [this](std::size_t backend) { monitor_->check_now(backend); };
  shared_.topology.subscribe([this] { topology_changed(); });
}

void Proxy::topology_changed() {
  const TopologySnapshot topology = shared_.topology.get();
  const std::uint64_t generation = topology->generation;
  failovers_.note(*topology, now_ns(), shared_.statistics.sessions_moved.load());
  if (std::exchange(generation_, generation) != generation) shared_.pool.renew();
  for (const auto& worker : workers_) worker->topology_changed();
  if (users_) users_->topology_changed();
}

void Proxy::follow_dns() {
  std::unique_lock lock(mutex_);
  while (!stopping_.wait_for(lock, kDnsInterval, [this] { return stopped_; })) {
    lock.unlock();
    try {
      if (set_only_backend(resolve(configuration_.backends.front(), false))) shared_.pool.renew();
    } catch (const std::runtime_error& error) {
      log_event(LogLevel::kWarning, "backend_lookup_failed",
                {{"error", error.what()}, {"kept", "the last addresses"}});
    }
    lock.lock();
  }
}

void Proxy::drain(std::function<void()> drained) {
  draining_.store(true, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    drained_ = std::move(drained);
    workers_draining_ = worker_count();
  }
  shared_.workers_with_transactions = worker_count();
  // Left open, they would let clients wait in the kernel's backlog for as long as the drain takes.
  sockets_.refuse();
  for (const auto& worker : workers_) worker->start_drain();
}

void Proxy::worker_drained() {
  std::function<void()> drained;
  {
    const std::lock_guard lock(mutex_);
    if (--workers_draining_ == 0) drained = drained_;
  }
  if (drained) drained();
}

void Proxy::reload(const Limits& limits, std::shared_ptr<const AccessPolicy> access) {
  shared_.pool.set_limits(limits.pool);
  shared_.replicas.set_limits(limits.replica_lag);
  shared_.guard.set(limits.guard);
  shared_.access.set(std::move(access));
  for (const auto& worker : workers_) worker->reload(limits);
}

void Proxy::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
  }
  stopping_.notify_all();
  if (monitor_) monitor_->stop();
  if (onlooker_) onlooker_->stop();
  if (users_) users_->stop();
  for (const auto& worker : workers_) worker->stop();
  for (const auto& worker : workers_) worker->join();
  if (dns_.joinable()) dns_.join();
  workers_.clear();
  log_withheld(LogLimit::kTheEnd);
  sockets_.close();
}

}  // namespace understudy::proxy
