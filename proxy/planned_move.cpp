#include "proxy/planned_move.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <tuple>

#include "proxy/clock.h"
#include "proxy/log.h"

namespace understudy::proxy {
namespace {

using Kind = MoveResult::Kind;

constexpr std::chrono::milliseconds kLook{10};
constexpr TimeNs kWorkerPatience = 2'000'000'000;
constexpr TimeNs kQueryPatience = 5'000'000'000;

bool is_replica(const BackendState& backend) {
  return !backend.removed && backend.up && backend.role == BackendRole::kReplica;
}

// The one that is least behind.
std::optional<std::size_t> best_replica(const Topology& topology) {
  std::optional<std::size_t> best;
  const auto behind = [&](std::size_t index) {
    return std::tuple(topology.backends[index].lag_bytes, topology.backends[index].lag);
  };
  for (std::size_t index = 0; index < topology.backends.size(); ++index) {
    if (is_replica(topology.backends[index]) && (!best || behind(index) < behind(*best))) best = index;
  }
  return best;
}

bool is_called(const Address& address, const std::string& name) {
  if (address.to_string() == name) return true;
  try {
    return Address::parse(name) == address;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

std::optional<std::size_t> find(const Topology& topology, const std::string& name) {
  for (std::size_t index = 0; index < topology.backends.size(); ++index) {
    const BackendState& backend = topology.backends[index];
    if (!backend.removed && is_called(backend.address, name)) return index;
  }
  return std::nullopt;
}

}  // namespace

MoveResult PlannedMove::run(const MoveRequest& request) {
  const bool was_paused = proxy_.paused();
  end_ = now_ns() + request.timeout;
  if (!choose(request)) return result_;
  log_event(LogLevel::kInfo, "move_begins", {{"from", result_.from}, {"to", result_.to}});
  const TimeNs paused_at = now_ns();
  proxy_.set_paused(true);
  const bool moved = await_quiet() && await_replay(request.promote) && (!request.promote || promote()) &&
                     await_primary(request.promote);
  // Sessions that wait are on their way to the new primary, and go on as they arrive.
  if (!was_paused && result_.kind != Kind::kStillPaused) proxy_.set_paused(false);
  result_.paused = now_ns() - paused_at;
  if (moved) {
    log_event(LogLevel::kInfo, "moved",
              {{"from", result_.from},
               {"to", result_.to},
               {"timeline", std::to_string(result_.timeline)},
               {"paused_ms", std::to_string(result_.paused / 1'000'000)}});
  } else {
    log_event(LogLevel::kWarning, "move_failed",
              {{"from", result_.from}, {"to", result_.to}, {"reason", result_.error}});
  }
  return result_;
}

bool PlannedMove::choose(const MoveRequest& request) {
  const TopologySnapshot topology = proxy_.topology();
  if (!proxy_.watches_backends()) {
    return fail(Kind::kRefused, "there is one backend: nowhere to move to (see backend)");
  }
  if (!topology->primary) return fail(Kind::kRefused, "there is no primary: " + topology->describe());
  if (request.promote && topology->patroni != PatroniState::kNotAsked) {
    return fail(Kind::kRefused,
                "Patroni promotes these servers: move without --promote, and tell it meanwhile (patronictl "
                "switchover)");
  }
  from_ = *topology->primary;
  result_.from = topology->backends[from_].address.to_string();
  const bool any = request.to.empty();
  const auto to = any ? best_replica(*topology) : find(*topology, request.to);
  if (!to && any) return fail(Kind::kRefused, "no replica is up: " + topology->describe());
  if (!to) return fail(Kind::kRefused, request.to + " is none of the backends");
  to_ = *to;
  result_.to = topology->backends[to_].address.to_string();
  if (to_ == from_) return fail(Kind::kRefused, result_.to + " is the primary already");
  if (!is_replica(topology->backends[to_])) {
    return fail(Kind::kRefused, result_.to + " is no replica that is up: " + topology->describe());
  }
  return true;
}

bool PlannedMove::await_quiet() {
  std::uint64_t busy = 0;
  const auto quiet = [&] {
    const auto tally = proxy_.tally(kWorkerPatience);
    busy = tally ? tally->busy : 1;
    return busy == 0;
  };
  if (await(quiet, end_, "sessions to end their transactions")) return true;
  if (busy > 0 && result_.kind == Kind::kTimedOut) {
    result_.error += " (" + std::to_string(busy) + " had not)";
  }
  return false;
}

// Nothing is written by way of the proxy any more: what the primary has now is all there is.
bool PlannedMove::await_replay(bool promotes) {
  const auto told = proxy_.ask_backend(from_, "SELECT pg_current_wal_insert_lsn()", kQueryPatience);
  const auto& row = told.answer.row;
  const auto wanted = row.size() == 1 && row[0] ? parse_lsn(*row[0]) : std::nullopt;
  // Who promotes is somebody else, and has perhaps begun: a switchover shuts the primary down first, and
  // sees to it itself that nothing is lost.
  if (!wanted && !promotes) return true;
  if (!wanted) {
    return fail(Kind::kRefused, "the primary could not be asked for its position: " + told.answer.error);
  }
  Lsn replayed;
  const auto caught_up = [&] {
    proxy_.check_backend(to_);
    replayed = proxy_.topology()->backends[to_].lsn;
    return replayed >= *wanted;
  };
  const std::string what = result_.to + " to replay up to " + to_string(*wanted);
  if (await(caught_up, end_, what)) return true;
  if (result_.kind == Kind::kTimedOut) result_.error += " (it has " + to_string(replayed) + ")";
  return false;
}

bool PlannedMove::promote() {
  const auto told = proxy_.ask_backend(to_, "SELECT pg_promote(false)", kQueryPatience);
  const auto& row = told.answer.row;
  if (told.answer.error.empty() && row.size() == 1 && row[0] == "t") return true;
  if (told.asked && !told.answered) {
    return fail(Kind::kStillPaused,
                result_.to + " was told to become primary, and its answer was not heard (" +
                    told.answer.error + "). The proxy stays paused: see what it is, then resume");
  }
  return fail(Kind::kRefused, result_.to + " could not be promoted: " +
                                  (told.answer.error.empty() ? "pg_promote() says no" : told.answer.error) +
                                  ". Sessions go on at " + result_.from);
}

bool PlannedMove::await_primary(bool promoted) {
  const auto is_primary = [this] {
    proxy_.check_backend(to_);
    return proxy_.topology()->primary == to_;
  };
  const TimeNs end = promoted ? std::max(end_, now_ns() + kPromotionPatience) : end_;
  if (!await(is_primary, end, result_.to + " to become primary")) {
    if (promoted && result_.kind == Kind::kTimedOut) {
      result_.kind = Kind::kStillPaused;
      result_.error = result_.to +
                      " was told to become primary, and has not been seen to. The proxy stays paused: see "
                      "what it is, then resume";
    }
    return false;
  }
  result_.timeline = proxy_.topology()->backends[to_].timeline;
  return true;
}

bool PlannedMove::await(const std::function<bool()>& so, TimeNs end, const std::string& what) {
  while (!so()) {
    const TopologySnapshot topology = proxy_.topology();
    const bool elsewhere = topology->primary && topology->primary != from_ && topology->primary != to_;
    if (elsewhere) {
      const std::string other = topology->backends[*topology->primary].address.to_string();
      return fail(Kind::kRefused, "meanwhile " + other + " has become primary: sessions go on there");
    }
    if (!proxy_.paused()) return fail(Kind::kRefused, "resumed meanwhile: sessions go on as they were");
    if (stopping_.load(std::memory_order_relaxed)) return fail(Kind::kRefused, "the proxy ends");
    if (now_ns() >= end) {
      return fail(Kind::kTimedOut,
                  "waited in vain for " + what + ". Sessions go on at " + result_.from + " as they were");
    }
    std::this_thread::sleep_for(kLook);
  }
  return true;
}

bool PlannedMove::fail(Kind kind, std::string why) {
  result_.kind = kind;
  result_.error = std::move(why);
  return false;
}

}  // namespace understudy::proxy
