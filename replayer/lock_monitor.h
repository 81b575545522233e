// Asks the target who waits for whose lock, on a thread of its own so that the replay never waits for the
// answer (PostgreSQL documentation, pg_blocking_pids).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

struct pg_conn;

namespace understudy::replayer {

// What the target said of one of its processes.
struct BackendActivity {
  std::uint32_t process_id = 0;
  bool active = false;                    // runs a statement (else it waits for its client)
  std::vector<std::uint32_t> blocked_by;  // empty unless it waits for a lock; 0: a prepared transaction
};

// Who waits for whom, as the target said.
class TargetWaits {
 public:
  explicit TargetWaits(const std::vector<BackendActivity>& activities);

  [[nodiscard]] bool waits(std::uint32_t process) const { return blocked_by_.contains(process); }
  [[nodiscard]] bool works(std::uint32_t process) const { return working_.contains(process); }
  [[nodiscard]] bool is_waited_for(std::uint32_t process) const { return holding_.contains(process); }
  // For a lock that it holds, or for one that waits so.
  [[nodiscard]] bool waits_for(std::uint32_t process, std::uint32_t holder) const;

 private:
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> blocked_by_;
  std::unordered_set<std::uint32_t> working_;
  std::unordered_set<std::uint32_t> holding_;
};

class LockMonitor {
 public:
  using Answer = std::function<void(std::vector<BackendActivity>)>;

  // Brings a task to the thread that asks.
  using Deliver = std::function<void(std::function<void()>)>;

  // `connection` is borrowed and used by the monitor's thread only.
  explicit LockMonitor(pg_conn* connection);
  ~LockMonitor();
  LockMonitor(const LockMonitor&) = delete;
  LockMonitor& operator=(const LockMonitor&) = delete;

  // Asks about these processes; `answer` is called through `deliver`, with nothing in it when the target
  // could not say. One question at a time: false when one is still out. Any thread.
  bool ask(std::vector<std::uint32_t> process_ids, Deliver deliver, Answer answer);
  // Nothing is delivered once it has returned; safe to call again.
  void stop();

 private:
  void run();
  std::vector<BackendActivity> query(const std::vector<std::uint32_t>& process_ids);

  pg_conn* connection_;
  std::mutex mutex_;
  std::condition_variable asked_;
  std::vector<std::uint32_t> question_;
  Deliver deliver_;
  Answer answer_;
  bool busy_ = false;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace understudy::replayer
