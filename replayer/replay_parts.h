// A replay on one or several workers: its sessions are dealt out in turn, and each part plays its own on a
// worker of its own (replay.h), sharing with the others what ensemble.h says. One thread that plays all
// clients gets one share of processors that it shares with the server; so fewer were used than there are.
//
// With orders in which sessions wait for each other's replies there is one part: each reply would be a
// message between threads.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "replayer/ensemble.h"
#include "replayer/lock_monitor.h"
#include "replayer/replay.h"

namespace understudy::replayer {

class ReplayParts {
 public:
  // All references must outlive this. `workers`: at least one. `done` is called on a worker's thread, once.
  ReplayParts(const Recording& recording, Target& target, const std::vector<proxy::Worker*>& workers,
              const ReplayOptions& options, std::function<void()> done);

  // So many workers are of use.
  [[nodiscard]] static unsigned useful_workers(unsigned wanted, Order order) {
    return order == Order::kCausal ? 1 : wanted;
  }

  // Any thread: begins; ends early, cancelling what runs; ends now, whatever runs.
  void start();
  void stop();
  void abandon();
  struct Progress {
    std::uint64_t exchanges = 0;
    std::uint64_t sessions_open = 0;
    std::uint64_t rescues = 0;
    TimeNs recorded_at = 0;    // of the part that has come farthest
    TimeNs server_slower = 0;  // of the part that is farthest behind
    TimeNs replayer_late = 0;
  };
  [[nodiscard]] Progress progress() const;
  // After `done`.
  [[nodiscard]] ReplayResult result() const;

 private:
  void part_done(const Replay& part);

  std::function<void()> done_;
  Ensemble ensemble_;
  LockMonitor monitor_;
  std::vector<std::unique_ptr<Replay>> parts_;
  std::atomic<std::size_t> playing_;
};

}  // namespace understudy::replayer
