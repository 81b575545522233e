// Decoding a chunk. Every size is checked before memory is taken for it, every column must end where it
// claims to.
#include "formats/transcript/chunk.h"

#include <zstd.h>

#include <algorithm>

#include "formats/transcript/chunk_body.h"

namespace understudy {
namespace {

struct DecompressionContext {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ~DecompressionContext() { ZSTD_freeDCtx(context); }
};

bool decompress(const ChunkHead& head, ByteView body, Byte* out, std::string& error) {
  static thread_local const DecompressionContext own;
  const std::size_t size = ZSTD_decompressDCtx(own.context, out, head.raw_bytes, body.data(), body.size());
  if (ZSTD_isError(size) != 0) {
    error = std::string("chunk body: ") + ZSTD_getErrorName(size);
    return false;
  }
  if (size != head.raw_bytes) error = "chunk body: shorter than its head says";
  return size == head.raw_bytes;
}

bool plausible(const ChunkHead& head, ByteView body, std::string& error) {
  if (head.raw_bytes > Chunk::kMaxRawBytes) {
    error = "chunk body: larger than any writer makes";
  } else if (head.raw_bytes < chunk_body::kSizesBytes ||
             head.event_count > (head.raw_bytes - chunk_body::kSizesBytes) / chunk_body::kMinEventBytes) {
    error = "chunk head: more events than its body has room for";
  } else if (head.sessions.empty() || head.event_count == 0) {
    error = "chunk head: no events";
  } else if (ZSTD_getFrameContentSize(body.data(), body.size()) != head.raw_bytes) {
    error = "chunk body: not the zstd frame its head describes";
  }
  return error.empty();
}

}  // namespace

std::shared_ptr<const Chunk> Chunk::decode(const ChunkHead& head, ByteView body, std::string& error) {
  error.clear();
  if (!plausible(head, body, error)) return nullptr;
  const std::shared_ptr<Chunk> chunk(new Chunk);
  chunk->body_ = std::make_unique_for_overwrite<Byte[]>(head.raw_bytes);
  chunk->body_bytes_ = head.raw_bytes;
  if (!decompress(head, body, chunk->body_.get(), error)) return nullptr;
  for (const ChunkHead::Session& session : head.sessions) chunk->sessions_.push_back(session.id);
  if (!chunk->read_columns(head)) {
    error = "chunk body: its columns disagree";
    return nullptr;
  }
  return chunk;
}

bool Chunk::read_columns(const ChunkHead& head) {
  ByteReader body(ByteView(body_.get(), body_bytes_));
  const std::size_t session_bytes = body.le32();
  const std::size_t length_bytes = body.le32();
  const std::size_t late_bytes = body.le32();
  const ByteView sessions = body.bytes(session_bytes);
  const ByteView kinds = body.bytes(head.event_count);
  const ByteView lengths = body.bytes(length_bytes);
  const std::size_t data_begins = body.offset();
  const std::size_t tail = chunk_body::kTimePlanes * std::size_t{head.event_count} + late_bytes;
  if (body.failed() || tail > body.remaining()) return false;
  const std::size_t data_ends = data_begins + (body.remaining() - tail);
  body.bytes(data_ends - data_begins);
  const ByteView planes = body.bytes(chunk_body::kTimePlanes * std::size_t{head.event_count});
  return read_sessions(sessions, head.event_count) && read_times(planes, body.bytes(late_bytes), head) &&
         place_data(kinds, lengths, data_begins, data_ends);
}

// Which session each event belongs to, and from it each session's events.
bool Chunk::read_sessions(ByteView column, std::size_t count) {
  entries_.resize(count);
  session_starts_.assign(sessions_.size() + 1, 0);
  ByteReader reader(column);
  for (Entry& entry : entries_) {
    const std::uint64_t session = reader.varint();
    if (session >= sessions_.size()) return false;
    entry.session = static_cast<std::uint32_t>(session);
    ++session_starts_[session + 1];
  }
  for (std::size_t i = 1; i < session_starts_.size(); ++i) session_starts_[i] += session_starts_[i - 1];
  std::vector<std::uint32_t> next(session_starts_.begin(), session_starts_.end() - 1);
  by_session_.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) by_session_[next[entries_[i].session]++] = i;
  return reader.finished();
}

bool Chunk::read_times(ByteView planes, ByteView late, const ChunkHead& head) {
  ByteReader late_times(late);
  const std::size_t count = entries_.size();
  std::uint64_t time = static_cast<std::uint64_t>(head.first_time);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t passed = std::uint32_t{planes[i]} << 24 | std::uint32_t{planes[count + i]} << 16 |
                                 std::uint32_t{planes[2 * count + i]} << 8 | planes[3 * count + i];
    time += passed == chunk_body::kLateTime ? static_cast<std::uint64_t>(late_times.signed_varint()) : passed;
    entries_[i].time = static_cast<TimeNs>(time);
    if (entries_[i].time < head.first_time || entries_[i].time > head.last_time) return false;
  }
  return late_times.finished();
}

// The writer's counting sort again: kinds and lengths stand in order of session, and tell where the bytes
// went.
bool Chunk::place_data(ByteView kinds, ByteView lengths, std::size_t begin, std::size_t end) {
  const std::size_t sessions = sessions_.size();
  std::vector<std::uint64_t> groups(chunk_body::kClasses * sessions + 1, 0);
  ByteReader reader(lengths);
  for (std::size_t place = 0; place < by_session_.size(); ++place) {
    Entry& entry = entries_[by_session_[place]];
    const std::uint64_t length = reader.varint();
    if (length > body_bytes_) return false;
    entry.kind = static_cast<EventKind>(kinds[place]);
    entry.length_bytes = static_cast<std::uint32_t>(length);
    groups[chunk_body::class_of(entry.kind) * sessions + entry.session + 1] += length;
  }
  groups[0] = begin;
  for (std::size_t i = 1; i < groups.size(); ++i) groups[i] += groups[i - 1];
  if (!reader.finished() || groups.back() != end) return false;
  for (Entry& entry : entries_) {
    std::uint64_t& next = groups[chunk_body::class_of(entry.kind) * sessions + entry.session];
    entry.data_offset = static_cast<std::uint32_t>(next);
    next += entry.length_bytes;
  }
  return true;
}

Event Chunk::event(std::size_t index) const {
  const Entry& entry = entries_[index];
  return {sessions_[entry.session], entry.time, entry.kind,
          ByteView(body_.get() + entry.data_offset, entry.length_bytes)};
}

std::span<const std::uint32_t> Chunk::events_of(SessionId session) const {
  const auto found = std::lower_bound(sessions_.begin(), sessions_.end(), session);
  if (found == sessions_.end() || *found != session) return {};
  const auto index = static_cast<std::size_t>(found - sessions_.begin());
  return std::span(by_session_)
      .subspan(session_starts_[index], session_starts_[index + 1] - session_starts_[index]);
}

std::size_t Chunk::size_bytes() const {
  return sizeof *this + body_bytes_ + entries_.size() * (sizeof(Entry) + sizeof(std::uint32_t)) +
         sessions_.size() * (sizeof(SessionId) + sizeof(std::uint32_t));
}

}  // namespace understudy
