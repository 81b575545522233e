// Reading one session of a recording.
#include <algorithm>
#include <utility>

#include "formats/transcript/recording.h"

namespace understudy {
namespace {

const ChunkHead::Session* find_session(const ChunkHead& head, SessionId id) {
  const auto found = std::lower_bound(head.sessions.begin(), head.sessions.end(), id,
                                      [](const auto& entry, SessionId wanted) { return entry.id < wanted; });
  return found != head.sessions.end() && found->id == id ? &*found : nullptr;
}

}  // namespace

SessionCursor::SessionCursor(const Recording& recording, SessionId session, ChunkPosition from)
    : recording_(&recording), session_(session), position_(recording.find_chunk(session, from)) {}

// Moves on from a chunk whose events are all consumed, or that is damaged. The event given out last stays
// valid.
void SessionCursor::leave_chunk() {
  const std::shared_ptr<const ChunkHead> head = recording_->head(*position_);
  const ChunkHead::Session* session = find_session(*head, session_);
  if (chunk_) consumed_ = std::move(chunk_);
  chunk_.reset();
  index_ = 0;
  // Nothing of a session follows its closing: no need to search the rest of the recording.
  const bool over = session != nullptr && session->closes;
  const ChunkPosition left = *position_;
  position_ = over ? std::nullopt : recording_->find_chunk(session_, {left.segment, left.chunk + 1});
  after_hole_ = position_ && recording_->hole_between(left.segment, position_->segment);
}

// Makes chunk_ and index_ point at the next event; false at the end.
bool SessionCursor::load() {
  while (position_) {
    if (std::exchange(after_hole_, false)) note_hole("a missing segment");
    if (!chunk_) chunk_ = recording_->load(*position_);
    if (chunk_ && index_ < chunk_->events_of(session_).size()) return true;
    if (!chunk_) note_hole("a damaged chunk");
    leave_chunk();
  }
  return false;
}

std::optional<Event> SessionCursor::peek() {
  if (!load()) return std::nullopt;
  return chunk_->event(chunk_->events_of(session_)[index_]);
}

std::optional<Event> SessionCursor::next() {
  consumed_.reset();
  const std::optional<Event> event = peek();
  if (!event) return event;
  passed_ = std::max(passed_, event->time);
  if (++index_ == chunk_->events_of(session_).size()) leave_chunk();
  return event;
}

std::optional<TimeNs> SessionCursor::next_time_lower_bound() {
  if (!position_) return std::nullopt;
  if (chunk_) return chunk_->time(chunk_->events_of(session_)[index_]);
  return std::max(passed_, recording_->head(*position_)->first_time);
}

}  // namespace understudy
