// The bodies of a segment's own records: header, continuing sessions, losses, index, footer. See
// formats/README.md. Pure functions, any thread; decoders return false on malformed bytes and never believe a
// claimed size.
#pragma once

#include "formats/transcript/chunk.h"
#include "formats/transcript/record.h"
#include "formats/transcript/segment_writer.h"

namespace understudy {

// What `head -c 38` of a segment shows after the record's prefix.
inline constexpr std::string_view kHeaderText = "UNDERSTUDY TRANSCRIPT\n";
// Where that text is in the file.
inline constexpr std::size_t kHeaderTextAt = 16;
// A header is small; whatever claims to be larger is none.
inline constexpr std::size_t kMaxHeaderBytes = std::size_t{1} << 20;
// Footers all have the same size, so that a reader finds one from the end.
inline constexpr std::size_t kFooterBytes = 28;

// The part of a header that every version of the format has at the same place.
struct HeaderVersion {
  std::uint8_t major = 0;
  std::uint8_t minor = 0;
  std::uint64_t required_features = 0;
};
inline constexpr std::uint64_t kFeatureEncrypted = 1;
inline constexpr std::uint64_t kKnownFeatures = kFeatureEncrypted;
// From this minor version on segments are chained: header.previous is told, and a digest when it is closed.
inline constexpr std::uint8_t kMinorWithChain = 1;

void encode_header(const SegmentHeader& header, ByteBuffer& out);
[[nodiscard]] bool decode_header_version(ByteView body, HeaderVersion& out);
// `key_at`: of an encrypted segment, where in the body its wrapped key is; what is before is bound to it.
[[nodiscard]] bool decode_header(ByteView body, SegmentHeader& out, std::size_t& key_at);

// Appends descriptors from `next` on until the body is large enough for one record; returns how many.
std::size_t encode_continuing(std::span<const SessionDescriptor> sessions, ByteBuffer& out);
[[nodiscard]] bool decode_continuing(ByteView body, std::vector<SessionDescriptor>& out);

void encode(const LossRecord& loss, ByteBuffer& out);
[[nodiscard]] bool decode(ByteView body, LossRecord& out);

// Without the tag that follows it in an encrypted segment: kDigestBytes.
inline constexpr std::size_t kDigestBytes = 1 + 2 * sizeof(Sha256Value);
void encode(const SegmentDigest& digest, ByteBuffer& out);
[[nodiscard]] bool decode(ByteView body, SegmentDigest& out);
// Whether the digest at `offset` of an encrypted segment is the one its writer made.
[[nodiscard]] bool authentic_digest(const FileCipher& cipher, const Record& record, std::uint64_t offset);

// What the index says of the file: where its chunks are, with a copy of their heads, and where every other
// record is.
struct SegmentIndex {
  struct ChunkEntry {
    std::uint64_t offset = 0;       // of the head's record
    std::uint64_t body_offset = 0;  // of the zstd frame
    ChunkHead head;
    bool operator==(const ChunkEntry&) const = default;
  };
  struct RecordEntry {
    std::uint8_t type = 0;
    std::uint8_t flags = 0;
    std::uint64_t offset = 0;
    bool operator==(const RecordEntry&) const = default;
  };
  std::vector<ChunkEntry> chunks;
  std::vector<RecordEntry> records;  // all but header, chunk heads, index and footer
  bool operator==(const SegmentIndex&) const = default;
};
void encode(const SegmentIndex& index, ByteBuffer& out);
[[nodiscard]] bool decode(ByteView body, SegmentIndex& out);

void encode_footer(std::uint64_t index_offset, ByteBuffer& out);
[[nodiscard]] bool decode_footer(ByteView body, std::uint64_t& index_offset);

}  // namespace understudy
