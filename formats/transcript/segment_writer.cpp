#include "formats/transcript/segment_writer.h"

#include "formats/crc32c.h"
#include "formats/transcript/record.h"
#include "formats/transcript/segment_records.h"

namespace understudy {

SegmentWriter::SegmentWriter(WritableFile& file, const SegmentHeader& header,
                             const std::vector<SessionDescriptor>& continuing)
    : file_(file), index_(std::make_unique<SegmentIndex>()) {
  ByteBuffer body;
  encode_header(header, body);
  stamp_ = crc32c(body);
  if (write_record(RecordType::kHeader, kRecordRequired, body)) return;
  std::span<const SessionDescriptor> left(continuing);
  while (!left.empty()) {
    body.clear();
    left = left.subspan(encode_continuing(left, body));
    if (write_listed(RecordType::kContinuing, body)) return;
  }
}

SegmentWriter::~SegmentWriter() = default;

// After an error nobody knows how much of the bytes is in the file, and a record is only valid at its place:
// the segment takes nothing more. What was whole before stays readable.
std::error_code SegmentWriter::write(ByteView bytes) {
  if (status_) return status_;
  status_ = file_.append(bytes);
  if (!status_) offset_ += bytes.size();
  return status_;
}

std::error_code SegmentWriter::write_record(RecordType type, std::uint8_t flags, ByteView body) {
  ByteBuffer record;
  append_record(record, type, flags, body);
  seal_record(record, stamp_, offset_);
  return write(record);
}

// A record that the index must list.
std::error_code SegmentWriter::write_listed(RecordType type, ByteView body) {
  const std::uint64_t offset = offset_;
  if (write_record(type, 0, body)) return status_;
  index_->records.push_back({static_cast<std::uint8_t>(type), 0, offset});
  return {};
}

std::error_code SegmentWriter::append_chunk(const ChunkHead& head, ByteView records) {
  if (finished_ || records.size() <= head.stored_bytes)
    return std::make_error_code(std::errc::invalid_argument);
  const std::size_t head_bytes = records.size() - head.stored_bytes;
  const std::uint64_t offset = offset_;
  ByteBuffer record(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(head_bytes));
  seal_record(record, stamp_, offset);
  if (write(record) || write(records.subspan(head_bytes))) return status_;
  index_->chunks.push_back({offset, offset + head_bytes, head});
  return {};
}

std::error_code SegmentWriter::append_loss(const LossRecord& loss) {
  if (finished_) return std::make_error_code(std::errc::invalid_argument);
  ByteBuffer body;
  encode(loss, body);
  return write_listed(RecordType::kLoss, body);
}

std::error_code SegmentWriter::finish() {
  if (finished_) return std::make_error_code(std::errc::invalid_argument);
  finished_ = true;
  const std::uint64_t index_offset = offset_;
  ByteBuffer body;
  encode(*index_, body);
  // An index past a record's limit is left out: the segment is then read as an unclean one, by walking.
  if (body.size() + kRecordOverheadBytes > kMaxRecordBytes) return status_;
  if (write_record(RecordType::kIndex, 0, body)) return status_;
  body.clear();
  encode_footer(index_offset, body);
  return write_record(RecordType::kFooter, 0, body);
}

}  // namespace understudy
