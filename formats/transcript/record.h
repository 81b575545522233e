// Records: everything in a segment that is not a chunk's body. Each is one zstd skippable frame, so that
// zstd's own tools pass over it. See formats/README.md, "Records".
//
//   0      4      8      9       10        11         12      16            size+4   size+8
//   | magic | size | type | flags | version | reserved | stamp | body ...    | crc32c |
//
// The stamp names the segment, and the checksum covers the record's offset in the file too: bytes that look
// like a record but were written elsewhere (a transcript that passed through a recorded session, as COPY data
// for instance) are never taken for one. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <span>

#include "formats/bytes.h"

namespace understudy {

enum class RecordType : std::uint8_t {
  kHeader = 'H',
  kContinuing = 'S',  // descriptors of sessions that were open when the segment began
  kChunk = 'C',       // head of the chunk whose body, one zstd frame, follows
  kLoss = 'L',
  kDigest = 'D',  // what the file held up to here, and whether another segment follows
  kIndex = 'I',
  kFooter = 'F'
};

inline constexpr std::uint32_t kRecordMagic = 0x184D2A57;  // one of zstd's sixteen skippable magics
inline constexpr std::size_t kRecordPrefixBytes = 16;
inline constexpr std::size_t kRecordOverheadBytes = kRecordPrefixBytes + 4;
inline constexpr std::size_t kMaxRecordBytes = std::size_t{256} << 20;
inline constexpr std::uint8_t kRecordRequired = 1;  // flag: who does not know the type must refuse the file
inline constexpr std::uint8_t kFormatMajor = 1;
inline constexpr std::uint8_t kFormatMinor = 1;

struct Record {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint8_t version = 0;
  std::uint32_t stamp = 0;
  ByteView body;
  [[nodiscard]] bool is(RecordType wanted) const { return type == static_cast<std::uint8_t>(wanted); }
  [[nodiscard]] bool required() const { return (flags & kRecordRequired) != 0; }
};

// Appends a record with stamp and checksum still to be set by seal_record, once its place is known.
void append_record(ByteBuffer& out, RecordType type, std::uint8_t flags, ByteView body);
// The two halves of append_record, for a body that is encoded in place; returns where the record begins.
[[nodiscard]] std::size_t begin_record(ByteBuffer& out, RecordType type, std::uint8_t flags);
void end_record(ByteBuffer& out, std::size_t begin);

// Sets stamp and checksum. `record` is one whole record; `offset` where it will be in the file.
void seal_record(std::span<Byte> record, std::uint32_t stamp, std::uint64_t offset);

// The whole record's length as its prefix claims; 0 when these 16 bytes cannot begin a record.
[[nodiscard]] std::size_t record_length(ByteView prefix);

// True when `bytes` are exactly one record, whole, at its place.
[[nodiscard]] bool parse_record(ByteView bytes, std::uint64_t offset, Record& out);

}  // namespace understudy
