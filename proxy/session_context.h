// What a session needs of the worker it runs on and of the proxy around it; wired once by Worker. Everything
// here outlives the session.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>

#include "proxy/access_policy.h"
#include "proxy/cancel_registry.h"
#include "proxy/commit_ledger.h"
#include "proxy/configuration.h"
#include "proxy/continuity.h"
#include "proxy/event_loop.h"
#include "proxy/latency_histogram.h"
#include "proxy/login_guard.h"
#include "proxy/mode.h"
#include "proxy/observer.h"
#include "proxy/replica_board.h"
#include "proxy/server_pool.h"
#include "proxy/statistics.h"
#include "proxy/tls_context.h"
#include "proxy/topology.h"
#include "proxy/user_directory.h"

namespace understudy::proxy {

// Shared by all workers of a proxy.
struct ProxyShared {
  CurrentTopology topology;
  // Several backends are watched, and sessions move from one to the next; else there is one, taken for
  // granted.
  bool failover = false;
  Mode mode = Mode::kPrimary;
  ReplicaBoard replicas;
  BackendState shadow;  // its address, in mode shadow
  std::atomic<TimeNs> shadow_difference_told{0};
  ContinuityLimits continuity;
  CommitLedger ledger;
  // A session broke at that backend: have a look. Any thread; set when failover is.
  std::function<void(std::size_t backend)> suspect;
  CancelRegistry cancels;
  AccessPolicyHolder access;
  LoginGuard guard;
  UserDirectory* users = nullptr;  // borrowed; for policies with a query
  ServerPool pool{PoolLimits()};
  CurrentTls tls;
  Statistics statistics;
  // No session begins a request or takes a server; set with a word to the workers each time.
  std::atomic<bool> paused{false};
  // Sessions keep their users' names: somebody may ask. Set before there are any.
  bool names_sessions = false;
  TrafficObserver* observer = nullptr;  // borrowed; null: nothing is recorded
  // A recording that begins later takes in sessions that are open then. Set before there are any.
  bool joins_recordings = false;
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
  // A cancel request for the session with that number was accepted; it may have ended since. `sent`: it is on
  // its way to the server.
  virtual void session_cancelled(std::uint32_t number, bool sent) = 0;
  // One that the session sent itself was taken by its server, or could not be told.
  virtual void session_cancel_taken(std::uint32_t number) = 0;
  // The turn of the session with that number in a pool's queue has come; it may have ended since.
  virtual void session_called(std::uint32_t number) = 0;
};

struct SessionContext {
  ProxyShared& shared;
  EventLoop& loop;
  RunnableOwner& owner;
  unsigned worker_index;
  std::span<Byte> scratch;  // the worker's read buffer
  StatementTraitsCache& traits;
  LatencyHistogram& latency;
  Limits limits;  // replaced at a reload, on the worker
  bool draining = false;
};

}  // namespace understudy::proxy
