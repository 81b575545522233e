// Writes one segment file: header, chunks, loss records, index, footer. Crash states: any prefix of
// what was appended may be on disk; a reader keeps every whole chunk of it (segment_reader.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/chunk.h"
#include "formats/transcript/file.h"
#include "formats/transcript/keyring.h"
#include "formats/transcript/record.h"

namespace understudy {

// What a segment says of the one before it in its run, as that was when this one began: nothing can be taken
// out between the two, or put in, that `verify` would not tell.
struct SegmentLink {
  std::uint32_t segment = 0;  // its number in the run
  std::uint64_t bytes = 0;    // of its file, from the start, that were written by then
  Sha256Value sha256{};       // of these
  bool operator==(const SegmentLink&) const = default;
};

// What a segment says of itself when it is closed.
struct SegmentDigest {
  bool last = false;      // of its run: nothing follows
  Sha256Value content{};  // SHA-256 of the file up to this record
  Sha256Value index{};    // and of the body of the index, which follows
  bool operator==(const SegmentDigest&) const = default;
};

// The first record of every segment.
struct SegmentHeader {
  std::string recording_id;  // 32 hexadecimal digits, equal in all segments of one run
  std::uint32_t run = 1;
  std::uint32_t segment = 1;  // 1, 2, ... within the run
  TimeNs created_at = 0;
  std::string producer;                                         // "understudy 0.1.0 proxy"
  std::vector<std::pair<std::string, std::string>> attributes;  // e.g. "source" = the replayed recording's id
  std::optional<SegmentLink> previous = std::nullopt;           // none: the first of its run
  std::optional<WrappedKey> wrapped_key = std::nullopt;         // of an encrypted segment
  bool operator==(const SegmentHeader&) const = default;
};

// Bytes lost outside of any one session's control (a chunk that could not be written).
struct LossRecord {
  GapReason reason = GapReason::kDiskError;
  TimeNs from = 0;
  TimeNs to = 0;
  std::uint64_t sessions = 0;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  std::string detail;  // e.g. "No space left on device"
  bool operator==(const LossRecord&) const = default;
};

struct SegmentIndex;  // segment_records.h

// One thread at a time.
class SegmentWriter {
 public:
  // Writes the header and, for a segment that continues earlier ones, the descriptors of the sessions that
  // are still open. `file` is borrowed. With `key` (used here only) what is written is encrypted. Check
  // status() after construction.
  SegmentWriter(WritableFile& file, const SegmentHeader& header,
                const std::vector<SessionDescriptor>& continuing, const RecordingKey* key = nullptr);
  ~SegmentWriter();

  // `records` is what ChunkEncoder::encode appended for `head`. After the first error nothing more is written
  // and every call returns that error.
  [[nodiscard]] std::error_code append_chunk(const ChunkHead& head, ByteView records);
  [[nodiscard]] std::error_code append_loss(const LossRecord& loss);
  // Digest, index and footer; nothing can be appended after it. `last`: no segment of this run follows.
  [[nodiscard]] std::error_code finish(bool last = true);
  [[nodiscard]] std::error_code sync() { return file_.sync(); }

  [[nodiscard]] std::error_code status() const { return status_; }
  [[nodiscard]] std::uint64_t size_bytes() const { return offset_; }
  // What the next segment says of this one, as it is now.
  [[nodiscard]] SegmentLink link() const { return {number_, offset_, hash_.value()}; }

 private:
  std::error_code write(ByteView bytes);
  std::error_code write_header(SegmentHeader header, const RecordingKey* key);
  std::error_code write_record(RecordType type, std::uint8_t flags, ByteView body);
  std::error_code write_listed(RecordType type, ByteView body);
  std::error_code write_digest(SegmentDigest digest, const ByteBuffer& index);
  [[nodiscard]] std::error_code append_sealed(const ChunkHead& head, ByteView head_record, ByteView body);

  WritableFile& file_;
  const std::uint32_t number_;
  std::uint64_t offset_ = 0;
  Sha256 hash_;                       // of all that was written
  std::optional<FileCipher> cipher_;  // of an encrypted segment
  std::uint32_t stamp_ = 0;           // names this segment in each of its records
  bool finished_ = false;
  std::error_code status_;
  std::unique_ptr<SegmentIndex> index_;
};

}  // namespace understudy
