// A planned move of all sessions from the primary to one of its replicas, as far as a proxy can bring it
// about:
//
//     pause -> all are quiet -> the replica has replayed what the primary has written -> it becomes primary
//           -> sessions go on there
//
// Whoever promotes servers where it runs promotes the replica meanwhile, or, if asked to, the proxy does.
// What takes too long ends it, and sessions go on where they were; but for a promotion that was asked for
// and whose end was not seen: then the proxy stays paused, since both might take writes.
//
// Runs on a thread that may wait (the admin port's). One at a time.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "proxy/move.h"
#include "proxy/proxy.h"

namespace understudy::proxy {

class PlannedMove {
 public:
  // How much longer than its time-out it may take, where a promotion is under way.
  static constexpr TimeNs kPromotionPatience = 15'000'000'000;

  // `stopping`: nobody waits any more.
  PlannedMove(Proxy& proxy, const std::atomic<bool>& stopping) : proxy_(proxy), stopping_(stopping) {}

  [[nodiscard]] MoveResult run(const MoveRequest& request);

 private:
  [[nodiscard]] bool choose(const MoveRequest& request);
  [[nodiscard]] bool await_quiet();
  [[nodiscard]] bool await_replay(bool promotes);
  [[nodiscard]] bool promote();
  [[nodiscard]] bool await_primary(bool promoted);
  // Until it is so; false when the time is over or the move makes no sense any more, and why is noted.
  [[nodiscard]] bool await(const std::function<bool()>& so, TimeNs end, const std::string& what);
  [[nodiscard]] bool fail(MoveResult::Kind kind, std::string why);

  Proxy& proxy_;
  const std::atomic<bool>& stopping_;
  TimeNs end_ = 0;
  std::size_t from_ = 0;
  std::size_t to_ = 0;
  MoveResult result_;
};

}  // namespace understudy::proxy
