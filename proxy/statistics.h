// What the proxy counts. Relaxed atomics: each number is exact, a set of them read together is not a
// snapshot.
#pragma once

#include <atomic>
#include <cstdint>

namespace understudy::proxy {

struct Statistics {
  std::atomic<std::uint64_t> connections_accepted{0};
  std::atomic<std::uint64_t> sessions_opened{0};   // reached a server
  std::atomic<std::uint64_t> sessions_open{0};     // now, from accept to end
  std::atomic<std::uint64_t> refused_too_many{0};  // over max_client_conn
  std::atomic<std::uint64_t> protocol_errors_client{0};
  std::atomic<std::uint64_t> protocol_errors_server{0};
  std::atomic<std::uint64_t> backend_failures{0};  // could not be reached, or left without a word
  std::atomic<std::uint64_t> tls_failures{
      0};  // handshakes that came to nothing, records that were no client's
  std::atomic<std::uint64_t> login_timeouts{0};
  std::atomic<std::uint64_t> idle_timeouts{0};
  std::atomic<std::uint64_t> logins_refused{0};      // by the proxy's own authentication
  std::atomic<std::uint64_t> logins_delayed{0};      // after too many failures
  std::atomic<std::uint64_t> logins_turned_away{0};  // too many were delayed already
  std::atomic<std::uint64_t> admin_tokens_refused{0};
  std::atomic<std::uint64_t> auth_queries{0};        // of users, in the database
  std::atomic<std::uint64_t> auth_queries_saved{0};  // what was found before was good enough
  std::atomic<std::uint64_t> auth_queries_failed{0};
  std::atomic<std::uint64_t> wait_timeouts{0};  // no server of a full pool became free
  std::atomic<std::uint64_t> servers_connected{0};
  std::atomic<std::uint64_t> servers_reused{0};
  std::atomic<std::uint64_t> servers_lost{0};    // of sessions that could have been moved
  std::atomic<std::uint64_t> sessions_moved{0};  // to another server, with all they had
  std::atomic<std::uint64_t> commits_lost{
      0};  // sessions whose last acknowledged commit the new primary lacks, closed ones included
  // Sessions whose last such commit it may lack, and commits that nobody could look up.
  std::atomic<std::uint64_t> commits_unclear{0};
  std::atomic<std::uint64_t> sessions_stranded{0};  // could not be moved for what they held
  std::atomic<std::uint64_t> replica_reads{0};      // batches that a replica was asked
  std::atomic<std::uint64_t> reads_kept{0};         // safe for a replica, but none was there, or far enough
  std::atomic<std::uint64_t> reads_asked_again{0};  // of the primary: the replica could not answer
  std::atomic<std::uint64_t> shadow_compared{0};    // answers of the primary and of the shadow
  std::atomic<std::uint64_t> shadow_equal{0};
  std::atomic<std::uint64_t> shadow_different{0};
  std::atomic<std::uint64_t> shadow_shed{0};  // reads that were not compared: the shadow was behind, or away
  std::atomic<std::uint64_t> cancels_forwarded{0};
  std::atomic<std::uint64_t> cancels_unmatched{0};  // no session has that key
};

inline void count(std::atomic<std::uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

}  // namespace understudy::proxy
