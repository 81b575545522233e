#include "formats/transcript/segment_records.h"

#include <algorithm>

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

template <std::size_t kSize>
void read_array(ByteReader& reader, std::array<Byte, kSize>& out) {
  const ByteView bytes = reader.bytes(kSize);
  std::copy(bytes.begin(), bytes.end(), out.begin());
}

void encode_link(const std::optional<SegmentLink>& link, ByteBuffer& out) {
  out.push_back(link ? 1 : 0);
  if (!link) return;
  append_varint(out, link->segment);
  append_varint(out, link->bytes);
  append_bytes(out, link->sha256);
}

bool decode_link(ByteReader& reader, std::optional<SegmentLink>& out) {
  out.reset();
  if (reader.u8() == 0) return !reader.failed();
  SegmentLink& link = out.emplace();
  const bool numbers = narrow(reader.varint(), link.segment);
  link.bytes = reader.varint();
  read_array(reader, link.sha256);
  return numbers && !reader.failed();
}

// How the wrapping key is made.
constexpr std::uint8_t kKeyFile = 0;
constexpr std::uint8_t kPassphrase = 1;

void encode_key(const WrappedKey& key, ByteBuffer& out) {
  out.push_back(key.scrypt ? kPassphrase : kKeyFile);
  if (key.scrypt) {
    out.push_back(key.scrypt->log_n);
    out.push_back(key.scrypt->r);
    out.push_back(key.scrypt->p);
    append_bytes(out, key.scrypt->salt);
  }
  append_bytes(out, key.key_id);
  append_bytes(out, key.nonce);
  append_bytes(out, key.sealed);
}

bool decode_key(ByteReader& reader, WrappedKey& out, std::size_t& key_at) {
  const std::uint8_t method = reader.u8();
  if (method == kPassphrase) {
    ScryptParameters& scrypt = out.scrypt.emplace();
    scrypt.log_n = reader.u8();
    scrypt.r = reader.u8();
    scrypt.p = reader.u8();
    read_array(reader, scrypt.salt);
  }
  read_array(reader, out.key_id);
  read_array(reader, out.nonce);
  key_at = reader.offset();
  read_array(reader, out.sealed);
  return !reader.failed() && method <= kPassphrase;
}

constexpr Byte kLastOfRun = 1;

}  // namespace

void encode_header(const SegmentHeader& header, ByteBuffer& out) {
  append_bytes(out, as_bytes(kHeaderText));
  out.push_back(kFormatMajor);
  out.push_back(kFormatMinor);
  append_le64(out, header.wrapped_key ? kFeatureEncrypted : 0);
  append_text(out, header.recording_id);
  append_varint(out, header.run);
  append_varint(out, header.segment);
  append_le64(out, static_cast<std::uint64_t>(header.created_at));
  append_text(out, header.producer);
  append_pairs(out, header.attributes);
  encode_link(header.previous, out);
  if (header.wrapped_key) encode_key(*header.wrapped_key, out);
}

bool decode_header_version(ByteView body, HeaderVersion& out) {
  ByteReader reader(body);
  if (as_text(reader.bytes(kHeaderText.size())) != kHeaderText) return false;
  out.major = reader.u8();
  out.minor = reader.u8();
  out.required_features = reader.le64();
  return !reader.failed();
}

bool decode_header(ByteView body, SegmentHeader& out, std::size_t& key_at) {
  HeaderVersion version;
  if (!decode_header_version(body, version)) return false;
  ByteReader reader(body);
  reader.bytes(kHeaderText.size() + 2 + 8);
  out.recording_id = read_text(reader);
  const bool numbers = narrow(reader.varint(), out.run) && narrow(reader.varint(), out.segment);
  out.created_at = static_cast<TimeNs>(reader.le64());
  out.producer = read_text(reader);
  if (!read_pairs(reader, out.attributes) || !numbers) return false;
  if (version.minor >= kMinorWithChain && !decode_link(reader, out.previous)) return false;
  if ((version.required_features & kFeatureEncrypted) == 0) return true;
  return decode_key(reader, out.wrapped_key.emplace(), key_at);
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

void encode(const SegmentDigest& digest, ByteBuffer& out) {
  out.push_back(digest.last ? kLastOfRun : 0);
  append_bytes(out, digest.content);
  append_bytes(out, digest.index);
}

bool decode(ByteView body, SegmentDigest& out) {
  ByteReader reader(body);
  out.last = (reader.u8() & kLastOfRun) != 0;
  read_array(reader, out.content);
  read_array(reader, out.index);
  return !reader.failed();
}

bool authentic_digest(const FileCipher& cipher, const Record& record, std::uint64_t offset) {
  ByteBuffer nothing;
  return record.is(RecordType::kDigest) && record.body.size() == kDigestBytes + kTagBytes &&
         cipher.open(RecordType::kDigest, offset, record.body.first(kDigestBytes),
                     record.body.subspan(kDigestBytes), nothing);
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
