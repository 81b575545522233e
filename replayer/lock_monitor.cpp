#include "replayer/lock_monitor.h"

#include <libpq-fe.h>

#include <sys/socket.h>

#include <charconv>
#include <string>

namespace understudy::replayer {
namespace {

std::vector<std::uint32_t> parse_pids(std::string_view array) {
  std::vector<std::uint32_t> pids;
  const char* at = array.data();
  const char* const end = at + array.size();
  while (at < end) {
    std::uint32_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error == std::errc{}) pids.push_back(pid);
    at = next > at ? next : at + 1;
  }
  return pids;
}

}  // namespace

TargetWaits::TargetWaits(const std::vector<BackendActivity>& activities) {
  for (const BackendActivity& activity : activities) {
    holding_.insert(activity.blocked_by.begin(), activity.blocked_by.end());
    if (!activity.blocked_by.empty()) {
      blocked_by_[activity.process_id] = activity.blocked_by;
    } else if (activity.active) {
      working_.insert(activity.process_id);
    }
  }
}

bool TargetWaits::waits_for(std::uint32_t process, std::uint32_t holder) const {
  std::unordered_set<std::uint32_t> seen{process};
  std::vector<std::uint32_t> to_look_at{process};
  while (!to_look_at.empty()) {
    const auto found = blocked_by_.find(to_look_at.back());
    to_look_at.pop_back();
    if (found == blocked_by_.end()) continue;
    for (const std::uint32_t blocker : found->second) {
      if (blocker == holder) return true;
      if (seen.insert(blocker).second) to_look_at.push_back(blocker);
    }
  }
  return false;
}

LockMonitor::LockMonitor(pg_conn* connection) : connection_(connection), thread_([this] { run(); }) {}

LockMonitor::~LockMonitor() { stop(); }

void LockMonitor::stop() {
  if (!thread_.joinable()) return;
  bool asking = false;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    asking = busy_;
  }
  asked_.notify_one();
  // A server that does not answer any more is not waited for.
  if (asking && PQsocket(connection_) >= 0) ::shutdown(PQsocket(connection_), SHUT_RDWR);
  thread_.join();
}

bool LockMonitor::ask(std::vector<std::uint32_t> process_ids, Deliver deliver, Answer answer) {
  {
    const std::lock_guard lock(mutex_);
    if (busy_) return false;
    busy_ = true;
    question_ = std::move(process_ids);
    deliver_ = std::move(deliver);
    answer_ = std::move(answer);
  }
  asked_.notify_one();
  return true;
}

void LockMonitor::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    asked_.wait(lock, [this] { return ending_ || busy_; });
    if (ending_) return;
    const std::vector<std::uint32_t> question = std::move(question_);
    Deliver deliver = std::move(deliver_);
    Answer answer = std::move(answer_);
    lock.unlock();
    std::vector<BackendActivity> result = query(question);
    lock.lock();
    busy_ = false;
    if (ending_) return;
    deliver([answer = std::move(answer), result = std::move(result)] { answer(result); });
  }
}

std::vector<BackendActivity> LockMonitor::query(const std::vector<std::uint32_t>& process_ids) {
  std::string pids = "{";
  for (const std::uint32_t pid : process_ids) pids += (pids.size() > 1 ? "," : "") + std::to_string(pid);
  pids += "}";
  const char* const parameters[] = {pids.c_str()};
  if (PQstatus(connection_) != CONNECTION_OK) PQreset(connection_);
  // Blockers are computed for those that wait only: pg_blocking_pids takes the lock table's locks. Of others'
  // sessions an ordinary user is told neither the state nor what they wait for.
  PGresult* const rows = PQexecParams(connection_,
                                      "select pid, state = 'active', case when wait_event_type = 'Lock' or "
                                      "state is null then pg_blocking_pids(pid)::text end"
                                      " from pg_stat_activity where pid = any($1::int[])",
                                      1, nullptr, parameters, nullptr, nullptr, 0);
  std::vector<BackendActivity> result;
  for (int row = 0; row < PQntuples(rows); ++row) {
    BackendActivity activity;
    const std::string_view pid = PQgetvalue(rows, row, 0);
    std::from_chars(pid.data(), pid.data() + pid.size(), activity.process_id);
    activity.active = *PQgetvalue(rows, row, 1) != 'f';  // unknown counts as active
    activity.blocked_by = parse_pids(PQgetvalue(rows, row, 2));
    result.push_back(std::move(activity));
  }
  PQclear(rows);
  return result;
}

}  // namespace understudy::replayer
