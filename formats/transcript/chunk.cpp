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
  } else if (head.raw_bytes < chunk_body::kColumnSizesBytes ||
             head.event_count >
                 (head.raw_bytes - chunk_body::kColumnSizesBytes) / chunk_body::kMinEventBytes) {
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
  if (!chunk->read_columns(head) || !chunk->place_data()) {
    error = "chunk body: its columns disagree";
    return nullptr;
  }
  chunk->group_by_session();
  return chunk;
}

bool Chunk::read_columns(const ChunkHead& head) {
  const ByteView body(body_.get(), body_bytes_);
  ByteReader sizes(body.first(chunk_body::kColumnSizesBytes));
  ByteView columns[chunk_body::kColumns];
  std::size_t at = chunk_body::kColumnSizesBytes;
  for (ByteView& column : columns) {
    const std::size_t size = sizes.le32();
    if (size > body.size() - at) return false;
    column = body.subspan(at, size);
    at += size;
  }
  data_begins_ = static_cast<std::uint32_t>(at);

  ByteReader session(columns[0]), kind(columns[1]), time(columns[2]), length(columns[3]);
  entries_.resize(head.event_count);
  TimeNs last = head.first_time;
  for (Entry& entry : entries_) {
    const std::uint64_t index = session.varint();
    const std::uint64_t bytes = length.varint();
    if (index >= sessions_.size() || bytes > body.size()) return false;
    last = static_cast<TimeNs>(static_cast<std::uint64_t>(last) +
                               static_cast<std::uint64_t>(time.signed_varint()));
    if (last < head.first_time || last > head.last_time) return false;
    entry = {last, 0, static_cast<std::uint32_t>(bytes), static_cast<std::uint32_t>(index),
             static_cast<EventKind>(kind.u8())};
  }
  return session.finished() && kind.finished() && time.finished() && length.finished();
}

// The writer's counting sort again: where each event's bytes went.
bool Chunk::place_data() {
  std::vector<std::uint64_t> groups(chunk_body::group_count(sessions_.size()) + 1, 0);
  for (const Entry& entry : entries_) {
    groups[chunk_body::group_of(entry.kind, entry.session, sessions_.size()) + 1] += entry.length_bytes;
  }
  groups[0] = data_begins_;
  for (std::size_t i = 1; i < groups.size(); ++i) groups[i] += groups[i - 1];
  if (groups.back() != body_bytes_) return false;
  for (Entry& entry : entries_) {
    std::uint64_t& place = groups[chunk_body::group_of(entry.kind, entry.session, sessions_.size())];
    entry.data_offset = static_cast<std::uint32_t>(place);
    place += entry.length_bytes;
  }
  return true;
}

void Chunk::group_by_session() {
  session_starts_.assign(sessions_.size() + 1, 0);
  for (const Entry& entry : entries_) ++session_starts_[entry.session + 1];
  for (std::size_t i = 1; i < session_starts_.size(); ++i) session_starts_[i] += session_starts_[i - 1];
  std::vector<std::uint32_t> next(session_starts_.begin(), session_starts_.end() - 1);
  by_session_.resize(entries_.size());
  for (std::uint32_t i = 0; i < entries_.size(); ++i) by_session_[next[entries_[i].session]++] = i;
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
