// What the admin port's /api/v1 answers, as JSON text. Pure. Times are ISO 8601 in UTC, durations seconds;
// what was not UTF-8 has '?' in its place.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "proxy/failover_log.h"
#include "proxy/mode.h"
#include "proxy/move.h"
#include "proxy/server_pool.h"
#include "proxy/session_status.h"
#include "proxy/topology.h"

namespace understudy::proxy {

// Names come from clients, as any bytes: this is what is told of them.
[[nodiscard]] std::string clean(const std::string& text);

using PoolList = std::vector<std::pair<std::string, ServerPool::Counts>>;

[[nodiscard]] std::string backends_json(const Topology& topology, const ModeReport& mode);
// `held`: clients that wait until the proxy is resumed.
[[nodiscard]] std::string pools_json(const PoolList& pools, std::uint64_t held, bool paused);
[[nodiscard]] std::string sessions_json(const std::vector<SessionStatus>& sessions);
// Restarts in a list of their own.
[[nodiscard]] std::string failovers_json(const std::vector<FailoverEvent>& events);

[[nodiscard]] std::string error_json(const std::string& error);
[[nodiscard]] std::string paused_json(bool paused, std::uint64_t busy);
[[nodiscard]] std::string moved_json(const MoveResult& result);
[[nodiscard]] std::string reloaded_json(const std::vector<std::string>& restart_needed);

}  // namespace understudy::proxy
