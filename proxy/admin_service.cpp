#include "proxy/admin_service.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "proxy/admin_json.h"
#include "proxy/admin_metrics.h"
#include "proxy/clock.h"
#include "proxy/planned_move.h"

namespace understudy::proxy {
namespace {

// A worker that has not answered by then is in trouble; whoever asked is told.
constexpr TimeNs kWorkerPatience = 2'000'000'000;
constexpr TimeNs kPauseTimeout = 30'000'000'000;
// How often a pause looks whether all are quiet.
constexpr std::chrono::milliseconds kFirstLook{5};
constexpr std::chrono::milliseconds kLongestLook{100};
// So many may wait for a pause at once; who comes on top of them is answered at once: a resume must get
// through.
constexpr unsigned kMostPausing = 2;

AdminReply too_slow() { return {503, error_json("a worker did not answer in time")}; }

}  // namespace

AdminReply AdminService::answer(AdminEndpoint endpoint, const AdminRequest& request) {
  switch (endpoint) {
    case AdminEndpoint::kHealth:
      return {200, "ok\n", "text/plain; charset=utf-8"};
    case AdminEndpoint::kReady:
      return readiness();
    case AdminEndpoint::kMetrics:
      return metrics();
    case AdminEndpoint::kBackends:
      return {200, backends_json(*proxy_.topology(), proxy_.mode_report())};
    case AdminEndpoint::kPools:
      return pools();
    case AdminEndpoint::kSessions:
      return sessions();
    case AdminEndpoint::kFailovers:
      return {200, failovers_json(proxy_.failovers())};
    case AdminEndpoint::kPause:
      return pause(request);
    case AdminEndpoint::kResume:
      proxy_.set_paused(false);
      return {200, paused_json(false, 0)};
    case AdminEndpoint::kReload:
      return reload();
    case AdminEndpoint::kMove:
      return move(request);
    case AdminEndpoint::kRecord:
    case AdminEndpoint::kRecordStart:
    case AdminEndpoint::kRecordStop:
    case AdminEndpoint::kRecordMark:
    case AdminEndpoint::kRecordSave:
      if (recording_) return recording_(endpoint, request);
      break;
  }
  return {404, error_json("there is no such path")};
}

AdminReply AdminService::readiness() const {
  AdminReply reply{200, "ready\n", "text/plain; charset=utf-8"};
  const TopologySnapshot topology = proxy_.topology();
  if (proxy_.draining()) {
    reply = {503, "draining\n", reply.content_type};
  } else if (!proxy_.serves()) {
    reply = {503, (topology->primary ? "no replica: " : "no primary: ") + topology->describe() + "\n",
             reply.content_type};
  } else if (proxy_.paused()) {
    reply.body = "ready, paused\n";  // clients are taken, and wait
  }
  return reply;
}

AdminReply AdminService::metrics() const {
  const TopologySnapshot topology = proxy_.topology();
  const MetricsSources sources{.statistics = proxy_.statistics(),
                               .topology = *topology,
                               .reads = proxy_.mode_report().reads,
                               .pools = proxy_.pool().counts(),
                               .latency = proxy_.latency(),
                               .tally = proxy_.tally(kWorkerPatience),
                               .failovers = proxy_.failover_count(),
                               .restarts = proxy_.restart_count(),
                               .workers = proxy_.worker_count(),
                               .paused = proxy_.paused(),
                               .draining = proxy_.draining(),
                               .process = process_usage()};
  return {200, metrics_text(sources) + proxy_.observer_metrics(), kMetricsContentType};
}

AdminReply AdminService::pools() const {
  const auto tally = proxy_.tally(kWorkerPatience);
  if (!tally) return too_slow();
  return {200, pools_json(proxy_.pool().list(), tally->held, proxy_.paused())};
}

AdminReply AdminService::sessions() const {
  const auto sessions = proxy_.sessions(kWorkerPatience);
  return sessions ? AdminReply{200, sessions_json(*sessions)} : too_slow();
}

AdminReply AdminService::pause(const AdminRequest& request) {
  const auto timeout = timeout_of(request.target, kPauseTimeout, kLongestPause);
  if (!timeout) return {400, error_json("expected ?timeout= and a duration of at most 10min, such as 30s")};
  const TimeNs end = now_ns() + (pausing_.fetch_add(1) < kMostPausing ? *timeout : 0);
  proxy_.set_paused(true);
  AdminReply reply;
  for (auto look = kFirstLook;; look = std::min(2 * look, kLongestLook)) {
    const auto tally = proxy_.tally(kWorkerPatience);
    if (!tally) {
      reply = too_slow();
    } else if (!proxy_.paused()) {
      reply = {409, error_json("resumed meanwhile")};
    } else if (tally->busy == 0 || now_ns() >= end || stopping_.load(std::memory_order_relaxed)) {
      // 202: it is paused, and some are still at it.
      reply = {tally->busy == 0 ? 200 : 202, paused_json(true, tally->busy)};
    } else {
      std::this_thread::sleep_for(look);
      continue;
    }
    break;
  }
  pausing_.fetch_sub(1);
  return reply;
}

AdminReply AdminService::reload() const {
  const Reloaded reloaded = reload_();
  if (!reloaded.refused.empty()) return {409, error_json(reloaded.refused)};
  return {200, reloaded_json(reloaded.restart_needed)};
}

AdminReply AdminService::move(const AdminRequest& request) {
  MoveRequest wanted;
  const auto timeout = timeout_of(request.target, wanted.timeout, kLongestPause);
  if (!timeout) return {400, error_json("expected ?timeout= and a duration of at most 10min, such as 30s")};
  wanted.timeout = *timeout;
  const auto promote = parameter_of(request.target, "promote");
  wanted.promote = promote == "true";
  if (promote && promote != "true" && promote != "false") {
    return {400, error_json("expected promote=true or promote=false")};
  }
  wanted.to = parameter_of(request.target, "to").value_or("");
  if (moving_.exchange(true)) return {409, error_json("another move is under way")};
  const MoveResult result = PlannedMove(proxy_, stopping_).run(wanted);
  moving_ = false;
  switch (result.kind) {
    case MoveResult::Kind::kMoved:
      return {200, moved_json(result)};
    case MoveResult::Kind::kRefused:
      return {409, error_json(result.error)};
    case MoveResult::Kind::kTimedOut:
    case MoveResult::Kind::kStillPaused:
      break;
  }
  return {504, error_json(result.error)};
}

}  // namespace understudy::proxy
