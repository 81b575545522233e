// Who took over from whom, when, and how many clients went along: the last hundred times. And, counted apart,
// when the same primary came back as it was: it was restarted, or away for a moment. Told by the proxy as the
// topology changes; read by whoever asks. Any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/topology.h"

namespace understudy::proxy {

struct FailoverEvent {
  TimeNs at = 0;     // the new primary was found
  std::string from;  // as configured; the same as `to` when a server came back
  std::string to;
  std::uint32_t timeline = 0;
  TimeNs without_primary = 0;        // before it; 0: there always was one
  std::uint64_t sessions_moved = 0;  // until the next event
  bool restart = false;              // the same server on the same timeline as before

  bool operator==(const FailoverEvent&) const = default;
};

class FailoverLog {
 public:
  // The topology is now this one; `sessions_moved` is the counter's value. The first primary is no failover.
  void note(const Topology& topology, TimeNs now, std::uint64_t sessions_moved);
  // Oldest first.
  [[nodiscard]] std::vector<FailoverEvent> events(std::uint64_t sessions_moved) const;
  // All there ever were: of take-overs (a primary that comes back on another timeline is one), and of
  // restarts.
  [[nodiscard]] std::uint64_t failovers() const;
  [[nodiscard]] std::uint64_t restarts() const;

 private:
  mutable std::mutex mutex_;
  std::deque<FailoverEvent> events_;
  std::uint64_t failovers_ = 0;
  std::uint64_t restarts_ = 0;
  std::uint64_t moved_before_ = 0;  // the counter when the last event began
  bool known_ = false;              // there has been a primary
  std::string primary_;             // the last
  std::uint32_t timeline_ = 0;
  TimeNs lost_at_ = 0;
};

}  // namespace understudy::proxy
