#include "proxy/server_pool.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace understudy::proxy {
namespace {

// "database\0user" of "database\0user\0...", what the pools of a group have in common; with "\0@backend"
// where the key ends so (split.h): a replica's pools are not the primary's. Start-up parameters have an '='.
std::string group_key(const std::string& key) {
  const std::size_t first = key.find('\0');
  if (first == std::string::npos) return key;
  const std::size_t second = key.find('\0', first + 1);
  std::string group = key.substr(0, second);
  const std::string_view last = std::string_view(key).substr(key.rfind('\0'));
  if (second != std::string::npos && last.starts_with(std::string_view("\0@", 2)) &&
      last.find('=') == std::string_view::npos)
    group += last;
  return group;
}

}  // namespace

bool is_silent(const Connection& connection) {
  if (connection.descriptor() < 0) return false;
  Byte byte = 0;
  const ssize_t got = recv(connection.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool has_unread(const Connection& connection) {
  Byte byte = 0;
  return connection.descriptor() >= 0 && recv(connection.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool ServerPool::expired(const PooledServer& server, TimeNs now) const {
  const bool idle = limits_.server_idle_timeout > 0 && now - server.idle_since > limits_.server_idle_timeout;
  const bool old = limits_.server_lifetime > 0 && now - server.connected_at > limits_.server_lifetime;
  return idle || old || server.epoch != epoch_;
}

ServerPool::Group& ServerPool::group_of(const std::string& key) {
  const std::string name = group_key(key);
  const auto [at, fresh] = groups_.try_emplace(name);
  if (fresh) {
    const std::size_t zero = name.find('\0');
    at->second.database = name.substr(0, zero);
    if (zero != std::string::npos)
      at->second.user = name.substr(zero + 1, name.find('\0', zero + 1) - zero - 1);
  }
  return at->second;
}

std::uint64_t ServerPool::total(std::string Group::*name, const std::string& value) const {
  std::uint64_t open = 0;
  for (const auto& [key, group] : groups_) open += group.*name == value ? group.open : 0;
  return open;
}

// Ends the server that has been idle for the longest in one of those groups. False when none is idle.
bool ServerPool::evict(const std::function<bool(const Group&)>& among) {
  Group* of_group = nullptr;
  Pool* of_pool = nullptr;
  for (auto& [name, group] : groups_) {
    if (group.idle == 0 || !among(group)) continue;
    for (auto& [key, pool] : group.pools) {
      if (pool.idle.empty()) continue;
      if (of_pool != nullptr && of_pool->idle.front().idle_since <= pool.idle.front().idle_since) continue;
      of_group = &group;
      of_pool = &pool;
    }
  }
  if (of_pool == nullptr) return false;
  of_pool->idle.pop_front();
  --of_pool->open;
  --of_group->idle;
  --of_group->open;
  return true;
}

bool ServerPool::make_room_for(std::string Group::*name, const std::string& value, std::uint64_t most) {
  if (most == 0 || total(name, value) < most) return true;
  return evict([&](const Group& group) { return group.*name == value; });
}

// For one more server of the group, which has none idle that would do.
bool ServerPool::make_room(Group& group, bool reserve) {
  const auto mine = [&group](const Group& other) { return &other == &group; };
  if (limits_.pool_size == 0) {
    if (group.idle > std::max(kFewIdle, group.open - group.idle)) (void)evict(mine);
  } else {
    const std::uint64_t most = std::uint64_t{limits_.pool_size} + (reserve ? limits_.reserve_pool_size : 0);
    if (group.open >= most && !evict(mine)) return false;
  }
  return make_room_for(&Group::database, group.database, limits_.max_db_connections) &&
         make_room_for(&Group::user, group.user, limits_.max_user_connections);
}

std::optional<PooledServer> ServerPool::take_idle(Group& group, Pool& pool, TimeNs now) const {
  while (!pool.idle.empty()) {
    PooledServer server = std::move(pool.idle.back());
    pool.idle.pop_back();
    --group.idle;
    if (!expired(server, now) && is_silent(*server.connection)) return server;
    --pool.open;
    --group.open;
  }
  return std::nullopt;
}

// A server, or leave to connect to one; nothing when neither is to be had.
std::optional<ServerPool::Answer> ServerPool::serve_now(Group& group, const std::string& key, TimeNs now,
                                                        bool reserve) {
  Pool& pool = group.pools[key];
  Answer answer;
  if (auto server = take_idle(group, pool, now)) {
    answer.kind = Answer::Kind::kServer;
    answer.server = std::move(*server);
    return answer;
  }
  if (!make_room(group, reserve)) return std::nullopt;
  ++pool.open;
  ++group.open;
  answer.kind = Answer::Kind::kConnect;
  answer.epoch = epoch_;
  return answer;
}

ServerPool::Answer ServerPool::acquire(const std::string& key, TimeNs now, std::function<void()> called) {
  const std::lock_guard lock(mutex_);
  Group& group = group_of(key);
  // Whoever waits was here before.
  if (group.waiting.empty()) {
    if (auto answer = serve_now(group, key, now, false)) return std::move(*answer);
  }
  Answer answer;
  answer.ticket = next_ticket_++;
  group.waiting.push_back({answer.ticket, now, key, std::move(called)});
  return answer;
}

// Calls those whose turn has come, as many as there are servers for.
void ServerPool::serve(Group& group, TimeNs now, Calls& calls) {
  while (!group.waiting.empty()) {
    const bool long_waited = now - group.waiting.front().since > limits_.reserve_pool_timeout;
    auto answer = serve_now(group, group.waiting.front().key, now, long_waited);
    if (!answer) return;
    Waiter waiter = std::move(group.waiting.front());
    group.waiting.pop_front();
    group.granted.emplace(waiter.ticket, std::move(*answer));
    calls.push_back(std::move(waiter.called));
  }
}

void ServerPool::serve_waiting(Group& group, TimeNs now, Calls& calls) {
  serve(group, now, calls);
  if (limits_.max_db_connections == 0 && limits_.max_user_connections == 0) return;
  std::vector<Group*> others;
  for (auto& [name, other] : groups_) {
    if (&other != &group && !other.waiting.empty()) others.push_back(&other);
  }
  std::ranges::sort(others, {}, [](const Group* other) { return other->waiting.front().since; });
  for (Group* const other : others) serve(*other, now, calls);
}

ServerPool::Answer ServerPool::collect(const std::string& key, Ticket ticket) {
  const std::lock_guard lock(mutex_);
  Group& group = group_of(key);
  const auto found = group.granted.find(ticket);
  if (found == group.granted.end()) {
    Answer waiting;
    waiting.ticket = ticket;
    return waiting;
  }
  Answer answer = std::move(found->second);
  group.granted.erase(found);
  return answer;
}

void ServerPool::abandon(const std::string& key, Ticket ticket, TimeNs now) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    Group& group = group_of(key);
    std::erase_if(group.waiting, [ticket](const Waiter& waiter) { return waiter.ticket == ticket; });
    const auto granted = group.granted.find(ticket);
    if (granted != group.granted.end()) {
      if (granted->second.kind == Answer::Kind::kServer) {
        group.pools[key].idle.push_back(std::move(granted->second.server));
        ++group.idle;
      } else {
        close_one(group, key);
      }
      group.granted.erase(granted);
    }
    serve_waiting(group, now, calls);
    forget_if_empty(group_key(key));
  }
  for (const auto& call : calls) call();
}

void ServerPool::release(const std::string& key, PooledServer server, TimeNs now) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    Group& group = group_of(key);
    server.idle_since = now;
    group.pools[key].idle.push_back(std::move(server));
    ++group.idle;
    serve_waiting(group, now, calls);
  }
  for (const auto& call : calls) call();
}

void ServerPool::close_one(Group& group, const std::string& key) {
  --group.pools[key].open;
  --group.open;
}

void ServerPool::gone(const std::string& key, TimeNs now) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    Group& group = group_of(key);
    close_one(group, key);
    serve_waiting(group, now, calls);
    forget_if_empty(group_key(key));
  }
  for (const auto& call : calls) call();
}

void ServerPool::sweep(TimeNs now) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = groups_.begin(); at != groups_.end();) {
      Group& group = at->second;
      for (auto& [key, pool] : group.pools) {
        const std::size_t ended = std::erase_if(pool.idle, [&](const PooledServer& server) {
          return expired(server, now) || !is_silent(*server.connection);
        });
        pool.open -= ended;
        group.open -= ended;
        group.idle -= ended;
      }
      serve(group, now, calls);
      const auto next = std::next(at);
      const std::string name = at->first;
      forget_if_empty(name);
      at = next;
    }
  }
  for (const auto& call : calls) call();
}

void ServerPool::renew() {
  const std::lock_guard lock(mutex_);
  ++epoch_;
  for (auto& [name, group] : groups_) {
    for (auto& [key, pool] : group.pools) {
      pool.open -= pool.idle.size();
      group.open -= pool.idle.size();
      pool.idle.clear();
    }
    group.idle = 0;
  }
}

void ServerPool::forget_if_empty(const std::string& key) {
  const auto found = groups_.find(key);
  if (found == groups_.end()) return;
  Group& group = found->second;
  std::erase_if(group.pools, [](const auto& pool) { return pool.second.open == 0; });
  if (group.open == 0 && group.waiting.empty() && group.granted.empty()) groups_.erase(found);
}

void ServerPool::set_limits(const PoolLimits& limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
}

ServerPool::Counts ServerPool::counts() const {
  const std::lock_guard lock(mutex_);
  Counts counts;
  for (const auto& [name, group] : groups_) {
    counts.pools += group.pools.size();
    counts.open += group.open;
    counts.idle += group.idle;
    counts.waiting += group.waiting.size();
  }
  return counts;
}

std::vector<std::pair<std::string, ServerPool::Counts>> ServerPool::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, Counts>> pools;
  for (const auto& [name, group] : groups_) {
    std::map<std::string, Counts> listed;
    for (const auto& [key, pool] : group.pools) listed[key] = {1, pool.open, pool.idle.size(), 0};
    for (const Waiter& waiter : group.waiting) ++listed[waiter.key].waiting;
    pools.insert(pools.end(), listed.begin(), listed.end());
  }
  return pools;
}

}  // namespace understudy::proxy
