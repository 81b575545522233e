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

// Memory that is written before it is read: growing it neither copies nor clears.
class Scratch {
 public:
  Byte* room(std::size_t bytes) {
    if (bytes > capacity_) {
      memory_ = std::make_unique_for_overwrite<Byte[]>(bytes);
      capacity_ = bytes;
    }
    return memory_.get();
  }

 private:
  std::unique_ptr<Byte[]> memory_;
  std::size_t capacity_ = 0;
};

// LEB128 into room the caller has made.
Byte* put_varint(Byte* at, std::uint32_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<Byte>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<Byte>(value);
  return at;
}

std::size_t worst_bytes(const Slab& slab) {
  return chunk_body::kSizesBytes + slab.heads().size() * chunk_body::kMaxEventBytes + slab.data().size();
}

}  // namespace

struct ChunkEncoder::State {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  SessionTable table;
  std::vector<std::uint32_t> session_of;  // per event: as the table found it, then as in the head
  std::vector<std::uint32_t> rank;        // table's order -> order in the head
  std::vector<std::uint32_t> next;        // per session: the next place among events ordered by session
  std::vector<std::uint32_t> lengths;     // per event, ordered by session
  std::vector<std::uint32_t> groups;      // per class and session: where its next byte goes
  ByteBuffer late_times;
  Scratch raw;   // columns and grouped bytes
  Scratch body;  // the same, compressed

  ~State() { ZSTD_freeCCtx(context); }

  void find_sessions(const Slab& slab, ChunkHead& head);
  void rank_sessions(ChunkHead& head);
  ByteView write_body(const Slab& slab, const ChunkHead& head);
  void start_groups(const Slab& slab, std::size_t sessions);
  Byte* write_by_session(const Slab& slab, Byte* at);
  Byte* write_data(const Slab& slab, std::size_t sessions, Byte* at);
  Byte* write_times(const Slab& slab, TimeNs first_time, Byte* at);
  ByteView compress(ByteView raw_body, ChunkHead& head);
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

ByteView ChunkEncoder::State::write_body(const Slab& slab, const ChunkHead& head) {
  const std::size_t sessions = head.sessions.size();
  start_groups(slab, sessions);
  Byte* const body_begin = raw.room(worst_bytes(slab));
  Byte* const begin = body_begin + chunk_body::kSizesBytes;
  Byte* at = begin;
  for (const std::uint32_t session : session_of) at = put_varint(at, session);
  const auto session_bytes = static_cast<std::uint32_t>(at - begin);
  Byte* const lengths_begin = at + slab.heads().size();
  at = write_by_session(slab, at);
  const auto length_bytes = static_cast<std::uint32_t>(at - lengths_begin);
  at = write_data(slab, sessions, at);
  at = write_times(slab, head.first_time, at);
  if (!late_times.empty()) std::memcpy(at, late_times.data(), late_times.size());
  at += late_times.size();
  const std::uint32_t sizes[] = {session_bytes, length_bytes, static_cast<std::uint32_t>(late_times.size())};
  static_assert(sizeof sizes == chunk_body::kSizesBytes);
  std::memcpy(body_begin, sizes, sizeof sizes);
  return {body_begin, static_cast<std::size_t>(at - body_begin)};
}

// Counts, then sums: where each session's events and each group's bytes begin.
void ChunkEncoder::State::start_groups(const Slab& slab, std::size_t sessions) {
  next.assign(sessions + 1, 0);
  groups.assign(chunk_body::kClasses * sessions + 1, 0);
  const auto& events = slab.heads();
  for (std::size_t i = 0; i < events.size(); ++i) {
    ++next[session_of[i] + 1];
    groups[chunk_body::class_of(events[i].kind) * sessions + session_of[i] + 1] += events[i].length_bytes;
  }
  for (std::size_t i = 1; i < next.size(); ++i) next[i] += next[i - 1];
  for (std::size_t i = 1; i < groups.size(); ++i) groups[i] += groups[i - 1];
}

// Kinds and lengths in order of session: a session's requests and replies alternate, and repeat.
Byte* ChunkEncoder::State::write_by_session(const Slab& slab, Byte* at) {
  const auto& events = slab.heads();
  lengths.resize(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    const std::uint32_t place = next[session_of[i]]++;
    at[place] = static_cast<Byte>(events[i].kind);
    lengths[place] = events[i].length_bytes;
  }
  at += events.size();
  for (const std::uint32_t length : lengths) at = put_varint(at, length);
  return at;
}

Byte* ChunkEncoder::State::write_data(const Slab& slab, std::size_t sessions, Byte* at) {
  const auto& events = slab.heads();
  const Byte* from = slab.data().data();
  for (std::size_t i = 0; i < events.size(); ++i) {
    const std::uint32_t length = events[i].length_bytes;
    std::uint32_t& place = groups[chunk_body::class_of(events[i].kind) * sessions + session_of[i]];
    if (length > 0) std::memcpy(at + place, from, length);
    from += length;
    place += length;
  }
  return at + slab.data().size();
}

// How long after the event before, its most significant bytes of all events first: these hardly vary, the
// least significant ones are noise, and each sort is best left to itself.
Byte* ChunkEncoder::State::write_times(const Slab& slab, TimeNs first_time, Byte* at) {
  late_times.clear();
  const std::size_t count = slab.heads().size();
  TimeNs previous = first_time;
  for (const Slab::Head& event : slab.heads()) {
    const std::uint64_t passed =
        static_cast<std::uint64_t>(event.time) - static_cast<std::uint64_t>(previous);
    const auto plain = static_cast<std::uint32_t>(std::min<std::uint64_t>(passed, chunk_body::kLateTime));
    if (plain == chunk_body::kLateTime) append_signed_varint(late_times, static_cast<TimeNs>(passed));
    at[0] = static_cast<Byte>(plain >> 24);
    at[count] = static_cast<Byte>(plain >> 16);
    at[2 * count] = static_cast<Byte>(plain >> 8);
    at[3 * count] = static_cast<Byte>(plain);
    ++at;
    previous = event.time;
  }
  return at + (chunk_body::kTimePlanes - 1) * count;
}

ByteView ChunkEncoder::State::compress(ByteView raw_body, ChunkHead& head) {
  const std::size_t bound = ZSTD_compressBound(raw_body.size());
  Byte* const to = body.room(bound);
  const std::size_t stored = ZSTD_compress2(context, to, bound, raw_body.data(), raw_body.size());
  if (ZSTD_isError(stored) != 0) throw std::runtime_error(ZSTD_getErrorName(stored));
  head.raw_bytes = static_cast<std::uint32_t>(raw_body.size());
  head.stored_bytes = static_cast<std::uint32_t>(stored);
  head.body_crc32c = crc32c({to, stored});
  return {to, stored};
}

ChunkEncoder::ChunkEncoder(int zstd_level) : state_(std::make_unique<State>()) {
  ZSTD_CCtx_setParameter(state_->context, ZSTD_c_compressionLevel, zstd_level);
}

ChunkEncoder::~ChunkEncoder() = default;

ChunkHead ChunkEncoder::encode(const Slab& slab, ByteBuffer& out) {
  if (slab.empty() || worst_bytes(slab) > Chunk::kMaxRawBytes)
    throw std::length_error("a chunk cannot hold this slab");
  ChunkHead head;
  head.event_count = static_cast<std::uint32_t>(slab.heads().size());
  state_->find_sessions(slab, head);
  state_->rank_sessions(head);
  // The head comes first but tells the body's size: the body is compressed aside and follows it.
  const ByteView body = state_->compress(state_->write_body(slab, head), head);
  const std::size_t begin = begin_record(out, RecordType::kChunk, kRecordRequired);
  understudy::encode(head, out);
  end_record(out, begin);
  append_bytes(out, body);
  return head;
}

}  // namespace understudy
