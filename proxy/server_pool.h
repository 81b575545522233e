// Server sessions that wait for a client, and clients that wait for a server session: one pool for each
// combination of database, user and start-up parameters, with pgbouncer's limits and words. A server comes
// back only after it was reset (server_reset.h). First come, first served.
//
// The pools of one database and user at one backend are a group: limits and the queue are the group's, so
// that clients of many application names do not keep many times as many servers. Where a limit is reached,
// the server that has been idle for the longest ends for a client that it cannot serve. Without a limit, no
// more than so many may idle for other start-up parameters as serve clients (or kFewIdle).
//
// Any thread. Callbacks are called without a lock held, on the thread that made the room.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/address.h"
#include "proxy/connection.h"
#include "proxy/pool_limits.h"
#include "proxy/server_login.h"

namespace understudy::proxy {

class ServerTls;

// A server session between clients: logged in, idle, watched by no loop.
struct PooledServer {
  std::unique_ptr<Connection> connection;
  Address backend;  // as configured
  SocketAddress address;
  std::string address_text;
  std::shared_ptr<const ServerTls> tls;  // what encrypts it, null when nothing does; cancels use it too
  ServerFacts facts;
  TimeNs connected_at = 0;
  TimeNs idle_since = 0;
  std::uint64_t epoch = 0;  // the pool's when it was connected
};

class ServerPool {
 public:
  // Names a client's place in the queue; 0 names none.
  using Ticket = std::uint64_t;
  struct Answer {
    enum class Kind : std::uint8_t { kServer, kConnect, kWait };
    Kind kind = Kind::kWait;
    PooledServer server;      // kServer
    Ticket ticket = 0;        // kWait
    std::uint64_t epoch = 0;  // kConnect: for the server that comes of it
  };
  struct Counts {
    std::uint64_t pools = 0;
    std::uint64_t open = 0;  // servers, with a client or without, being connected included
    std::uint64_t idle = 0;
    std::uint64_t waiting = 0;  // clients
  };

  explicit ServerPool(const PoolLimits& limits) : limits_(limits) {}

  // `key`: database, user, and what else makes a difference, with a zero byte between.
  // A server, leave to connect to one (which then counts as open), or a place in the queue: `called` is
  // called when its turn has come, and collect() then gives one of the other two.
  [[nodiscard]] Answer acquire(const std::string& key, TimeNs now, std::function<void()> called);
  [[nodiscard]] Answer collect(const std::string& key, Ticket ticket);
  // The client leaves the queue; what it was called for goes to the next.
  void abandon(const std::string& key, Ticket ticket, TimeNs now);

  // A server that was reset and may serve another client.
  void release(const std::string& key, PooledServer server, TimeNs now);
  // A server that was acquired, or being connected, is no more.
  void gone(const std::string& key, TimeNs now);
  // Ends idle servers whose time has come, and lets in the reserve; called a few times a second.
  void sweep(TimeNs now);
  // Servers connected before now are not used again: the backend's addresses or the way to encrypt changed.
  void renew();

  void set_limits(const PoolLimits& limits);
  [[nodiscard]] Counts counts() const;
  // The same, pool by pool, with its key; clients wait for pools without servers, too.
  [[nodiscard]] std::vector<std::pair<std::string, Counts>> list() const;

 private:
  static constexpr std::uint64_t kFewIdle = 20;

  struct Waiter {
    Ticket ticket;
    TimeNs since;
    std::string key;
    std::function<void()> called;
  };
  struct Pool {
    std::deque<PooledServer> idle;  // the last used at the back
    std::uint64_t open = 0;
  };
  struct Group {
    std::string database;
    std::string user;
    std::map<std::string, Pool> pools;  // by the whole key
    std::deque<Waiter> waiting;
    std::map<Ticket, Answer> granted;  // called, and not yet collected
    std::uint64_t open = 0;            // of all pools
    std::uint64_t idle = 0;
  };
  using Calls = std::vector<std::function<void()>>;

  [[nodiscard]] Group& group_of(const std::string& key);
  [[nodiscard]] bool make_room(Group& group, bool reserve);
  [[nodiscard]] bool evict(const std::function<bool(const Group&)>& among);
  [[nodiscard]] std::uint64_t total(std::string Group::*name, const std::string& value) const;
  [[nodiscard]] bool make_room_for(std::string Group::*name, const std::string& value, std::uint64_t most);
  [[nodiscard]] std::optional<Answer> serve_now(Group& group, const std::string& key, TimeNs now,
                                                bool reserve);
  [[nodiscard]] std::optional<PooledServer> take_idle(Group& group, Pool& pool, TimeNs now) const;
  [[nodiscard]] bool expired(const PooledServer& server, TimeNs now) const;
  void serve(Group& group, TimeNs now, Calls& calls);
  // Of a group where something became free, and where it matters to them, of the others.
  void serve_waiting(Group& group, TimeNs now, Calls& calls);
  void close_one(Group& group, const std::string& key);
  void forget_if_empty(const std::string& key);

  mutable std::mutex mutex_;
  PoolLimits limits_;
  std::map<std::string, Group> groups_;  // by database and user
  Ticket next_ticket_ = 1;
  std::uint64_t epoch_ = 0;
};

// Whether a server that waits in a pool is still there and has said nothing: an idle server's word is its
// good-bye.
[[nodiscard]] bool is_silent(const Connection& connection);
// Whether the peer has said something that was not read.
[[nodiscard]] bool has_unread(const Connection& connection);

}  // namespace understudy::proxy
