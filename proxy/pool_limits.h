// How many server sessions are kept, and how long. pgbouncer's words. Values.
#pragma once

#include <cstdint>

#include "formats/transcript/event.h"

namespace understudy::proxy {

struct PoolLimits {
  std::uint32_t pool_size = 0;          // servers of one database and user; 0: no limit
  std::uint32_t reserve_pool_size = 0;  // more of them, for clients that waited long
  TimeNs reserve_pool_timeout = 5'000'000'000;
  std::uint32_t max_db_connections = 0;          // servers of one database; 0: no limit
  std::uint32_t max_user_connections = 0;        // servers of one user; 0: no limit
  TimeNs server_idle_timeout = 600'000'000'000;  // 0: never
  TimeNs server_lifetime = 3'600'000'000'000;    // since it was connected; 0: for ever
  bool operator==(const PoolLimits&) const = default;
};

}  // namespace understudy::proxy
