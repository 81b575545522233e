// Proxy, asked what its workers are doing: each answers on its own thread, for its own sessions, and whoever
// asks waits for so long and no longer.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "proxy/proxy.h"

namespace understudy::proxy {
namespace {

// Shared with the workers: one that is late answers into what nobody reads any more.
template <typename Answer>
class Answers {
 public:
  explicit Answers(std::size_t due) : due_(due) {}
  void give(Answer answer) {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
    arrived_.notify_one();
  }
  // Nothing when one was missing at the end.
  std::optional<std::vector<Answer>> wait(TimeNs limit) {
    std::unique_lock lock(mutex_);
    const auto all = [this] { return answers_.size() == due_; };
    if (!arrived_.wait_for(lock, std::chrono::nanoseconds(limit), all)) return std::nullopt;
    return std::move(answers_);
  }

 private:
  const std::size_t due_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Answer> answers_;
};

}  // namespace

ModeReport Proxy::mode_report() const {
  ModeReport report;
  report.mode = configuration_.mode;
  if (report.mode == Mode::kSplit) {
    for (std::size_t i = 0; i < replicas().size(); ++i) report.reads.push_back(replicas().reads(i));
  }
  if (report.mode == Mode::kShadow) {
    const Statistics& counted = statistics();
    report.shadow = configuration_.shadow.front().to_string();
    report.compared = counted.shadow_compared.load(std::memory_order_relaxed);
    report.equal = counted.shadow_equal.load(std::memory_order_relaxed);
    report.different = counted.shadow_different.load(std::memory_order_relaxed);
    report.shed = counted.shadow_shed.load(std::memory_order_relaxed);
  }
  return report;
}

std::optional<SessionTally> Proxy::tally(TimeNs limit) const {
  const auto answers = std::make_shared<Answers<SessionTally>>(workers_.size());
  for (const auto& worker : workers_) {
    worker->tally([answers](SessionTally tally) { answers->give(tally); });
  }
  const auto tallies = answers->wait(limit);
  if (!tallies) return std::nullopt;
  SessionTally sum;
  for (const SessionTally& tally : *tallies) {
    sum.busy += tally.busy;
    sum.held += tally.held;
  }
  return sum;
}

std::optional<std::vector<SessionStatus>> Proxy::sessions(TimeNs limit) const {
  const auto answers = std::make_shared<Answers<std::vector<SessionStatus>>>(workers_.size());
  for (const auto& worker : workers_) {
    worker->list_sessions(
        [answers](std::vector<SessionStatus> statuses) { answers->give(std::move(statuses)); });
  }
  auto lists = answers->wait(limit);
  if (!lists) return std::nullopt;
  std::vector<SessionStatus> all;
  for (auto& list : *lists) std::move(list.begin(), list.end(), std::back_inserter(all));
  std::sort(all.begin(), all.end(),
            [](const SessionStatus& one, const SessionStatus& other) { return one.number < other.number; });
  return all;
}

LatencyCounts Proxy::latency() const {
  LatencyCounts sum;
  for (const auto& worker : workers_) sum.merge(worker->latency());
  return sum;
}

BackendAnswer Proxy::ask_backend(std::size_t backend, const std::string& sql, TimeNs patience) const {
  const auto answers = std::make_shared<Answers<BackendAnswer>>(1);
  monitor_->ask(backend, sql, patience, [answers](const BackendAnswer& answer) { answers->give(answer); });
  const auto told = answers->wait(configuration_.health.connect_timeout + 2 * patience);
  if (told) return told->front();
  return {{.error = "no answer in time"}, true, false};
}

void Proxy::recording_began(const std::shared_ptr<JoinTally>& tally) {
  for (const auto& worker : workers_) worker->recording_began(tally);
}

void Proxy::recording_ended() {
  for (const auto& worker : workers_) worker->recording_ended();
}

void Proxy::set_paused(bool paused) {
  shared_.paused.store(paused, std::memory_order_relaxed);
  for (const auto& worker : workers_) worker->pause_changed();
}

}  // namespace understudy::proxy
