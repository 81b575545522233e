// What a session needs of the worker it runs on and of the proxy around it; wired once by Worker. Everything
// here outlives the session.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "proxy/access_policy.h"
#include "proxy/cancel_registry.h"
#include "proxy/configuration.h"
#include "proxy/event_loop.h"
#include "proxy/observer.h"
#include "proxy/server_pool.h"
#include "proxy/statistics.h"
#include "proxy/tls_context.h"

namespace understudy::proxy {

// The backend's addresses as last looked up: an immutable snapshot that is replaced, never changed.
class BackendAddresses {
 public:
  using Snapshot = std::shared_ptr<const std::vector<SocketAddress>>;
  [[nodiscard]] Snapshot get() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
  }
  void set(std::vector<SocketAddress> addresses) {
    auto next = std::make_shared<const std::vector<SocketAddress>>(std::move(addresses));
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(next);
  }

 private:
  mutable std::mutex mutex_;
  Snapshot snapshot_ = std::make_shared<const std::vector<SocketAddress>>();
};

// Shared by all workers of a proxy.
struct ProxyShared {
  Address backend;
  BackendAddresses backend_addresses;
  CancelRegistry cancels;
  AccessPolicyHolder access;
  ServerPool pool{PoolLimits()};
  CurrentTls tls;
  Statistics statistics;
  TrafficObserver* observer = nullptr;  // borrowed; null: nothing is recorded
  std::atomic<std::uint32_t> next_session{1};
  // Draining workers that still have sessions other than replication streams.
  std::atomic<unsigned> workers_with_transactions{0};
};

// Owns what runs on a worker; told when something has ended.
class RunnableOwner {
 public:
  virtual ~RunnableOwner() = default;
  // Takes over a runnable, and gives it up for burial after its turn.
  virtual void keep(std::unique_ptr<Runnable> runnable) = 0;
  virtual void ended(Runnable& runnable) = 0;
  // A cancel request for the session with that number was accepted; it may have ended since.
  virtual void session_cancelled(std::uint32_t number) = 0;
  // The turn of the session with that number in a pool's queue has come; it may have ended since.
  virtual void session_called(std::uint32_t number) = 0;
};

struct SessionContext {
  ProxyShared& shared;
  EventLoop& loop;
  RunnableOwner& owner;
  unsigned worker_index;
  std::span<Byte> scratch;  // the worker's read buffer
  Limits limits;            // replaced at a reload, on the worker
  bool draining = false;
};

}  // namespace understudy::proxy
