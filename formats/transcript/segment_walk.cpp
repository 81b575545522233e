#include "formats/transcript/segment_walk.h"

#include <algorithm>

#include "formats/crc32c.h"
#include "formats/transcript/chunk_head.h"

namespace understudy {
namespace {

constexpr std::size_t kWindowBytes = std::size_t{1} << 20;
constexpr const char* kNotAuthentic =
    "chunk body: changed, moved or from elsewhere: its authentication fails, and nothing of it was "
    "decrypted; "
    "take the file from a copy";

// At the very beginning it is the header. A length that leads past the end is not the end of the file if more
// records follow.
const char* describe_damage(std::uint64_t offset, bool torn) {
  if (torn) return offset == 0 ? "file ends inside its header" : "file ends inside a record";
  return offset == 0 ? "damaged header" : "damaged record";
}

bool known(const Record& record) {
  for (const RecordType type :
       {RecordType::kHeader, RecordType::kContinuing, RecordType::kChunk, RecordType::kLoss,
        RecordType::kDigest, RecordType::kIndex, RecordType::kFooter}) {
    if (record.is(type)) return true;
  }
  return false;
}

// Where `magic` next begins in `window`, from `from` on; the window's size when nowhere.
std::size_t find_magic(ByteView window, std::size_t from) {
  Byte magic[4];
  std::memcpy(magic, &kRecordMagic, sizeof magic);
  const auto found = std::search(window.begin() + static_cast<std::ptrdiff_t>(std::min(from, window.size())),
                                 window.end(), std::begin(magic), std::end(magic));
  return static_cast<std::size_t>(found - window.begin());
}

}  // namespace

void read_bytes(const ReadableFile& file, const std::string& name, std::uint64_t offset, std::size_t length,
                ByteBuffer& buffer) {
  if (const std::error_code error = file.read(offset, length, buffer)) {
    throw RecordingError(name, offset, "cannot be read: " + error.message());
  }
}

ReadStatus read_record(const ReadableFile& file, const std::string& name, std::uint64_t offset,
                       ByteBuffer& buffer, Record& out) {
  read_bytes(file, name, offset, kRecordPrefixBytes, buffer);
  if (buffer.size() < kRecordPrefixBytes) return ReadStatus::kTorn;
  const std::size_t length = record_length(buffer);
  if (length == 0) return ReadStatus::kBad;
  if (length > file.size() - offset) return ReadStatus::kTorn;
  read_bytes(file, name, offset, length, buffer);
  return parse_record(buffer, offset, out) ? ReadStatus::kWhole : ReadStatus::kBad;
}

bool read_body(const ReadableFile& file, const std::string& name, std::uint64_t body_offset,
               const ChunkHead& head, ByteBuffer& body, Damage& damage) {
  damage = {name, body_offset, head.stored_bytes, {}};
  if (const std::error_code error = file.read(body_offset, head.stored_bytes, body)) {
    damage.what = "chunk body: cannot be read: " + error.message();
  } else if (body.size() != head.stored_bytes) {
    damage.what = "chunk body: file ends inside it";
  } else if (crc32c(body) != head.body_crc32c) {
    damage.what = "chunk body: checksum mismatch";
  }
  return damage.what.empty();
}

std::shared_ptr<const Chunk> read_chunk(const ReadableFile& file, const std::string& name,
                                        std::uint64_t body_offset, const ChunkHead& head,
                                        const FileCipher* cipher, Damage& damage) {
  ByteBuffer body;
  if (!read_body(file, name, body_offset, head, body, damage)) return nullptr;
  if (cipher != nullptr) {
    ByteBuffer decrypted;
    if (!decrypt_body(*cipher, head, body_offset, body, decrypted)) {
      damage.what = kNotAuthentic;
      return nullptr;
    }
    return Chunk::decode(head, decrypted, damage.what);
  }
  if (is_encrypted_body(body)) {
    damage.what = "chunk body: encrypted, and the header with its key is damaged";
    return nullptr;
  }
  return Chunk::decode(head, body, damage.what);
}

void refuse_unknown(const std::string& name, std::uint64_t offset, std::uint8_t type, std::uint8_t flags) {
  if ((flags & kRecordRequired) == 0) return;
  throw RecordingError(name, offset,
                       "holds a record of type " + std::to_string(type) +
                           " that this version does not know and must not pass over: use a newer understudy");
}

SegmentWalk::SegmentWalk(const ReadableFile& file, const std::string& name, std::uint64_t offset,
                         std::optional<std::uint32_t> stamp, std::vector<Damage>& damage)
    : file_(file),
      name_(name),
      offset_(offset),
      stamp_(stamp),
      damage_(damage),
      // A file made to look like records everywhere must not cost the square of its size.
      search_budget_(8 * file.size() + kWindowBytes) {}

// A whole record of this segment at `offset`? A chunk's head must make sense too.
bool SegmentWalk::read_at(std::uint64_t offset, Step& step, ReadStatus& status) {
  status = read_record(file_, name_, offset, buffer_, step.record);
  if (status != ReadStatus::kWhole) return false;
  status = ReadStatus::kBad;
  if (stamp_ && step.record.stamp != *stamp_) return false;
  step.offset = offset;
  step.end = step.body_offset = offset + buffer_.size();
  if (step.record.is(RecordType::kChunk)) {
    if (!decode(step.record.body, step.head)) return false;
    step.end += step.head.stored_bytes;
  }
  return true;
}

// Looks for the next record after damage at offset_, a window at a time.
bool SegmentWalk::resynchronise(Step& step, bool torn) {
  const std::uint64_t begin = offset_;
  ByteBuffer window;
  for (std::uint64_t at = begin + 1; at < file_.size(); at += kWindowBytes) {
    read_bytes(file_, name_, at, kWindowBytes + sizeof kRecordMagic - 1, window);
    for (std::size_t i = find_magic(window, 0); i < window.size(); i = find_magic(window, i + 1)) {
      ReadStatus status = ReadStatus::kBad;
      const bool found = read_at(at + i, step, status);
      if (found) {
        damage_.push_back({name_, begin, step.offset - begin, describe_damage(begin, false)});
        return true;
      }
      if (buffer_.size() >= search_budget_) break;
      search_budget_ -= buffer_.size();
    }
  }
  damage_.push_back({name_, begin, file_.size() - begin, describe_damage(begin, torn)});
  offset_ = file_.size();
  return false;
}

// False when the walk ends or goes on without this record.
bool SegmentWalk::accept(Step& step) {
  if (!stamp_) stamp_ = step.record.stamp;
  if (step.record.version > kFormatMajor) {
    throw RecordingError(name_, step.offset, "written by a newer version of understudy: use that one");
  }
  if (step.end > file_.size()) {
    damage_.push_back({name_, step.offset, file_.size() - step.offset, "file ends inside a chunk"});
    offset_ = file_.size();
    return false;
  }
  offset_ = step.end;
  if (known(step.record)) return true;
  refuse_unknown(name_, step.offset, step.record.type, step.record.flags);
  return false;
}

std::optional<SegmentWalk::Step> SegmentWalk::next() {
  while (offset_ < file_.size()) {
    Step step;
    ReadStatus status = ReadStatus::kBad;
    if (!read_at(offset_, step, status) && !resynchronise(step, status == ReadStatus::kTorn)) {
      break;
    }
    if (accept(step)) return step;
  }
  return std::nullopt;
}

}  // namespace understudy
