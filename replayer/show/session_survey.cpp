#include "replayer/show/session_survey.h"

#include <algorithm>
#include <limits>

namespace understudy::replayer {

SessionSurvey::SessionSurvey(const Recording& recording, SessionFilter filter, Visit visit)
    : recording_(recording), filter_(std::move(filter)), visit_(std::move(visit)) {
  for (const SessionDescriptor& session : recording.continuing()) continuing_.insert(session.id);
}

std::vector<SessionId> SessionSurvey::run() {
  std::vector<SessionId> lost;
  try {
    lost = for_each_session(recording_, [this](const SessionSummary& summary) { admit(summary); });
    read_before(std::numeric_limits<TimeNs>::max());
    for (Held& held : held_) held.over = true;
    visit_in_order();
  } catch (const Stopped&) {
    lost.clear();
  }
  return lost;
}

// Sessions come by opening: chunks that end before this one opened hold none that is not known by now.
void SessionSurvey::admit(const SessionSummary& summary) {
  read_before(summary.descriptor.opened_at);
  visit_in_order();
  if (held_.empty() && summary.descriptor.opened_at >= filter_.until) throw Stopped{};
  if (!filter_.matches(summary.descriptor)) return;
  const bool joined = !summary.descriptor.attribute(kJoinedAttribute).empty();
  held_.push_back({{summary.descriptor, joined || continuing_.contains(summary.descriptor.id), {}}});
  open_[summary.descriptor.id] = std::prev(held_.end());
}

void SessionSurvey::read_before(TimeNs time) {
  const auto& chunks = recording_.chunks_by_time();
  const bool all = time == std::numeric_limits<TimeNs>::max();
  while (next_chunk_ < chunks.size() && (all || chunks[next_chunk_].last_time < time))
    read_chunk(chunks[next_chunk_++].position);
}

void SessionSurvey::read_chunk(ChunkPosition position) {
  if (recording_.hole_between(segment_, position.segment)) {
    for (const auto& [id, held] : open_) {
      if (held->session.tally.events() > 0) held->session.tally.lose();
    }
  }
  segment_ = std::max(segment_, position.segment);
  const std::shared_ptr<const ChunkHead> head = recording_.head(position);
  std::shared_ptr<const Chunk> chunk;
  for (const ChunkHead::Session& session : head->sessions) {
    const auto open = open_.find(session.id);
    if (open == open_.end()) continue;
    if (!chunk) chunk = recording_.load(position);
    SessionTally& tally = open->second->session.tally;
    if (!chunk) {
      tally.lose();
    } else {
      for (const std::uint32_t index : chunk->events_of(session.id)) tally.take(chunk->event(index));
    }
    if (session.closes) end(session.id);
  }
}

void SessionSurvey::end(SessionId session) {
  const auto open = open_.find(session);
  open->second->over = true;
  open_.erase(open);
}

void SessionSurvey::visit_in_order() {
  while (!held_.empty() && held_.front().over) visit_one(held_.begin());
  if (held_.size() <= most_held_) return;
  for (auto held = held_.begin(); held != held_.end();) {
    const auto next = std::next(held);
    if (held->over) visit_one(held);
    held = next;
  }
  most_held_ = held_.size() + kMostHeld;
}

void SessionSurvey::visit_one(std::list<Held>::iterator held) {
  const SurveyedSession& session = held->session;
  const bool wanted = session.tally.last_time() >= filter_.from || session.tally.events() == 0;
  if (wanted && !visit_(session)) throw Stopped{};
  held_.erase(held);
}

}  // namespace understudy::replayer
