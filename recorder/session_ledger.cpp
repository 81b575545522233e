#include "recorder/session_ledger.h"

#include <algorithm>
#include <utility>

namespace understudy::recorder {
namespace {

template <typename Visit>
void for_each_event(const Slab& slab, Visit visit) {
  std::size_t offset = 0;
  for (const Slab::Head& head : slab.heads()) {
    visit(head, slab.data().subspan(offset, head.length_bytes));
    offset += head.length_bytes;
  }
}

SessionDescriptor descriptor_of(SessionId id, ByteView data) {
  SessionDescriptor descriptor;
  if (!decode(data, descriptor)) descriptor = {};  // ours: it always decodes
  descriptor.id = id;
  return descriptor;
}

void merge(LossRecord& into, const LossRecord& loss) {
  into.from = std::min(into.from, loss.from);
  into.to = std::max(into.to, loss.to);
  into.sessions += loss.sessions;
  into.events += loss.events;
  into.bytes += loss.bytes;
}

// What a session misses without this event; a gap stands for what it says is missing, too.
void add(Gap& gap, EventKind kind, ByteView data) {
  ++gap.events;
  Gap nested;
  if (kind == EventKind::kClientBytes) {
    gap.client_bytes += data.size();
  } else if (kind == EventKind::kServerBytes) {
    gap.server_bytes += data.size();
  } else if (kind == EventKind::kGap && decode(data, nested)) {
    gap.client_bytes += nested.client_bytes;
    gap.server_bytes += nested.server_bytes;
    gap.events += nested.events;
  }
}

}  // namespace

void SessionLedger::written(const Slab& slab) {
  for_each_event(slab, [this](const Slab::Head& head, ByteView data) {
    add(in_segment_[head.session], head.kind, data);
    if (head.kind == EventKind::kOpened)
      open_.insert_or_assign(head.session, descriptor_of(head.session, data));
    if (head.kind == EventKind::kClosed) open_.erase(head.session);
  });
}

SessionLedger::Hole& SessionLedger::hole(SessionId session, TimeNs time) {
  const auto [at, fresh] = holes_.try_emplace(session);
  Gap& gap = at->second.gap;
  if (fresh) {
    gap.reason = GapReason::kDiskError;
    gap.from = time;
    ++loss_->sessions;
  }
  gap.to = time;
  return at->second;
}

void SessionLedger::lost(const Slab& slab, const std::string& why) {
  if (slab.empty()) return;
  if (!loss_) {
    loss_ = LossRecord{.from = slab.heads().front().time, .to = slab.heads().front().time, .detail = why};
  }
  for_each_event(slab, [this](const Slab::Head& head, ByteView data) { lose(head, data); });
}

void SessionLedger::lose(const Slab::Head& head, ByteView data) {
  loss_->to = std::max(loss_->to, head.time);
  ++loss_->events;
  loss_->bytes += data.size();
  if (head.session == SessionId{}) return;  // a mark

  Hole& missing = hole(head.session, head.time);
  add(missing.gap, head.kind, data);
  switch (head.kind) {
    case EventKind::kOpened:
      missing.opening_lost = true;
      open_.insert_or_assign(head.session, descriptor_of(head.session, data));
      break;
    case EventKind::kClosed:
      if (missing.opening_lost) {  // begun and ended unseen: the loss record alone tells of it
        open_.erase(head.session);
        holes_.erase(head.session);
      } else {  // told later, so not lost
        --missing.gap.events;
        --loss_->events;
        loss_->bytes -= data.size();
        missing.closed_at = head.time;
        missing.closing.assign(data.begin(), data.end());
      }
      break;
    default:
      break;
  }
}

void SessionLedger::lost_segment(const LossRecord& loss) {
  const std::uint64_t sessions_before = loss_ ? loss_->sessions : 0;
  if (!loss_) {
    loss_ = loss;
  } else {
    merge(*loss_, loss);
  }
  for (const auto& [id, descriptor] : open_) {
    hole(id, std::max(loss.from, descriptor.opened_at));
    Gap& gap = hole(id, loss.to).gap;
    const auto held = in_segment_.find(id);
    if (held == in_segment_.end()) continue;
    gap.client_bytes += held->second.client_bytes;
    gap.server_bytes += held->second.server_bytes;
    gap.events += held->second.events;
  }
  in_segment_.clear();
  loss_->sessions = sessions_before + std::max<std::uint64_t>(loss.sessions, open_.size());
}

std::vector<SessionDescriptor> SessionLedger::open() const {
  std::vector<SessionDescriptor> descriptors;
  descriptors.reserve(open_.size());
  for (const auto& [id, descriptor] : open_) descriptors.push_back(descriptor);
  return descriptors;
}

void SessionLedger::tell_holes(Slab& out) const {
  // A chunk's events are in time order; those of a hole end at its last event.
  std::vector<std::pair<TimeNs, SessionId>> order;
  for (const auto& [id, hole] : holes_) order.emplace_back(hole.gap.to, id);
  std::sort(order.begin(), order.end());
  ByteBuffer payload;
  for (const auto& [time, id] : order) {
    const Hole& hole = holes_.at(id);
    payload.clear();
    encode(hole.gap, payload);
    out.append(id, time, EventKind::kGap, payload);
    if (hole.closed_at) out.append(id, *hole.closed_at, EventKind::kClosed, hole.closing);
  }
}

void SessionLedger::told_holes() {
  for (const auto& [id, hole] : holes_) {
    if (hole.closed_at) open_.erase(id);
  }
  holes_.clear();
}

}  // namespace understudy::recorder
