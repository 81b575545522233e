// What the proxy knows of its backends: who is there, who is primary, on which timeline. An immutable
// snapshot that the monitor replaces and sessions look at; they see a change at their next safe point.
// (PostgreSQL documentation, "Log-Shipping Standby Servers", "Timelines".)
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/event.h"
#include "proxy/address.h"

namespace understudy::proxy {

// A position in the write-ahead log, in bytes; PostgreSQL writes it as two hexadecimal halves, "16/B374D848".
struct Lsn {
  std::uint64_t value = 0;
  auto operator<=>(const Lsn&) const = default;
};
// Nothing when `text` is not "X/Y" with up to eight hexadecimal digits each.
[[nodiscard]] std::optional<Lsn> parse_lsn(std::string_view text);
[[nodiscard]] std::string to_string(Lsn lsn);

// Where a timeline ended and the next began: one line of a timeline history file.
struct TimelineSwitch {
  std::uint32_t timeline = 0;  // the one that ended
  Lsn at;
  bool operator==(const TimelineSwitch&) const = default;
};

enum class BackendRole : std::uint8_t { kUnknown, kPrimary, kReplica };
[[nodiscard]] std::string_view to_string(BackendRole role);

struct BackendState {
  Address address;       // as configured, or as Patroni tells
  bool removed = false;  // Patroni no longer counts it among the cluster's; its place may be given to another
  std::vector<SocketAddress> addresses;  // as last looked up
  bool up = false;  // answers; false before the first check and past the failure threshold
  BackendRole role = BackendRole::kUnknown;
  // It says it is primary, but another one on a higher timeline does too: not to be written to.
  bool fenced = false;
  std::uint32_t timeline = 0;  // 0: not known
  Lsn lsn;                     // a primary's insert position, a replica's replay position
  // The primary's: every switch that led to its timeline, oldest first; empty when it cannot be read.
  std::vector<TimelineSwitch> history;
  std::uint64_t lag_bytes = 0;  // of a replica, to the primary's position last seen
  TimeNs lag = 0;               // since the last transaction it replayed, while it has some to replay
  std::string error;            // why it is not up

  // It was asked, and does not answer.
  [[nodiscard]] bool down() const { return !up && !removed && !error.empty(); }
  bool operator==(const BackendState& other) const;
};

// Whether Patroni is asked, and answers.
enum class PatroniState : std::uint8_t { kNotAsked, kAwaited, kAnswers, kSilent };

struct Topology {
  std::vector<BackendState> backends;  // in the order configured, or as Patroni's members came
  PatroniState patroni = PatroniState::kNotAsked;
  std::string patroni_error;           // kSilent: why
  std::optional<std::size_t> primary;  // index of the one to write to
  std::uint64_t generation = 0;        // one more at each change of the primary or its timeline

  // Null: no server is there under that name.
  [[nodiscard]] const BackendState* find(const Address& address) const;
  // What the proxy sees, for an error's detail: "10.0.0.5:5432 down (connection refused); ...".
  [[nodiscard]] std::string describe() const;
};
using TopologySnapshot = std::shared_ptr<const Topology>;

// The topology now. Any thread.
class CurrentTopology {
 public:
  [[nodiscard]] TopologySnapshot get() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
  }
  // Replaces it and tells the subscriber, on the caller's thread, without a lock held.
  void set(Topology next);
  // One subscriber, set before threads start: the proxy, which tells its workers.
  void subscribe(std::function<void()> changed) { changed_ = std::move(changed); }

 private:
  mutable std::mutex mutex_;
  TopologySnapshot snapshot_ = std::make_shared<const Topology>();
  std::function<void()> changed_;
};

}  // namespace understudy::proxy
