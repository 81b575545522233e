// What the answers of the backends add up to: which are up, which one is primary, which must not be written
// to. Pure logic: no I/O, no threads, time is passed in. Owned by the BackendMonitor, on its thread.
//
//     unknown --answer--> up <--answer-- down
//        |                |               ^
//        +----------------+---------------+  so many failures in a row
//
// Of those that are up and not in recovery, one may be primary:
// - not before every backend has answered or is down, else the first to answer after a start would win;
// - not on a timeline lower than the highest ever seen on a primary: an old primary coming back is fenced,
//   alone or not (forgotten only by a restart);
// - on equal timelines the one that was primary stays. The other is fenced, and remains so while it claims
//   that timeline, also when it is alone: what was written to the first is not in it.
//
// Where Patroni is asked (follow), it says which servers there are, and only the one it names as leader may
// be primary: as soon as that says itself that it is not in recovery. Should Patroni fall silent, the servers
// are judged by their own word, as without it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/topology.h"

namespace understudy::proxy {

// What a backend answered.
struct CheckResult {
  bool in_recovery = false;
  std::uint32_t timeline = 0;  // never 0
  Lsn lsn = {};                // insert position, or replay position in recovery
  // Of a primary: as far as replicas can have it. What is inserted beyond may stay there for a while without
  // any replica lagging behind.
  Lsn flushed = {};
  // Nothing: it was not read in this check, and stays as it was unless the timeline is another.
  std::optional<std::vector<TimelineSwitch>> history = std::nullopt;
  TimeNs lag = 0;  // as the replica itself measures it
};

struct TopologyChange {
  enum class Kind : std::uint8_t {
    kBackendUp,
    kBackendDown,  // also one that never was up, once
    kBackendFenced,
    kPrimaryFound,  // also the same one on another timeline
    kPrimaryLost,   // and there is no other
    kBackendAdded,  // by Patroni
    kBackendRemoved
  };
  Kind kind;
  std::size_t backend = 0;
  bool operator==(const TopologyChange&) const = default;
};
using TopologyChanges = std::vector<TopologyChange>;

class TopologyTracker {
 public:
  // `led`: Patroni's word is awaited, and until it comes none is primary.
  TopologyTracker(const std::vector<Address>& backends, std::uint32_t failures_before_down, bool led = false);

  // Each returns what it changed; topology() is the new one. `backend` is an index into the backends given.
  TopologyChanges succeeded(std::size_t backend, const CheckResult& result, TimeNs now);
  TopologyChanges failed(std::size_t backend, std::string error);
  // It is there, and nothing else is known of it.
  TopologyChanges turned_away(std::size_t backend);
  void looked_up(std::size_t backend, std::vector<SocketAddress> addresses);

  // Patroni's word: who there is, and who of them leads. Backends keep their index as long as they belong to
  // the cluster; that of one that was removed may be given to another.
  TopologyChanges follow(const std::vector<Address>& members, std::optional<std::size_t> leader);
  // Patroni's history, for a primary that cannot read its own.
  TopologyChanges follow_history(std::vector<TimelineSwitch> history);
  // Patroni answers no more.
  TopologyChanges unled(std::string why);
  void set_failures_before_down(std::uint32_t count) { failures_before_down_ = count; }

  // Generation is not counted here: CurrentTopology does.
  [[nodiscard]] const Topology& topology() const { return topology_; }
  // What the last primary is known to have had on its disk beyond the place where the new one's timeline left
  // its own; told once.
  struct LostWal {
    std::uint32_t timeline = 0;
    Lsn left_at;
    Lsn flushed;
  };
  [[nodiscard]] std::optional<LostWal> take_lost_wal() { return std::exchange(lost_wal_, std::nullopt); }
  // It is up, but its last check failed.
  [[nodiscard]] bool suspect(std::size_t backend) const;

 private:
  // What is remembered of a backend beside what is published.
  struct Memory {
    bool known = false;                   // has answered once, or is down
    std::uint32_t failures = 0;           // in a row
    Lsn flushed;                          // when it last was a primary
    std::uint32_t rejected_timeline = 0;  // lost against another primary on this one
    TimeNs claims_since = 0;              // to be primary, on its timeline
    // A position of the primary that it had not replayed yet, and when that was found.
    Lsn behind;
    TimeNs behind_since = 0;
  };

  void measure_lag(std::size_t backend, TimeNs reported, TimeNs now);
  void add(const Address& address, TopologyChanges& changes);
  void remove(std::size_t backend, TopologyChanges& changes);
  [[nodiscard]] std::optional<std::size_t> index_of(const Address& address) const;
  void elect(TopologyChanges& changes);
  void compare_with_last(const BackendState& primary);
  [[nodiscard]] bool led() const;
  [[nodiscard]] bool counts(std::size_t backend) const;
  [[nodiscard]] bool awaits_history(std::size_t backend) const;
  void lend_history(std::size_t backend);
  [[nodiscard]] bool claims(std::size_t backend) const;
  [[nodiscard]] bool eligible(std::size_t backend) const;
  [[nodiscard]] std::optional<std::size_t> winner() const;

  Topology topology_;
  std::vector<Memory> memory_;
  std::uint32_t failures_before_down_;
  std::uint32_t highest_timeline_ = 0;  // ever seen on a primary
  std::optional<std::size_t> last_primary_;
  std::uint32_t last_timeline_ = 0;  // of it, as primary
  Lsn last_flushed_;                 // likewise
  std::optional<LostWal> lost_wal_;

  std::optional<std::size_t> leader_;  // as Patroni has it
  // Another server became primary after Patroni spoke: it may have to be heard again.
  bool leader_doubted_ = false;
  std::vector<TimelineSwitch> patroni_history_;
  TimeNs now_ = 0;  // of the last answer
};

}  // namespace understudy::proxy
