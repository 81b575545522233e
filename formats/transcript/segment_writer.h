// Writes one segment file: header, chunks, loss records, index, footer. Crash states: any prefix of
// what was appended may be on disk; a reader keeps every whole chunk of it (segment_reader.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/transcript/chunk.h"
#include "formats/transcript/file.h"
#include "formats/transcript/record.h"

namespace understudy {

// The first record of every segment.
struct SegmentHeader {
  std::string recording_id;  // 32 hexadecimal digits, equal in all segments of one run
  std::uint32_t run = 1;
  std::uint32_t segment = 1;  // 1, 2, ... within the run
  TimeNs created_at = 0;
  std::string producer;                                         // "understudy 0.1.0 proxy"
  std::vector<std::pair<std::string, std::string>> attributes;  // e.g. "source" = the replayed recording's id
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
  // are still open. `file` is borrowed. Check status() after construction.
  SegmentWriter(WritableFile& file, const SegmentHeader& header,
                const std::vector<SessionDescriptor>& continuing);
  ~SegmentWriter();

  // `records` is what ChunkEncoder::encode appended for `head`. After the first error nothing more is written
  // and every call returns that error.
  [[nodiscard]] std::error_code append_chunk(const ChunkHead& head, ByteView records);
  [[nodiscard]] std::error_code append_loss(const LossRecord& loss);
  // Index and footer; nothing can be appended after it.
  [[nodiscard]] std::error_code finish();
  [[nodiscard]] std::error_code sync() { return file_.sync(); }

  [[nodiscard]] std::error_code status() const { return status_; }
  [[nodiscard]] std::uint64_t size_bytes() const { return offset_; }

 private:
  std::error_code write(ByteView bytes);
  std::error_code write_record(RecordType type, std::uint8_t flags, ByteView body);
  std::error_code write_listed(RecordType type, ByteView body);

  WritableFile& file_;
  std::uint64_t offset_ = 0;
  std::uint32_t stamp_ = 0;  // names this segment in each of its records
  bool finished_ = false;
  std::error_code status_;
  std::unique_ptr<SegmentIndex> index_;
};

}  // namespace understudy
