// Sealing a slab: columns, grouped bytes, compression. Three passes over the events' heads and one copy of
// their bytes; nothing is allocated per event, and buffers stay with the encoder. See formats/README.md,
// "Chunk body".
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "formats/crc32c.h"
#include "formats/transcript/chunk.h"
#include "formats/transcript/chunk_body.h"
#include "formats/transcript/chunk_head.h"
#include "formats/transcript/record.h"

namespace understudy {
namespace {

// Finds the sessions of a slab: an open-addressing table from session to the order in which it was first
// seen.
class SessionTable {
 public:
  struct Found {
    SessionId id;
    bool opens = false;
    bool closes = false;
  };

  void clear() {
    found_.clear();
    std::fill(slots_.begin(), slots_.end(), kFree);
  }

  std::uint32_t find_or_add(SessionId id) {
    if (last_ < found_.size() && found_[last_].id == id) return last_;  // events come in runs
    if ((found_.size() + 1) * 2 > slots_.size()) grow();
    std::size_t slot = place(id);
    while (slots_[slot] != kFree && found_[slots_[slot]].id != id) slot = (slot + 1) & (slots_.size() - 1);
    if (slots_[slot] == kFree) {
      slots_[slot] = static_cast<std::uint32_t>(found_.size());
      found_.push_back({id});
    }
    return last_ = slots_[slot];
  }

  std::vector<Found>& found() { return found_; }

 private:
  static constexpr std::uint32_t kFree = UINT32_MAX;

  [[nodiscard]] std::size_t place(SessionId id) const {
    const std::uint64_t hash = id.packed() * 0x9E3779B97F4A7C15U;
    return static_cast<std::size_t>(hash >> 32) & (slots_.size() - 1);
  }
  void grow() {
    slots_.assign(std::max<std::size_t>(64, slots_.size() * 2), kFree);
    for (std::uint32_t i = 0; i < found_.size(); ++i) {
      std::size_t slot = place(found_[i].id);
      while (slots_[slot] != kFree) slot = (slot + 1) & (slots_.size() - 1);
      slots_[slot] = i;
    }
  }

  std::vector<Found> found_;
  std::vector<std::uint32_t> slots_;
  std::uint32_t last_ = 0;
};

}  // namespace

struct ChunkEncoder::State {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  SessionTable table;
  std::vector<std::uint32_t> session_of;  // per event: as the table found it
  std::vector<std::uint32_t> rank;        // table's order -> order in the head
  std::vector<std::uint32_t> groups;      // where each group's next byte goes
  ByteBuffer raw;                         // columns and grouped bytes
  ByteBuffer body;                        // the same, compressed

  ~State() { ZSTD_freeCCtx(context); }

  void find_sessions(const Slab& slab, ChunkHead& head);
  void rank_sessions(ChunkHead& head);
  void write_columns(const Slab& slab, const ChunkHead& head);
  void write_data(const Slab& slab, std::size_t session_count);
  void compress(ByteBuffer& out, ChunkHead& head);
};

// First pass: which sessions there are, the range of times.
void ChunkEncoder::State::find_sessions(const Slab& slab, ChunkHead& head) {
  table.clear();
  session_of.clear();
  head.first_time = std::numeric_limits<TimeNs>::max();
  head.last_time = std::numeric_limits<TimeNs>::min();
  for (const Slab::Head& event : slab.heads()) {
    const std::uint32_t session = table.find_or_add(event.session);
    session_of.push_back(session);
    if (event.kind == EventKind::kOpened) table.found()[session].opens = true;
    if (event.kind == EventKind::kClosed) table.found()[session].closes = true;
    head.first_time = std::min(head.first_time, event.time);
    head.last_time = std::max(head.last_time, event.time);
  }
}

// Sessions are sorted once per chunk, so that a reader finds one by bisection; events are not.
void ChunkEncoder::State::rank_sessions(ChunkHead& head) {
  const auto& found = table.found();
  std::vector<std::uint32_t> order(found.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return found[a].id < found[b].id; });
  rank.resize(order.size());
  head.sessions.reserve(order.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    rank[order[i]] = i;
    head.sessions.push_back({found[order[i]].id, found[order[i]].opens, found[order[i]].closes});
  }
  for (std::uint32_t& session : session_of) session = rank[session];
}

void ChunkEncoder::State::write_columns(const Slab& slab, const ChunkHead& head) {
  const std::size_t count = slab.heads().size();
  raw.resize(chunk_body::kColumnSizesBytes + count * chunk_body::kMaxEventBytes + slab.data().size());
  Byte* at = raw.data() + chunk_body::kColumnSizesBytes;
  std::uint32_t sizes[chunk_body::kColumns];
  auto end_column = [&, begin = at](std::size_t column) mutable {
    sizes[column] = static_cast<std::uint32_t>(at - begin);
    begin = at;
  };
  for (const std::uint32_t session : session_of) at = chunk_body::put_varint(at, session);
  end_column(0);
  for (const Slab::Head& event : slab.heads()) *at++ = static_cast<Byte>(event.kind);
  end_column(1);
  TimeNs previous = head.first_time;
  for (const Slab::Head& event : slab.heads()) {
    at = chunk_body::put_varint(at, chunk_body::zigzag(event.time - previous));
    previous = event.time;
  }
  end_column(2);
  for (const Slab::Head& event : slab.heads()) at = chunk_body::put_varint(at, event.length_bytes);
  end_column(3);
  std::memcpy(raw.data(), sizes, sizeof sizes);
  raw.resize(static_cast<std::size_t>(at - raw.data()) + slab.data().size());
}

// A counting sort by (direction, session): sizes, then starts, then every event's bytes to their place.
void ChunkEncoder::State::write_data(const Slab& slab, std::size_t session_count) {
  const auto& events = slab.heads();
  groups.assign(chunk_body::group_count(session_count) + 1, 0);
  for (std::size_t i = 0; i < events.size(); ++i) {
    groups[chunk_body::group_of(events[i].kind, session_of[i], session_count) + 1] += events[i].length_bytes;
  }
  for (std::size_t i = 1; i < groups.size(); ++i) groups[i] += groups[i - 1];
  const Byte* from = slab.data().data();
  Byte* const to = raw.data() + (raw.size() - slab.data().size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    const std::uint32_t length = events[i].length_bytes;
    std::uint32_t& place = groups[chunk_body::group_of(events[i].kind, session_of[i], session_count)];
    if (length > 0) std::memcpy(to + place, from, length);
    from += length;
    place += length;
  }
}

void ChunkEncoder::State::compress(ByteBuffer& out, ChunkHead& head) {
  const std::size_t begin = out.size();
  const std::size_t bound = ZSTD_compressBound(raw.size());
  out.resize(begin + bound);
  const std::size_t stored = ZSTD_compress2(context, out.data() + begin, bound, raw.data(), raw.size());
  if (ZSTD_isError(stored) != 0) throw std::runtime_error(ZSTD_getErrorName(stored));
  out.resize(begin + stored);
  head.raw_bytes = static_cast<std::uint32_t>(raw.size());
  head.stored_bytes = static_cast<std::uint32_t>(stored);
  head.body_crc32c = crc32c(ByteView(out).subspan(begin));
}

ChunkEncoder::ChunkEncoder(int zstd_level) : state_(std::make_unique<State>()) {
  ZSTD_CCtx_setParameter(state_->context, ZSTD_c_compressionLevel, zstd_level);
}

ChunkEncoder::~ChunkEncoder() = default;

ChunkHead ChunkEncoder::encode(const Slab& slab, ByteBuffer& out) {
  const std::size_t worst =
      slab.data().size() + slab.heads().size() * chunk_body::kMaxEventBytes + chunk_body::kColumnSizesBytes;
  if (slab.empty() || worst > Chunk::kMaxRawBytes) throw std::length_error("a chunk cannot hold this slab");
  ChunkHead head;
  head.event_count = static_cast<std::uint32_t>(slab.heads().size());
  state_->find_sessions(slab, head);
  state_->rank_sessions(head);
  state_->write_columns(slab, head);
  state_->write_data(slab, head.sessions.size());

  // The head comes first but tells the body's size: the body is compressed aside and follows it.
  ByteBuffer& body = state_->body;
  body.clear();
  state_->compress(body, head);
  const std::size_t begin = begin_record(out, RecordType::kChunk, kRecordRequired);
  understudy::encode(head, out);
  end_record(out, begin);
  append_bytes(out, body);
  return head;
}

}  // namespace understudy
