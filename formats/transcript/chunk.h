// A chunk: the events of one slab, grouped and compressed. See formats/README.md, "Chunks".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/event.h"
#include "formats/transcript/slab.h"

namespace understudy {

// What a chunk's fixed head says, without reading its body.
struct ChunkHead {
  TimeNs first_time = 0;
  TimeNs last_time = 0;
  std::uint32_t event_count = 0;
  std::uint32_t raw_bytes = 0;     // decompressed body
  std::uint32_t stored_bytes = 0;  // the zstd frame that follows the head
  std::uint32_t body_crc32c = 0;   // of the stored zstd frame
  // Sorted. `opens` says the session's kOpened event is in this chunk, `closes` its kClosed.
  struct Session {
    SessionId id;
    bool opens = false;
    bool closes = false;
    bool operator==(const Session&) const = default;
  };
  std::vector<Session> sessions;
  bool operator==(const ChunkHead&) const = default;
};

// Compresses slabs. Keeps a zstd context and scratch buffers between calls; one thread at a time.
class ChunkEncoder {
 public:
  explicit ChunkEncoder(int zstd_level = 1);
  ~ChunkEncoder();
  ChunkEncoder(const ChunkEncoder&) = delete;
  ChunkEncoder& operator=(const ChunkEncoder&) = delete;

  // Appends the chunk's two records (head as a skippable frame, body as one zstd frame) to `out` and returns
  // the head. The slab must not be empty.
  ChunkHead encode(const Slab& slab, ByteBuffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A decoded chunk: immutable, shared between readers and threads.
class Chunk {
 public:
  // Decodes a body (the zstd frame). Returns null and says why in `error` on anything malformed: bad
  // zstd data, columns that disagree, sizes over `kMaxRawBytes`.
  [[nodiscard]] static std::shared_ptr<const Chunk> decode(const ChunkHead& head, ByteView body,
                                                           std::string& error);

  // Events in the order they were appended (time order, for one worker).
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] Event event(std::size_t index) const;
  [[nodiscard]] TimeNs time(std::size_t index) const { return entries_[index].time; }
  // Indices of one session's events, ascending; empty when the session is not in this chunk.
  [[nodiscard]] std::span<const std::uint32_t> events_of(SessionId session) const;
  // Memory held, for caches.
  [[nodiscard]] std::size_t size_bytes() const;

  static constexpr std::size_t kMaxRawBytes = std::size_t{256} << 20;

 private:
  Chunk() = default;
  struct Entry {
    TimeNs time;
    std::uint32_t data_offset;
    std::uint32_t length_bytes;
    std::uint32_t session;  // index into sessions_
    EventKind kind;
  };
  bool read_columns(const ChunkHead& head);
  bool read_sessions(ByteView column, std::size_t count);
  bool read_times(ByteView planes, ByteView late, const ChunkHead& head);
  bool place_data(ByteView kinds, ByteView lengths, std::size_t begin, std::size_t end);

  std::vector<SessionId> sessions_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> by_session_;      // entry indices grouped by session
  std::vector<std::uint32_t> session_starts_;  // sessions_.size() + 1 offsets into by_session_
  std::unique_ptr<Byte[]> body_;               // decompressed: columns, then bytes
  std::size_t body_bytes_ = 0;
};

}  // namespace understudy
