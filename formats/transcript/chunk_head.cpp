#include "formats/transcript/chunk_head.h"

namespace understudy {
namespace {

constexpr std::uint64_t kOpens = 1;
constexpr std::uint64_t kCloses = 2;
constexpr unsigned kFlagBits = 2;

// One session: how much further its run is than the one before, then (within a run, how much further its
// number is), shifted to make room for the flags.
void append_session(const ChunkHead::Session& session, SessionId& previous, ByteBuffer& out) {
  const std::uint32_t runs = session.id.run - previous.run;
  const std::uint64_t numbers = runs > 0 ? session.id.number : session.id.number - previous.number;
  append_varint(out, runs);
  append_varint(out, numbers << kFlagBits | (session.closes ? kCloses : 0) | (session.opens ? kOpens : 0));
  previous = session.id;
}

bool read_session(ByteReader& reader, SessionId& previous, ChunkHead::Session& session) {
  const std::uint64_t runs = reader.varint();
  const std::uint64_t packed = reader.varint();
  const std::uint64_t numbers = packed >> kFlagBits;
  if (reader.failed() || runs > UINT32_MAX - previous.run || numbers > UINT32_MAX) return false;
  const std::uint64_t number = (runs > 0 ? 0 : std::uint64_t{previous.number}) + numbers;
  if (number > UINT32_MAX) return false;
  session.id = {previous.run + static_cast<std::uint32_t>(runs), static_cast<std::uint32_t>(number)};
  session.opens = (packed & kOpens) != 0;
  session.closes = (packed & kCloses) != 0;
  previous = session.id;
  return true;
}

}  // namespace

void encode(const ChunkHead& head, ByteBuffer& out) {
  append_le64(out, static_cast<std::uint64_t>(head.first_time));
  append_le64(out, static_cast<std::uint64_t>(head.last_time));
  append_le32(out, head.event_count);
  append_le32(out, head.raw_bytes);
  append_le32(out, head.stored_bytes);
  append_le32(out, head.body_crc32c);
  append_varint(out, head.sessions.size());
  SessionId previous;
  for (const ChunkHead::Session& session : head.sessions) append_session(session, previous, out);
}

bool decode(ByteView bytes, ChunkHead& out) {
  ByteReader reader(bytes);
  out.first_time = static_cast<TimeNs>(reader.le64());
  out.last_time = static_cast<TimeNs>(reader.le64());
  out.event_count = reader.le32();
  out.raw_bytes = reader.le32();
  out.stored_bytes = reader.le32();
  out.body_crc32c = reader.le32();
  const std::uint64_t count = reader.varint();
  // A session takes two bytes at least and has one event at least: the claim is checked before it is
  // believed.
  if (reader.failed() || count > reader.remaining() / 2 || count > out.event_count) return false;
  out.sessions.resize(count);
  SessionId previous;
  for (std::size_t i = 0; i < count; ++i) {
    const SessionId before = previous;
    if (!read_session(reader, previous, out.sessions[i])) return false;
    if (i > 0 && previous <= before) return false;
  }
  return out.first_time <= out.last_time && out.event_count > 0 && count > 0;
}

}  // namespace understudy
