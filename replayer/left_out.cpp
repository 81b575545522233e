#include "replayer/left_out.h"

#include <unordered_map>

#include "replayer/idle_moment.h"
#include "replayer/show/session_tally.h"

namespace understudy::replayer {
namespace {

// A session's tally, and as it was at its first hole, and where it was taken up.
struct Followed {
  SessionTally tally;
  FirstIdleMoment first;
  bool begun = false;
  LeftOut at_beginning;
  LeftOut at_hole;
  std::uint32_t segment = 0;  // of what came last

  [[nodiscard]] LeftOut so_far() const { return {tally.requests(), tally.bytes(Direction::kFromClient)}; }
  void note_hole(bool hole_before) {
    if (!hole_before && tally.has_hole()) at_hole = so_far();
  }
  void note_beginning(const Event& event) {
    if (begun || tally.has_hole()) return;
    begun = first.take(event);
    if (begun) at_beginning = so_far();
  }
  [[nodiscard]] LeftOut before() const {
    if (begun) return at_beginning;
    return tally.has_hole() ? at_hole : so_far();
  }
};

void follow(Followed& session, const Chunk* chunk, SessionId id, bool after_hole) {
  if (chunk == nullptr || after_hole) {
    const bool hole_before = session.tally.has_hole();
    session.tally.lose();
    session.note_hole(hole_before);
  }
  if (chunk == nullptr) return;
  for (const std::uint32_t index : chunk->events_of(id)) {
    const Event event = chunk->event(index);
    session.note_beginning(event);
    const bool hole_before = session.tally.has_hole();
    session.tally.take(event);
    session.note_hole(hole_before);
  }
}

}  // namespace

LeftOutParts left_out_of(const Recording& recording, const SessionSet& cut, const SessionSet& continuing) {
  std::unordered_map<SessionId, Followed> followed;
  for (const Recording::ChunkTimes& at : recording.chunks_by_time()) {
    const std::shared_ptr<const ChunkHead> head = recording.head(at.position);
    std::shared_ptr<const Chunk> chunk;
    bool loaded = false;
    for (const ChunkHead::Session& session : head->sessions) {
      if (!cut.contains(session.id) && !continuing.contains(session.id)) continue;
      if (!loaded) chunk = recording.load(at.position);
      loaded = true;
      const auto [at_hand, first] = followed.try_emplace(session.id);
      const bool after_hole = !first && recording.hole_between(at_hand->second.segment, at.position.segment);
      at_hand->second.segment = at.position.segment;
      follow(at_hand->second, chunk.get(), session.id, after_hole);
    }
  }
  LeftOutParts parts;
  for (const auto& [id, session] : followed) {
    if (session.tally.has_hole() && cut.contains(id)) {
      parts.behind_holes.requests += session.tally.requests() - session.at_hole.requests;
      parts.behind_holes.bytes += session.tally.bytes(Direction::kFromClient) - session.at_hole.bytes;
    }
    const LeftOut before = session.before();
    if (!continuing.contains(id) || before.bytes == 0) continue;
    ++parts.begun_late;
    parts.before_beginnings.requests += before.requests;
    parts.before_beginnings.bytes += before.bytes;
  }
  return parts;
}

}  // namespace understudy::replayer
