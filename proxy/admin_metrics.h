// The proxy's numbers as Prometheus reads them: text format 0.0.4, the project's conventions for names
// (understudy_, _total for counters, seconds and bytes). Pure. (Prometheus documentation, "Exposition
// formats", "Metric and label naming".)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/latency_histogram.h"
#include "proxy/process_usage.h"
#include "proxy/server_pool.h"
#include "proxy/session_status.h"
#include "proxy/statistics.h"
#include "proxy/topology.h"

namespace understudy::proxy {

struct MetricsSources {
  const Statistics& statistics;
  const Topology& topology;
  std::vector<std::uint64_t> reads =
      {};  // batches each backend was asked as a replica; empty: not in this mode
  ServerPool::Counts pools;
  LatencyCounts latency;
  std::optional<SessionTally> tally;  // nothing: a worker was too slow to tell, and its series are left out
  std::uint64_t failovers = 0;
  std::uint64_t restarts = 0;  // of a primary that stayed it
  unsigned workers = 0;
  bool paused = false;
  bool draining = false;
  ProcessUsage process;
};

inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";
[[nodiscard]] std::string metrics_text(const MetricsSources& sources);

}  // namespace understudy::proxy
