#include "replayer/show/recording_statistics.h"

#include "replayer/progress.h"

namespace understudy::replayer {
namespace {

// Collects, chunk by chunk.
class Collector {
 public:
  explicit Collector(RecordingStatistics& statistics) : statistics_(statistics) {}

  void add(const ChunkHead& head, const Chunk* chunk) {
    if (chunk == nullptr) ++statistics_.chunks_damaged;
    for (const ChunkHead::Session& session : head.sessions) {
      if (!session.id.of_marks()) statistics_.sessions.insert(session.id);
      SessionTally& tally = open_[session.id];
      if (chunk == nullptr) {
        tally.lose();
      } else {
        add(*chunk, session.id, tally);
      }
      if (session.closes) end(session.id);
    }
  }

  void finish() {
    while (!open_.empty()) end(open_.begin()->first);
  }

 private:
  void add(const Chunk& chunk, SessionId session, SessionTally& tally) {
    for (const std::uint32_t index : chunk.events_of(session)) {
      const Event event = chunk.event(index);
      ++statistics_.events;
      ++statistics_.events_by_kind[static_cast<std::size_t>(event.kind)];
      tally.take(event, &statistics_.messages);
      Gap gap;
      if (event.kind == EventKind::kGap && decode(event.data, gap)) add(session, gap);
    }
  }

  void add(SessionId session, const Gap& gap) {
    RecordingStatistics::Missing& missing = statistics_.missing[gap.reason];
    ++missing.gaps;
    missing.gap_sessions.insert(session);
    missing.gap_events += gap.events;
    missing.gap_bytes += gap.client_bytes + gap.server_bytes;
  }

  void end(SessionId session) {
    const auto open = open_.find(session);
    const SessionTally& tally = open->second;
    statistics_.sessions_closed +=
        tally.closed() && tally.close_detail().reason != CloseReason::kRecordingEnded ? 1 : 0;
    statistics_.client_bytes += tally.bytes(Direction::kFromClient);
    statistics_.server_bytes += tally.bytes(Direction::kFromServer);
    statistics_.requests += tally.requests();
    statistics_.errors += tally.errors();
    statistics_.bytes_not_read += tally.bytes_not_read();
    open_.erase(open);
  }

  RecordingStatistics& statistics_;
  std::unordered_map<SessionId, SessionTally> open_;
};

void add_segments(RecordingStatistics& statistics, const Recording& recording) {
  std::uint32_t run = 0;
  statistics.segments = recording.segment_count();
  for (std::size_t i = 0; i < recording.segment_count(); ++i) {
    const std::shared_ptr<const SegmentReader> segment = recording.segment(i);
    statistics.file_bytes += segment->size_bytes();
    statistics.segments_unclean += segment->clean() ? 0 : 1;
    statistics.chunks += segment->chunk_count();
    if (statistics.runs == 0 || segment->header().run != run) ++statistics.runs;
    run = segment->header().run;
  }
}

void add_losses(RecordingStatistics& statistics, const Recording& recording) {
  for (const LossRecord& loss : recording.losses()) {
    RecordingStatistics::Missing& missing = statistics.missing[loss.reason];
    ++missing.losses;
    missing.loss_sessions += loss.sessions;
    missing.loss_events += loss.events;
    missing.loss_bytes += loss.bytes;
  }
}

}  // namespace

double RecordingStatistics::compression_ratio() const {
  return file_bytes == 0 ? 0
                         : static_cast<double>(client_bytes + server_bytes) / static_cast<double>(file_bytes);
}

RecordingStatistics collect_statistics(const Recording& recording) {
  RecordingStatistics statistics;
  add_segments(statistics, recording);
  add_losses(statistics, recording);
  std::tie(statistics.first_time, statistics.last_time) = recording.time_range();
  for (const SessionDescriptor& session : recording.continuing()) statistics.sessions.insert(session.id);
  statistics.sessions_continuing = recording.continuing().size();
  Collector collector(statistics);
  Progress progress;
  std::uint64_t done = 0;
  for (const Recording::ChunkTimes& chunk : recording.chunks_by_time()) {
    collector.add(*recording.head(chunk.position), recording.load(chunk.position).get());
    progress.at(++done, statistics.chunks);
  }
  collector.finish();
  return statistics;
}

}  // namespace understudy::replayer
