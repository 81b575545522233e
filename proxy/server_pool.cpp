#include "proxy/server_pool.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace understudy::proxy {

bool is_silent(const Connection& connection) {
  if (connection.descriptor() < 0) return false;
  Byte byte = 0;
  const ssize_t got = recv(connection.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool ServerPool::expired(const PooledServer& server, TimeNs now) const {
  const bool idle = limits_.server_idle_timeout > 0 && now - server.idle_since > limits_.server_idle_timeout;
  const bool old = limits_.server_lifetime > 0 && now - server.connected_at > limits_.server_lifetime;
  return idle || old || server.epoch != epoch_;
}

bool ServerPool::may_connect(const Pool& pool, bool reserve) const {
  if (limits_.pool_size == 0) return true;
  const std::uint64_t most = std::uint64_t{limits_.pool_size} + (reserve ? limits_.reserve_pool_size : 0);
  return pool.open < most;
}

std::optional<PooledServer> ServerPool::take_idle(Pool& pool, TimeNs now) const {
  while (!pool.idle.empty()) {
    PooledServer server = std::move(pool.idle.back());
    pool.idle.pop_back();
    if (!expired(server, now) && is_silent(*server.connection)) return server;
    --pool.open;
  }
  return std::nullopt;
}

ServerPool::Answer ServerPool::acquire(const std::string& key, TimeNs now, std::function<void()> called) {
  const std::lock_guard lock(mutex_);
  Pool& pool = pools_[key];
  Answer answer;
  // Whoever waits was here before.
  if (pool.waiting.empty()) {
    if (auto server = take_idle(pool, now)) {
      answer.kind = Answer::Kind::kServer;
      answer.server = std::move(*server);
      return answer;
    }
    if (may_connect(pool, false)) {
      ++pool.open;
      answer.kind = Answer::Kind::kConnect;
      answer.epoch = epoch_;
      return answer;
    }
  }
  answer.ticket = next_ticket_++;
  pool.waiting.push_back({answer.ticket, now, std::move(called)});
  return answer;
}

// Calls those whose turn has come, as many as there are servers for.
void ServerPool::serve(Pool& pool, TimeNs now, std::vector<std::function<void()>>& calls) const {
  while (!pool.waiting.empty()) {
    Answer answer;
    const bool long_waited = now - pool.waiting.front().since > limits_.reserve_pool_timeout;
    if (auto server = take_idle(pool, now)) {
      answer.kind = Answer::Kind::kServer;
      answer.server = std::move(*server);
    } else if (may_connect(pool, long_waited)) {
      ++pool.open;
      answer.kind = Answer::Kind::kConnect;
      answer.epoch = epoch_;
    } else {
      return;
    }
    Waiter waiter = std::move(pool.waiting.front());
    pool.waiting.pop_front();
    pool.granted.emplace(waiter.ticket, std::move(answer));
    calls.push_back(std::move(waiter.called));
  }
}

ServerPool::Answer ServerPool::collect(const std::string& key, Ticket ticket) {
  const std::lock_guard lock(mutex_);
  Pool& pool = pools_[key];
  const auto found = pool.granted.find(ticket);
  if (found == pool.granted.end()) {
    Answer waiting;
    waiting.ticket = ticket;
    return waiting;
  }
  Answer answer = std::move(found->second);
  pool.granted.erase(found);
  return answer;
}

void ServerPool::abandon(const std::string& key, Ticket ticket, TimeNs now) {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    Pool& pool = pools_[key];
    std::erase_if(pool.waiting, [ticket](const Waiter& waiter) { return waiter.ticket == ticket; });
    const auto granted = pool.granted.find(ticket);
    if (granted != pool.granted.end()) {
      if (granted->second.kind == Answer::Kind::kServer) {
        pool.idle.push_back(std::move(granted->second.server));
      } else {
        --pool.open;
      }
      pool.granted.erase(granted);
    }
    serve(pool, now, calls);
    forget_if_empty(key);
  }
  for (const auto& call : calls) call();
}

void ServerPool::release(const std::string& key, PooledServer server, TimeNs now) {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    Pool& pool = pools_[key];
    server.idle_since = now;
    pool.idle.push_back(std::move(server));
    serve(pool, now, calls);
  }
  for (const auto& call : calls) call();
}

void ServerPool::gone(const std::string& key, TimeNs now) {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    Pool& pool = pools_[key];
    --pool.open;
    serve(pool, now, calls);
    forget_if_empty(key);
  }
  for (const auto& call : calls) call();
}

void ServerPool::sweep(TimeNs now) {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = pools_.begin(); at != pools_.end();) {
      Pool& pool = at->second;
      pool.open -= std::erase_if(pool.idle, [&](const PooledServer& server) {
        return expired(server, now) || !is_silent(*server.connection);
      });
      serve(pool, now, calls);
      const auto next = std::next(at);
      forget_if_empty(at->first);
      at = next;
    }
  }
  for (const auto& call : calls) call();
}

void ServerPool::renew() {
  const std::lock_guard lock(mutex_);
  ++epoch_;
  for (auto& [key, pool] : pools_) {
    pool.open -= pool.idle.size();
    pool.idle.clear();
  }
}

void ServerPool::forget_if_empty(const std::string& key) {
  const auto found = pools_.find(key);
  if (found == pools_.end()) return;
  const Pool& pool = found->second;
  if (pool.open == 0 && pool.waiting.empty() && pool.granted.empty()) pools_.erase(found);
}

void ServerPool::set_limits(const PoolLimits& limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
}

ServerPool::Counts ServerPool::counts() const {
  const std::lock_guard lock(mutex_);
  Counts counts;
  counts.pools = pools_.size();
  for (const auto& [key, pool] : pools_) {
    counts.open += pool.open;
    counts.idle += pool.idle.size();
    counts.waiting += pool.waiting.size();
  }
  return counts;
}

std::vector<std::pair<std::string, ServerPool::Counts>> ServerPool::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, Counts>> pools;
  for (const auto& [key, pool] : pools_) {
    pools.emplace_back(key, Counts{1, pool.open, pool.idle.size(), pool.waiting.size()});
  }
  return pools;
}

}  // namespace understudy::proxy
