#include "formats/transcript/record.h"

#include "formats/crc32c.h"

namespace understudy {
namespace {

constexpr std::size_t kSizeAt = 4;
constexpr std::size_t kTypeAt = 8;
constexpr std::size_t kFlagsAt = 9;
constexpr std::size_t kVersionAt = 10;
constexpr std::size_t kReservedAt = 11;
constexpr std::size_t kStampAt = 12;
constexpr std::size_t kFrameBytes = 8;  // zstd's own: magic and size

void store_le32(Byte* at, std::uint32_t value) { std::memcpy(at, &value, sizeof value); }

std::uint32_t checksum(ByteView record, std::uint64_t offset) {
  Byte place[8];
  std::memcpy(place, &offset, sizeof place);
  return crc32c(record.first(record.size() - 4), crc32c(place));
}

}  // namespace

std::size_t begin_record(ByteBuffer& out, RecordType type, std::uint8_t flags) {
  const std::size_t begin = out.size();
  append_le32(out, kRecordMagic);
  append_le32(out, 0);
  out.push_back(static_cast<Byte>(type));
  out.push_back(flags);
  out.push_back(kFormatMajor);
  out.push_back(0);
  append_le32(out, 0);
  return begin;
}

void end_record(ByteBuffer& out, std::size_t begin) {
  append_le32(out, 0);
  store_le32(out.data() + begin + kSizeAt, static_cast<std::uint32_t>(out.size() - begin - kFrameBytes));
}

void append_record(ByteBuffer& out, RecordType type, std::uint8_t flags, ByteView body) {
  const std::size_t begin = begin_record(out, type, flags);
  append_bytes(out, body);
  end_record(out, begin);
}

void seal_record(std::span<Byte> record, std::uint32_t stamp, std::uint64_t offset) {
  store_le32(record.data() + kStampAt, stamp);
  store_le32(record.data() + record.size() - 4, checksum(record, offset));
}

std::size_t record_length(ByteView prefix) {
  if (prefix.size() < kRecordPrefixBytes || load_le32(prefix.data()) != kRecordMagic) return 0;
  const std::size_t length = std::size_t{load_le32(prefix.data() + kSizeAt)} + kFrameBytes;
  const bool plausible = length >= kRecordOverheadBytes && length <= kMaxRecordBytes;
  return plausible && prefix[kReservedAt] == 0 ? length : 0;
}

bool parse_record(ByteView bytes, std::uint64_t offset, Record& out) {
  if (record_length(bytes) != bytes.size() || bytes.size() < kRecordOverheadBytes) return false;
  if (load_le32(bytes.data() + bytes.size() - 4) != checksum(bytes, offset)) return false;
  out.type = bytes[kTypeAt];
  out.flags = bytes[kFlagsAt];
  out.version = bytes[kVersionAt];
  out.stamp = load_le32(bytes.data() + kStampAt);
  out.body = bytes.subspan(kRecordPrefixBytes, bytes.size() - kRecordOverheadBytes);
  return true;
}

}  // namespace understudy
