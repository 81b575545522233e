// A recording as its users see it: a directory of segments or a single file, read in time order, or by
// session from any point, with memory bounded by a cache of decoded chunks however long the recording is.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/segment_reader.h"

namespace understudy {

// Where a chunk is: segment index within the recording, chunk index within the segment. Ordered as appended.
struct ChunkPosition {
  std::uint32_t segment = 0;
  std::uint32_t chunk = 0;
  auto operator<=>(const ChunkPosition&) const = default;
};

class Recording {
 public:
  // Opens a directory (every segment in it, by run and segment number; other files are passed over) or one
  // file. Throws RecordingError: nothing there, no segment in it, or a segment that cannot be used.
  // `cache_bytes` bounds the decoded chunks kept. `keys` open what is encrypted; without, that is refused.
  explicit Recording(const std::filesystem::path& path, std::size_t cache_bytes = kDefaultCacheBytes,
                     std::shared_ptr<const Keyring> keys = nullptr);
  Recording(const std::filesystem::path& path, std::shared_ptr<const Keyring> keys)
      : Recording(path, kDefaultCacheBytes, std::move(keys)) {}
  ~Recording();

  [[nodiscard]] const std::string& path() const { return path_; }
  // The id of the first run in the recording.
  [[nodiscard]] const std::string& id() const;
  [[nodiscard]] std::size_t segment_count() const;
  // Segments that were not closed: their writer was killed, or has not ended yet.
  [[nodiscard]] std::size_t unclosed() const;
  // The segment's reader, opened when first needed; a bounded number stay open. Safe from several threads.
  [[nodiscard]] std::shared_ptr<const SegmentReader> segment(std::size_t index) const;

  // First and last event time over all chunks; {0, 0} when there is none.
  [[nodiscard]] std::pair<TimeNs, TimeNs> time_range() const;

  // The decoded chunk, from the cache or from disk; null when damaged (counted once in damage()).
  // Safe from several threads.
  [[nodiscard]] std::shared_ptr<const Chunk> load(ChunkPosition position) const;
  [[nodiscard]] std::shared_ptr<const ChunkHead> head(ChunkPosition position) const;
  // The first position at or after `from`; none at the end.
  [[nodiscard]] std::optional<ChunkPosition> first_chunk() const;
  [[nodiscard]] std::optional<ChunkPosition> next_chunk(ChunkPosition after) const;
  // The first chunk at or after `from` that holds events of `session`; none when there is no other.
  [[nodiscard]] std::optional<ChunkPosition> find_chunk(SessionId session, ChunkPosition from) const;
  // Every chunk by the time of its first event (ties: as appended): the order in which a merge needs them. 32
  // bytes a chunk, the only thing kept that grows with the recording.
  struct ChunkTimes {
    TimeNs first_time;
    TimeNs last_time;
    ChunkPosition position;
    bool opens = false;  // sessions open in it
  };
  [[nodiscard]] const std::vector<ChunkTimes>& chunks_by_time() const;

  // Sessions that were open before the recording starts, or whose opening is gone with a segment: a segment
  // continues them, no chunk opens them. By opening.
  [[nodiscard]] const std::vector<SessionDescriptor>& continuing() const;

  // Segments that stood between these two are missing: a session that is in both has a hole there.
  [[nodiscard]] bool hole_between(std::uint32_t before, std::uint32_t after) const;

  // What was passed over so far: damage at opening and in chunks loaded since.
  [[nodiscard]] std::vector<Damage> damage() const;
  [[nodiscard]] std::vector<LossRecord> losses() const;

  static constexpr std::size_t kDefaultCacheBytes = std::size_t{64} << 20;

 private:
  struct State;
  std::string path_;
  std::unique_ptr<State> state_;
};

// All events of a recording in time order (ties: as appended), merging the chunks of several workers. Holds
// only chunks that overlap in time.
class EventStream {
 public:
  // Starts at the first event not before `from`.
  explicit EventStream(const Recording& recording, TimeNs from = 0);
  ~EventStream();
  // The next event, valid until the next call; none at the end. Damaged chunks are passed over
  // (Recording::damage).
  [[nodiscard]] std::optional<Event> next();
  // Those, so far: every session in their heads has a hole before its next event.
  [[nodiscard]] const std::vector<ChunkPosition>& damaged() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The events of one session in order. Holds at most one decoded chunk (two while passing from one to the
// next), and none after release().
class SessionCursor {
 public:
  // Events from `from` on; pass the chunk in which the session opens, or {} to search from the start.
  SessionCursor(const Recording& recording, SessionId session, ChunkPosition from = {});
  // The next event without consuming it; its data is valid until the next call of next() or release().
  [[nodiscard]] std::optional<Event> peek();
  [[nodiscard]] std::optional<Event> next();
  // A time not after the next event's, known without decoding anything; none at the end.
  [[nodiscard]] std::optional<TimeNs> next_time_lower_bound();
  // Damaged chunks of this session, and missing segments, passed over so far: its events have holes there.
  // Nothing stands in for them.
  [[nodiscard]] std::uint64_t holes() const { return holes_; }
  // What the last of them is.
  [[nodiscard]] const char* hole() const { return hole_; }
  // Lets go of the decoded chunk (the cursor keeps its place), so that idle sessions pin no memory.
  void release() {
    chunk_.reset();
    consumed_.reset();
  }

 private:
  bool load();
  void leave_chunk();
  void note_hole(const char* what) {
    ++holes_;
    hole_ = what;
  }

  const Recording* recording_;
  SessionId session_;
  std::optional<ChunkPosition> position_;  // none at the end
  std::size_t index_ = 0;                  // among the session's events in the chunk
  std::uint64_t holes_ = 0;
  const char* hole_ = "";
  bool after_hole_ = false;    // position_ is
  TimeNs passed_ = INT64_MIN;  // time of the last event consumed
  std::shared_ptr<const Chunk> chunk_;
  std::shared_ptr<const Chunk> consumed_;  // the chunk before, while the event given out last is its last one
};

// Sessions of a recording as a list: found by scanning chunk heads and decoding only those in which sessions
// open or close. Calls `visit` in order of opening, whether the opening itself is on record or not
// (Recording::continuing).
struct SessionSummary {
  SessionDescriptor descriptor;
  ChunkPosition opened_in;  // of one whose opening is not on record: where its events may begin
};
// Returns the sessions whose opening is lost (in a damaged chunk, and not repeated later): they are not
// visited.
std::vector<SessionId> for_each_session(const Recording& recording,
                                        const std::function<void(const SessionSummary&)>& visit);

}  // namespace understudy
