#include "formats/transcript/segment_records.h"

#include "formats/transcript/chunk_head.h"
#include "formats/transcript/record.h"
#include "formats/transcript/text_fields.h"

namespace understudy {
namespace {

constexpr std::size_t kContinuingRecordBytes = std::size_t{1} << 20;

bool narrow(std::uint64_t value, std::uint32_t& out) {
  out = static_cast<std::uint32_t>(value);
  return value <= UINT32_MAX;
}

}  // namespace

void encode_header(const SegmentHeader& header, ByteBuffer& out) {
  append_bytes(out, as_bytes(kHeaderText));
  out.push_back(kFormatMajor);
  out.push_back(kFormatMinor);
  append_le64(out, 0);  // required features: none yet
  append_text(out, header.recording_id);
  append_varint(out, header.run);
  append_varint(out, header.segment);
  append_le64(out, static_cast<std::uint64_t>(header.created_at));
  append_text(out, header.producer);
  append_pairs(out, header.attributes);
}

bool decode_header_version(ByteView body, HeaderVersion& out) {
  ByteReader reader(body);
  if (as_text(reader.bytes(kHeaderText.size())) != kHeaderText) return false;
  out.major = reader.u8();
  out.minor = reader.u8();
  out.required_features = reader.le64();
  return !reader.failed();
}

bool decode_header(ByteView body, SegmentHeader& out) {
  ByteReader reader(body);
  reader.bytes(kHeaderText.size() + 2 + 8);
  out.recording_id = read_text(reader);
  const bool numbers = narrow(reader.varint(), out.run) && narrow(reader.varint(), out.segment);
  out.created_at = static_cast<TimeNs>(reader.le64());
  out.producer = read_text(reader);
  return read_pairs(reader, out.attributes) && numbers;
}

std::size_t encode_continuing(std::span<const SessionDescriptor> sessions, ByteBuffer& out) {
  std::size_t count = 0;
  ByteBuffer descriptor;
  for (; count < sessions.size() && out.size() < kContinuingRecordBytes; ++count) {
    descriptor.clear();
    encode(sessions[count], descriptor);
    append_text(out, as_text(descriptor));
  }
  return count;
}

bool decode_continuing(ByteView body, std::vector<SessionDescriptor>& out) {
  ByteReader reader(body);
  while (!reader.failed() && reader.remaining() > 0) {
    const std::uint64_t length = reader.varint();
    SessionDescriptor descriptor;
    if (!decode(reader.bytes(length), descriptor)) return false;
    out.push_back(std::move(descriptor));
  }
  return !reader.failed();
}

void encode(const LossRecord& loss, ByteBuffer& out) {
  out.push_back(static_cast<Byte>(loss.reason));
  append_le64(out, static_cast<std::uint64_t>(loss.from));
  append_le64(out, static_cast<std::uint64_t>(loss.to));
  append_varint(out, loss.sessions);
  append_varint(out, loss.events);
  append_varint(out, loss.bytes);
  append_text(out, loss.detail);
}

bool decode(ByteView body, LossRecord& out) {
  ByteReader reader(body);
  out.reason = static_cast<GapReason>(reader.u8());
  out.from = static_cast<TimeNs>(reader.le64());
  out.to = static_cast<TimeNs>(reader.le64());
  out.sessions = reader.varint();
  out.events = reader.varint();
  out.bytes = reader.varint();
  out.detail = read_text(reader);
  return !reader.failed();
}

void encode(const SegmentIndex& index, ByteBuffer& out) {
  append_varint(out, index.records.size());
  for (const SegmentIndex::RecordEntry& record : index.records) {
    out.push_back(record.type);
    out.push_back(record.flags);
    append_varint(out, record.offset);
  }
  append_varint(out, index.chunks.size());
  ByteBuffer head;
  for (const SegmentIndex::ChunkEntry& chunk : index.chunks) {
    head.clear();
    encode(chunk.head, head);
    append_varint(out, chunk.offset);
    append_varint(out, chunk.body_offset - chunk.offset);
    append_text(out, as_text(head));
  }
}

bool decode(ByteView body, SegmentIndex& out) {
  out = {};
  ByteReader reader(body);
  const std::uint64_t records = reader.varint();
  for (std::uint64_t i = 0; i < records && !reader.failed(); ++i) {
    const std::uint8_t type = reader.u8();
    const std::uint8_t flags = reader.u8();
    out.records.push_back({type, flags, reader.varint()});
  }
  const std::uint64_t chunks = reader.varint();
  for (std::uint64_t i = 0; i < chunks && !reader.failed(); ++i) {
    SegmentIndex::ChunkEntry entry;
    entry.offset = reader.varint();
    entry.body_offset = entry.offset + reader.varint();
    const std::uint64_t length = reader.varint();
    if (!decode(reader.bytes(length), entry.head)) return false;
    out.chunks.push_back(std::move(entry));
  }
  return reader.finished();
}

void encode_footer(std::uint64_t index_offset, ByteBuffer& out) { append_le64(out, index_offset); }

bool decode_footer(ByteView body, std::uint64_t& index_offset) {
  ByteReader reader(body);
  index_offset = reader.le64();
  return reader.finished();
}

}  // namespace understudy
