#include "proxy/topology_tracker.h"

#include <algorithm>
#include <limits>

namespace understudy::proxy {

using Kind = TopologyChange::Kind;

namespace {

// How long a new primary that cannot read its history waits for Patroni's: the leader writes it there soon
// after its promotion.
constexpr TimeNs kHistoryPatience = 5'000'000'000;

}  // namespace

TopologyTracker::TopologyTracker(const std::vector<Address>& backends, std::uint32_t failures_before_down,
                                 bool led)
    : memory_(backends.size()), failures_before_down_(failures_before_down) {
  if (led) topology_.patroni = PatroniState::kAwaited;
  for (const Address& address : backends) topology_.backends.emplace_back().address = address;
}

TopologyChanges TopologyTracker::succeeded(std::size_t backend, const CheckResult& result, TimeNs now) {
  TopologyChanges changes;
  BackendState& state = topology_.backends[backend];
  Memory& memory = memory_[backend];
  now_ = now;
  const bool claimed = claims(backend) && state.timeline == result.timeline;
  if (!result.in_recovery && !claimed) {
    memory.claims_since = now;
    leader_doubted_ = leader_doubted_ || (led() && leader_ != backend);
  }
  // Without a receiver it only knows where it last was safe on its disk.
  const bool stays = result.in_recovery && state.up && state.role == BackendRole::kReplica;
  memory.known = true;
  memory.failures = 0;
  if (!state.up) changes.push_back({Kind::kBackendUp, backend});
  state.up = true;
  state.error.clear();
  if (result.history) {
    state.history = *result.history;
  } else if (result.in_recovery || result.timeline != state.timeline) {
    state.history.clear();
  }
  state.role = result.in_recovery ? BackendRole::kReplica : BackendRole::kPrimary;
  state.timeline = stays ? std::max(state.timeline, result.timeline) : result.timeline;
  state.lsn = result.lsn;
  if (result.in_recovery) {
    memory.rejected_timeline = 0;
  } else {
    memory.flushed = result.flushed;
  }
  elect(changes);
  if (topology_.primary == backend) last_flushed_ = result.flushed;
  measure_lag(backend, result.lag, now);
  return changes;
}

TopologyChanges TopologyTracker::failed(std::size_t backend, std::string error) {
  TopologyChanges changes;
  BackendState& state = topology_.backends[backend];
  Memory& memory = memory_[backend];
  if (memory.failures < std::numeric_limits<std::uint32_t>::max()) ++memory.failures;
  if (memory.failures >= std::max(failures_before_down_, 1U) && (state.up || !memory.known)) {
    changes.push_back({Kind::kBackendDown, backend});
    memory.known = true;
    memory.behind_since = 0;
    state.up = false;
    state.role = BackendRole::kUnknown;
  }
  if (!state.up) state.error = std::move(error);
  elect(changes);
  return changes;
}

TopologyChanges TopologyTracker::turned_away(std::size_t backend) {
  TopologyChanges changes;
  BackendState& state = topology_.backends[backend];
  memory_[backend].known = true;
  memory_[backend].failures = 0;
  if (!state.up) changes.push_back({Kind::kBackendUp, backend});
  state.up = true;
  state.role = BackendRole::kUnknown;
  state.error.clear();
  elect(changes);
  return changes;
}

void TopologyTracker::looked_up(std::size_t backend, std::vector<SocketAddress> addresses) {
  topology_.backends[backend].addresses = std::move(addresses);
}

bool TopologyTracker::suspect(std::size_t backend) const {
  return topology_.backends[backend].up && memory_[backend].failures > 0;
}

// A replica that is cut off has replayed all it received, and so measures no lag itself; hence the greater of
// its own figure and of how long it has been without something that the primary is known to have.
void TopologyTracker::measure_lag(std::size_t backend, TimeNs reported, TimeNs now) {
  BackendState& state = topology_.backends[backend];
  Memory& memory = memory_[backend];
  state.lag = 0;
  state.lag_bytes = 0;
  if (state.role != BackendRole::kReplica) {
    memory.behind_since = 0;
    return;
  }
  const Lsn flushed = last_primary_ ? memory_[*last_primary_].flushed : Lsn{};
  if (state.lsn < flushed) state.lag_bytes = flushed.value - state.lsn.value;
  if (memory.behind_since != 0 && state.lsn >= memory.behind) memory.behind_since = 0;
  if (memory.behind_since == 0 && state.lag_bytes > 0) {
    memory.behind = flushed;
    memory.behind_since = now;
  }
  const TimeNs waited = memory.behind_since != 0 ? now - memory.behind_since : TimeNs{0};
  state.lag = std::max(reported, waited);
}

bool TopologyTracker::claims(std::size_t backend) const {
  const BackendState& state = topology_.backends[backend];
  return state.up && state.role == BackendRole::kPrimary;
}

bool TopologyTracker::eligible(std::size_t backend) const {
  const std::uint32_t timeline = topology_.backends[backend].timeline;
  return claims(backend) && timeline >= highest_timeline_ && timeline > memory_[backend].rejected_timeline;
}

std::optional<std::size_t> TopologyTracker::winner() const {
  if (led()) {
    const bool may = leader_ && !leader_doubted_ && eligible(*leader_) && !awaits_history(*leader_);
    return may ? leader_ : std::nullopt;
  }
  if (!std::ranges::all_of(memory_, &Memory::known)) return std::nullopt;
  if (last_primary_ && eligible(*last_primary_)) return last_primary_;
  for (std::size_t i = 0; i < memory_.size(); ++i) {
    if (eligible(i)) return i;
  }
  return std::nullopt;
}

bool TopologyTracker::led() const {
  return topology_.patroni == PatroniState::kAwaited || topology_.patroni == PatroniState::kAnswers;
}

// Who makes a timeline of its own without Patroni's leave sets no standard for the others.
bool TopologyTracker::counts(std::size_t backend) const { return !led() || leader_ == backend; }

// At a failover only: what was cut off is looked up by it.
bool TopologyTracker::awaits_history(std::size_t backend) const {
  const BackendState& state = topology_.backends[backend];
  const bool news = last_timeline_ != 0 && (last_primary_ != backend || last_timeline_ != state.timeline);
  const bool lent = !patroni_history_.empty() && patroni_history_.back().timeline + 1 == state.timeline;
  return news && state.timeline > 1 && state.history.empty() && !lent &&
         now_ - memory_[backend].claims_since < kHistoryPatience;
}

void TopologyTracker::lend_history(std::size_t backend) {
  BackendState& state = topology_.backends[backend];
  if (!state.history.empty() || patroni_history_.empty()) return;
  if (patroni_history_.back().timeline + 1 == state.timeline) state.history = patroni_history_;
}

std::optional<std::size_t> TopologyTracker::index_of(const Address& address) const {
  for (std::size_t i = 0; i < topology_.backends.size(); ++i) {
    if (topology_.backends[i].address == address) return i;
  }
  return std::nullopt;
}

void TopologyTracker::remove(std::size_t backend, TopologyChanges& changes) {
  BackendState gone;
  gone.address = topology_.backends[backend].address;
  gone.removed = true;
  gone.error = "Patroni no longer counts it among the cluster's";
  topology_.backends[backend] = std::move(gone);
  memory_[backend] = Memory{};
  memory_[backend].known = true;
  if (last_primary_ == backend) last_primary_.reset();
  changes.push_back({Kind::kBackendRemoved, backend});
}

void TopologyTracker::add(const Address& address, TopologyChanges& changes) {
  auto index = index_of(address);
  if (index && !topology_.backends[*index].removed) return;
  for (std::size_t i = 0; !index && i < topology_.backends.size(); ++i) {
    if (topology_.backends[i].removed) index = i;
  }
  if (!index) {
    index = topology_.backends.size();
    topology_.backends.emplace_back();
    memory_.emplace_back();
  }
  BackendState fresh;
  fresh.address = address;
  topology_.backends[*index] = std::move(fresh);
  memory_[*index] = Memory{};
  changes.push_back({Kind::kBackendAdded, *index});
}

TopologyChanges TopologyTracker::follow(const std::vector<Address>& members,
                                        std::optional<std::size_t> leader) {
  TopologyChanges changes;
  topology_.patroni = PatroniState::kAnswers;
  topology_.patroni_error.clear();
  for (std::size_t i = 0; i < topology_.backends.size(); ++i) {
    const BackendState& state = topology_.backends[i];
    if (!state.removed && std::ranges::find(members, state.address) == members.end()) remove(i, changes);
  }
  for (const Address& member : members) add(member, changes);
  leader_ = leader ? index_of(members[*leader]) : std::nullopt;
  leader_doubted_ = false;
  elect(changes);
  return changes;
}

TopologyChanges TopologyTracker::follow_history(std::vector<TimelineSwitch> history) {
  TopologyChanges changes;
  patroni_history_ = std::move(history);
  elect(changes);
  return changes;
}

TopologyChanges TopologyTracker::unled(std::string why) {
  TopologyChanges changes;
  topology_.patroni = PatroniState::kSilent;
  topology_.patroni_error = std::move(why);
  elect(changes);
  return changes;
}

void TopologyTracker::compare_with_last(const BackendState& primary) {
  if (last_timeline_ == 0 || primary.timeline == last_timeline_) return;
  const auto left = std::ranges::find(primary.history, last_timeline_, &TimelineSwitch::timeline);
  if (left == primary.history.end() || last_flushed_ <= left->at) return;
  lost_wal_ = {last_timeline_, left->at, last_flushed_};
}

void TopologyTracker::elect(TopologyChanges& changes) {
  for (std::size_t i = 0; i < memory_.size(); ++i) {
    if (claims(i) && counts(i))
      highest_timeline_ = std::max(highest_timeline_, topology_.backends[i].timeline);
  }
  const std::optional<std::size_t> before = topology_.primary;
  topology_.primary = winner();
  for (std::size_t i = 0; i < memory_.size(); ++i) {
    BackendState& state = topology_.backends[i];
    const bool contested = topology_.primary && claims(i) && i != *topology_.primary;
    if (contested) memory_[i].rejected_timeline = state.timeline;
    const bool fenced = claims(i) && (contested || state.timeline < highest_timeline_ ||
                                      state.timeline <= memory_[i].rejected_timeline);
    if (fenced && !state.fenced) changes.push_back({Kind::kBackendFenced, i});
    state.fenced = fenced;
  }
  if (topology_.primary) {
    lend_history(*topology_.primary);
    const BackendState& primary = topology_.backends[*topology_.primary];
    if (before != topology_.primary || primary.timeline != last_timeline_) {
      changes.push_back({Kind::kPrimaryFound, *topology_.primary});
      for (Memory& memory : memory_) memory.behind_since = 0;  // positions of another history
      compare_with_last(primary);
    }
    last_primary_ = topology_.primary;
    last_timeline_ = primary.timeline;
  } else if (before) {
    changes.push_back({Kind::kPrimaryLost, *before});
  }
}

}  // namespace understudy::proxy
