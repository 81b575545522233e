// The sessions of a recording in order of opening: for_each_session.
#include <algorithm>
#include <map>
#include <tuple>

#include "formats/transcript/recording.h"

namespace understudy {
namespace {

// Walks the chunks by time. An opening is visited once no chunk left can hold an earlier one, so that only
// those of chunks that overlap are held.
class SessionList {
 public:
  SessionList(const Recording& recording, const std::function<void(const SessionSummary&)>& visit)
      : recording_(recording), visit_(visit) {}

  std::vector<SessionId> run() {
    // Not all of them were open before the recording: of some the opening is gone with a segment.
    for (const SessionDescriptor& session : recording_.continuing())
      pending_.emplace(Order{session.opened_at, {}, session.id}, SessionSummary{session, {}});
    for (const Recording::ChunkTimes& chunk : recording_.chunks_by_time()) {
      visit_before(chunk.first_time);
      if (chunk.opens) add_openings(chunk.position);
    }
    visit_before(INT64_MAX);
    return std::move(lost_);
  }

 private:
  using Order = std::tuple<TimeNs, ChunkPosition, SessionId>;

  void visit_before(TimeNs time) {
    while (!pending_.empty() && (time == INT64_MAX || std::get<TimeNs>(pending_.begin()->first) < time)) {
      visit_(pending_.begin()->second);
      pending_.erase(pending_.begin());
    }
  }

  void add_openings(ChunkPosition position) {
    const std::shared_ptr<const Chunk> chunk = recording_.load(position);
    const std::shared_ptr<const ChunkHead> head = recording_.head(position);
    for (const ChunkHead::Session& session : head->sessions) {
      if (!session.opens) continue;
      SessionSummary summary{{}, position};
      TimeNs time = 0;
      if ((chunk && find_opening(*chunk, session.id, summary.descriptor, time)) ||
          find_continued(session.id, position.segment, summary.descriptor, time)) {
        summary.descriptor.id = session.id;
        pending_.emplace(Order{time, position, session.id}, std::move(summary));
      } else {
        lost_.push_back(session.id);
      }
    }
  }

  static bool find_opening(const Chunk& chunk, SessionId session, SessionDescriptor& out, TimeNs& time) {
    for (const std::uint32_t index : chunk.events_of(session)) {
      const Event event = chunk.event(index);
      if (event.kind != EventKind::kOpened) continue;
      time = event.time;
      return decode(event.data, out);
    }
    return false;
  }

  // The chunk is damaged: the session may have lived on into the next segment, which then repeats its
  // descriptor.
  bool find_continued(SessionId session, std::size_t segment, SessionDescriptor& out, TimeNs& time) const {
    const std::size_t end = std::min(segment + 2, recording_.segment_count());
    for (std::size_t i = segment; i < end; ++i) {
      for (const SessionDescriptor& continued : recording_.segment(i)->continuing()) {
        if (continued.id != session) continue;
        out = continued;
        time = continued.opened_at;
        return true;
      }
    }
    return false;
  }

  const Recording& recording_;
  const std::function<void(const SessionSummary&)>& visit_;
  std::map<Order, SessionSummary> pending_;
  std::vector<SessionId> lost_;
};

}  // namespace

std::vector<SessionId> for_each_session(const Recording& recording,
                                        const std::function<void(const SessionSummary&)>& visit) {
  return SessionList(recording, visit).run();
}

}  // namespace understudy
