#include "replayer/left_out.h"

#include <unordered_map>

#include "replayer/show/session_tally.h"

namespace understudy::replayer {
namespace {

// A session's tally, and as it was at its first hole.
struct Followed {
  SessionTally tally;
  LeftOut before;
  std::uint32_t segment = 0;  // of what came last

  void note_hole(bool hole_before) {
    if (hole_before || !tally.has_hole()) return;
    before = {tally.requests(), tally.bytes(Direction::kFromClient)};
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
    const bool hole_before = session.tally.has_hole();
    session.tally.take(chunk->event(index));
    session.note_hole(hole_before);
  }
}

}  // namespace

LeftOut behind_holes(const Recording& recording, const SessionSet& sessions) {
  std::unordered_map<SessionId, Followed> followed;
  for (const Recording::ChunkTimes& at : recording.chunks_by_time()) {
    const std::shared_ptr<const ChunkHead> head = recording.head(at.position);
    std::shared_ptr<const Chunk> chunk;
    bool loaded = false;
    for (const ChunkHead::Session& session : head->sessions) {
      if (!sessions.contains(session.id)) continue;
      if (!loaded) chunk = recording.load(at.position);
      loaded = true;
      const auto [at_hand, first] = followed.try_emplace(session.id);
      const bool after_hole = !first && recording.hole_between(at_hand->second.segment, at.position.segment);
      at_hand->second.segment = at.position.segment;
      follow(at_hand->second, chunk.get(), session.id, after_hole);
    }
  }
  LeftOut sum;
  for (const auto& [id, session] : followed) {
    if (!session.tally.has_hole()) continue;
    sum.requests += session.tally.requests() - session.before.requests;
    sum.bytes += session.tally.bytes(Direction::kFromClient) - session.before.bytes;
  }
  return sum;
}

}  // namespace understudy::replayer
