#include "recorder/lane.h"

#include <algorithm>
#include <utility>

namespace understudy::recorder {

void Lane::open(LaneSession& session, TimeNs time, ByteView payload) {
  const std::lock_guard guard(mutex_);
  session.shed = ended_;
  if (ended_) return;
  ++sessions_;
  if (slab_->size_bytes() < 2 * limit_bytes_ || queue_slab(SlabQueue::Room::kReserve)) {
    session.recorded = true;
    append_past_limit(session.id, time, EventKind::kOpened, payload);
    return;
  }
  session.shed = true;
  session.gap.from = session.gap.to = time;
  ++sessions_shed_;
  shed_.insert(&session);
}

void Lane::close(LaneSession& session, TimeNs time, ByteView payload) {
  const std::lock_guard guard(mutex_);
  shed_.erase(&session);
  if (ended_) return;
  if (!session.recorded) {
    session.gap.to = time;
    count_as_lost(session);
    return;
  }
  if (session.gap.events != 0) append_gap(session);
  append_past_limit(session.id, time, EventKind::kClosed, payload);
}

void Lane::mark(TimeNs time, ByteView text) {
  const std::lock_guard guard(mutex_);
  if (!ended_) append_past_limit(SessionId{}, time, EventKind::kMark, text);
}

void Lane::forget(LaneSession& session) {
  const std::lock_guard guard(mutex_);
  shed_.erase(&session);
}

bool Lane::queue_slab(SlabQueue::Room room) {
  if (!queue_.exchange(slab_, room)) return false;
  ++slab_number_;
  return true;
}

bool Lane::make_room(LaneSession& session) {
  if (ended_) return false;
  if (slab_->empty()) return true;  // an event larger than a slab has one to itself
  const bool fills_slabs = session.slab_bytes > limit_bytes_ / 2;
  return queue_slab(fills_slabs ? SlabQueue::Room::kCommon : SlabQueue::Room::kReserve);
}

// Counts an event that is not recorded; the first makes the session a shed one.
void Lane::miss(LaneSession& session, TimeNs time, EventKind kind, std::size_t data_bytes) {
  if (ended_) return;
  const bool first = !session.shed;
  if (first) {
    session.shed = true;
    session.gap.from = time;
    ++sessions_shed_;
    shed_.insert(&session);
  }
  session.gap.to = time;
  ++session.gap.events;
  if (kind == EventKind::kClientBytes) session.gap.client_bytes += data_bytes;
  if (kind == EventKind::kServerBytes) session.gap.server_bytes += data_bytes;
  ++events_shed_;
  bytes_shed_ += data_bytes;
  if (first) append_gap(session);
}

void Lane::append_past_limit(SessionId session, TimeNs time, EventKind kind, ByteView data) {
  if (slab_->size_bytes() + data.size() + sizeof(Slab::Head) > limit_bytes_ && !slab_->empty()) {
    (void)queue_slab(SlabQueue::Room::kReserve);
  }
  slab_->append(session, time, kind, data);
}

void Lane::append_gap(LaneSession& session) {
  scratch_.clear();
  encode(session.gap, scratch_);
  append_past_limit(session.id, session.gap.to, EventKind::kGap, scratch_);
  session.gap = Gap{.reason = GapReason::kOverload, .from = session.gap.to, .to = session.gap.to};
}

void Lane::count_as_lost(LaneSession& session) {
  loss_.from = loss_.sessions == 0 ? session.gap.from : std::min(loss_.from, session.gap.from);
  loss_.to = std::max(loss_.to, session.gap.to);
  ++loss_.sessions;
  loss_.events += session.gap.events;
  loss_.bytes += session.gap.client_bytes + session.gap.server_bytes;
}

void Lane::hand_over() {
  const std::lock_guard guard(mutex_);
  if (!ended_ && !slab_->empty()) (void)queue_slab(SlabQueue::Room::kReserve);
}

LossRecord Lane::take_loss() {
  const std::lock_guard guard(mutex_);
  LossRecord loss = std::exchange(loss_, LossRecord{});
  loss.reason = GapReason::kOverload;
  loss.detail = "sessions that began while the recorder's queue was full";
  return loss;
}

void Lane::end() {
  const std::lock_guard guard(mutex_);
  if (ended_) return;
  for (LaneSession* session : shed_) {
    if (!session->recorded) {
      count_as_lost(*session);
    } else if (session->gap.events != 0) {
      append_gap(*session);
    }
  }
  shed_.clear();
  ended_ = true;
  if (!slab_->empty()) (void)queue_slab(SlabQueue::Room::kBeyond);
  slab_ = std::make_unique<Slab>(0);  // sessions may hold the lane for long
  limit_bytes_ = 0;
}

void Lane::add_to(Statistics& statistics) const {
  const std::lock_guard guard(mutex_);
  statistics.sessions += sessions_;
  statistics.sessions_shed += sessions_shed_;
  statistics.passwords_hidden += passwords_hidden_;
  statistics.events_shed += events_shed_;
  statistics.bytes_shed += bytes_shed_;
}

}  // namespace understudy::recorder
