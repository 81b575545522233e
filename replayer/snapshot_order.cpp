#include "replayer/snapshot_order.h"

#include <algorithm>

#include "replayer/step.h"

namespace understudy::replayer {
namespace {

// Of a session that sends more before it is answered, these must do.
constexpr std::size_t kMaxRequests = 64;

bool sees_anything(const Footprint& footprint) {
  if (footprint.anything || !footprint.reads.empty()) return true;
  return !std::all_of(footprint.writes.begin(), footprint.writes.end(),
                      [](const Access& written) { return written.adds; });
}

bool brings_about_anything(const Footprint& footprint) {
  return footprint.ends_transaction && (footprint.anything || !footprint.writes.empty());
}

}  // namespace

TimeNs Unanswered::Request::recorded_at() const {
  return step != nullptr ? step->time : beginning->recorded_at;
}

const Footprint& Unanswered::Request::footprint() const {
  return step != nullptr ? step->footprint : beginning->footprint;
}

const std::shared_ptr<Beginning>& Unanswered::Request::begin(SessionId session) {
  if (!beginning) {
    beginning = std::make_shared<Beginning>();
    beginning->session = session;
    beginning->recorded_at = step->time;
    step->beginning = beginning;
  }
  return beginning;
}

void SnapshotOrder::read(Unanswered& session, Step& request) {
  if (brings_about_anything(request.footprint)) request.begun_before = before(session, request);
  if (!sees_anything(request.footprint) || session.requests_.size() == kMaxRequests) return;
  if (session.requests_.empty()) {
    session.place_ = sessions_.size();
    sessions_.push_back(&session);
  }
  session.requests_.push_back({&request, nullptr});
}

// Those that were sent before it and overlapped it.
Beginnings SnapshotOrder::before(const Unanswered& session, const Step& request) {
  Beginnings found;
  for (Unanswered* const other : sessions_) {
    if (other == &session) continue;
    for (auto& asked : other->requests_) {
      // A session that was read ahead may have asked later.
      if (asked.recorded_at() > request.time) continue;
      if (!snapshot_in_conflict(asked.footprint(), request.footprint)) continue;
      found.push_back(asked.begin(other->session_));
      if (asked.step == nullptr || !sees_change_by(asked.footprint(), request.footprint)) continue;
      if (request.time < asked.step->begins_before.time)
        asked.step->begins_before = {.replies = request.sent_after, .time = request.time};
    }
  }
  return found;
}

void SnapshotOrder::sent(Unanswered& session, Step& request, TimeNs sent_at) {
  for (auto& asked : session.requests_) {
    if (asked.step != &request) continue;
    asked.begin(session.session_)->footprint = std::move(request.footprint);
    asked.step = nullptr;
  }
  if (request.beginning) request.beginning->sent_at = sent_at;
}

void SnapshotOrder::answered(Unanswered& session, std::uint64_t number) {
  if (session.requests_.empty()) return;
  for (const auto& asked : session.requests_) {
    if (asked.beginning) asked.beginning->answered_as = number;
  }
  session.requests_.clear();
  sessions_.back()->place_ = session.place_;
  std::swap(sessions_[session.place_], sessions_.back());
  sessions_.pop_back();
}

}  // namespace understudy::replayer
