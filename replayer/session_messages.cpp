#include "replayer/session_messages.h"

namespace understudy::replayer {

SessionMessages::SessionMessages(const Recording& recording, const SessionSummary& summary,
                                 std::size_t cap_bytes)
    : cursor_(recording, summary.descriptor.id, summary.opened_in), splitter_(cap_bytes) {}

const SessionItem* SessionMessages::next() {
  while (true) {
    if (const SessionItem* const item = splitter_.next()) return item;
    const auto event = cursor_.next();
    if (cursor_.holes() > 0) splitter_.lose(cursor_.hole());
    if (!event) return nullptr;
    time_ = event->time;
    splitter_.take(*event);
  }
}

std::optional<TimeNs> SessionMessages::next_time_lower_bound() {
  if (splitter_.pending()) return time_;
  return cursor_.next_time_lower_bound();
}

}  // namespace understudy::replayer
