#include "formats/transcript/segment_writer.h"

#include "formats/crc32c.h"
#include "formats/transcript/chunk_head.h"
#include "formats/transcript/record.h"
#include "formats/transcript/segment_records.h"

namespace understudy {

SegmentWriter::SegmentWriter(WritableFile& file, const SegmentHeader& header,
                             const std::vector<SessionDescriptor>& continuing, const RecordingKey* key)
    : file_(file), number_(header.segment), index_(std::make_unique<SegmentIndex>()) {
  if (write_header(header, key)) return;
  std::span<const SessionDescriptor> left(continuing);
  ByteBuffer body;
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
  if (status_) return status_;
  offset_ += bytes.size();
  hash_.add(bytes);
  return {};
}

std::error_code SegmentWriter::write_header(SegmentHeader header, const RecordingKey* key) {
  header.wrapped_key = key == nullptr ? std::nullopt : std::optional(key->begin());
  ByteBuffer body;
  encode_header(header, body);
  if (key != nullptr) {
    const SecretKey file_key = SecretKey::random();
    key->wrap(file_key, ByteView(body).first(body.size() - kWrappedKeyBytes), *header.wrapped_key);
    body.clear();
    encode_header(header, body);
    cipher_.emplace(file_key, sha256(body));
  }
  stamp_ = crc32c(body);
  return write_record(RecordType::kHeader, kRecordRequired, body);
}

std::error_code SegmentWriter::write_record(RecordType type, std::uint8_t flags, ByteView body) {
  ByteBuffer record;
  append_record(record, type, flags, body);
  seal_record(record, stamp_, offset_);
  return write(record);
}

// A record that the index must list; encrypted where the segment is.
std::error_code SegmentWriter::write_listed(RecordType type, ByteView body) {
  const std::uint64_t offset = offset_;
  ByteBuffer sealed;
  if (cipher_) cipher_->seal(type, offset, {}, body, sealed);
  if (write_record(type, 0, cipher_ ? ByteView(sealed) : body)) return status_;
  index_->records.push_back({static_cast<std::uint8_t>(type), 0, offset});
  return {};
}

std::error_code SegmentWriter::append_chunk(const ChunkHead& head, ByteView records) {
  if (finished_ || records.size() <= head.stored_bytes)
    return std::make_error_code(std::errc::invalid_argument);
  const ByteView head_record = records.first(records.size() - head.stored_bytes);
  const ByteView body = records.subspan(head_record.size());
  if (!cipher_) return append_sealed(head, head_record, body);
  // Its size and checksum are other ones, and take as many bytes.
  ByteBuffer encrypted;
  const ChunkHead stored = encrypt_body(*cipher_, head, offset_ + head_record.size(), body, encrypted);
  ByteBuffer record;
  const std::size_t begin = begin_record(record, RecordType::kChunk, kRecordRequired);
  understudy::encode(stored, record);
  end_record(record, begin);
  return append_sealed(stored, record, encrypted);
}

std::error_code SegmentWriter::append_sealed(const ChunkHead& head, ByteView head_record, ByteView body) {
  const std::uint64_t offset = offset_;
  ByteBuffer record(head_record.begin(), head_record.end());
  seal_record(record, stamp_, offset);
  if (write(record) || write(body)) return status_;
  index_->chunks.push_back({offset, offset + record.size(), head});
  return {};
}

std::error_code SegmentWriter::append_loss(const LossRecord& loss) {
  if (finished_) return std::make_error_code(std::errc::invalid_argument);
  ByteBuffer body;
  encode(loss, body);
  return write_listed(RecordType::kLoss, body);
}

std::error_code SegmentWriter::write_digest(SegmentDigest digest, const ByteBuffer& index) {
  digest.content = hash_.value();
  digest.index = sha256(index);
  ByteBuffer body;
  encode(digest, body);
  if (cipher_) {
    const ByteBuffer bound = body;
    cipher_->seal(RecordType::kDigest, offset_, bound, {}, body);
  }
  return write_record(RecordType::kDigest, 0, body);
}

std::error_code SegmentWriter::finish(bool last) {
  if (finished_) return std::make_error_code(std::errc::invalid_argument);
  finished_ = true;
  index_->records.push_back({static_cast<std::uint8_t>(RecordType::kDigest), 0, offset_});
  ByteBuffer index;
  encode(*index_, index);
  if (write_digest({.last = last}, index)) return status_;
  const std::uint64_t index_offset = offset_;
  // An index past a record's limit is left out: the segment is then read as an unclean one, by walking.
  if (index.size() + kRecordOverheadBytes > kMaxRecordBytes) return status_;
  if (write_record(RecordType::kIndex, 0, index)) return status_;
  ByteBuffer footer;
  encode_footer(index_offset, footer);
  return write_record(RecordType::kFooter, 0, footer);
}

}  // namespace understudy
