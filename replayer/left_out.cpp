#include "replayer/left_out.h"

#include <unordered_map>

#include "replayer/show/session_tally.h"

namespace understudy::replayer {
namespace {

// A session's tally, and as it was at its first hole.
struct Followed {
  SessionTally tally;
  LeftOut before;

  void note_hole(bool hole_before) {
    if (hole_before || !tally.has_hole()) return;
    before = {tally.requests(), tally.bytes(Direction::kFromClient)};
  }
};

void follow(Followed& session, const Chunk* chunk, SessionId id) {
  if (chunk == nullptr) {
    const bool hole_before = session.tally.has_hole();
    session.tally.lose();
    return session.note_hole(hole_before);
  }
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
      follow(followed[session.id], chunk.get(), session.id);
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
