#include "replayer/precedence.h"

#include <algorithm>

namespace understudy::replayer {

std::uint64_t Precedence::reply_recorded(SessionId session, const Footprint& footprint) {
  replies_.push_back({.session = session, .arrived = false, .footprint = footprint, .waiters = {}});
  return recorded() - 1;
}

void Precedence::arrived(std::uint64_t number, std::vector<SessionId>& woken) {
  if (number < first_) return;
  Reply& reply = replies_[number - first_];
  reply.arrived = true;
  woken.insert(woken.end(), reply.waiters.begin(), reply.waiters.end());
  reply.waiters.clear();
  while (!replies_.empty() && replies_.front().arrived) {
    replies_.pop_front();
    ++first_;
  }
}

bool Precedence::may_go(SessionId session, const Footprint& footprint, std::uint64_t sent_after,
                        std::uint64_t answered_as) {
  if (footprint.empty()) return true;
  const std::uint64_t end = std::min(std::max(sent_after, answered_as), recorded());
  for (std::uint64_t number = first_; number < end; ++number) {
    Reply& reply = replies_[number - first_];
    if (reply.arrived || reply.session == session) continue;
    const bool in_the_way = number < sent_after ? in_conflict(reply.footprint, footprint)
                                                : lock_in_conflict(reply.footprint, footprint);
    if (!in_the_way) continue;
    reply.waiters.push_back(session);
    return false;
  }
  return true;
}

}  // namespace understudy::replayer
