#include "formats/transcript/segment_reader.h"

#include <algorithm>

#include "formats/transcript/encryption.h"
#include "formats/transcript/record.h"
#include "formats/transcript/segment_records.h"
#include "formats/transcript/segment_walk.h"

namespace understudy {
namespace {

constexpr const char* kMalformedContinuing = "damaged list of open sessions";
constexpr const char* kMalformedLoss = "damaged loss record";
constexpr const char* kDamagedHeader = "damaged header";
constexpr const char* kForeignIndex = "index: not the one its writer closed the segment with";

// True when `have` is how a segment's file begins, as far as it goes.
bool begins_like(ByteView have, std::size_t at, ByteView expected) {
  if (have.size() <= at) return true;
  const ByteView seen = have.subspan(at, std::min(expected.size(), have.size() - at));
  return std::equal(seen.begin(), seen.end(), expected.begin());
}

// How much of a segment's beginning is there: its first bytes, and the text after them. One of them may be
// damaged and the file still be a segment; in a file shorter than both, what there is must fit.
enum class Beginning { kOurs, kDamaged, kForeign };

Beginning recognise(ByteView beginning) {
  Byte magic[4];
  std::memcpy(magic, &kRecordMagic, sizeof magic);
  const bool magic_fits = begins_like(beginning, 0, magic);
  const bool text_fits = begins_like(beginning, kHeaderTextAt, as_bytes(kHeaderText));
  if (magic_fits && text_fits) return Beginning::kOurs;
  const bool long_enough = beginning.size() >= kHeaderTextAt + kHeaderText.size();
  return long_enough && (magic_fits || text_fits) ? Beginning::kDamaged : Beginning::kForeign;
}

[[noreturn]] void refuse_foreign(const std::string& name) {
  throw RecordingError(name, 0, "not an understudy transcript");
}

void refuse_newer(const std::string& name, const HeaderVersion& version) {
  const std::string use = ": use the understudy that wrote it, or a newer one";
  if (version.major > kFormatMajor) {
    throw RecordingError(name, kHeaderTextAt + kHeaderText.size(),
                         "written in transcript format " + std::to_string(version.major) + "." +
                             std::to_string(version.minor) + ", this version reads " +
                             std::to_string(kFormatMajor) + "." + std::to_string(kFormatMinor) + use);
  }
  if ((version.required_features & ~kKnownFeatures) != 0) {
    throw RecordingError(name, kHeaderTextAt + kHeaderText.size() + 2,
                         "needs features this version does not know (bits " +
                             std::to_string(version.required_features & ~kKnownFeatures) + ")" + use);
  }
}

// Where the header ended, if it cannot say so itself: what follows it is the first thing that the index
// lists.
std::uint64_t first_offset(const SegmentIndex& index, std::uint64_t index_offset) {
  std::uint64_t first = index.chunks.empty() ? index_offset : index.chunks.front().offset;
  for (const SegmentIndex::RecordEntry& record : index.records) first = std::min(first, record.offset);
  return first;
}

}  // namespace

SegmentReader::SegmentReader(std::unique_ptr<ReadableFile> file, std::string name, const Keyring* keys,
                             Contents contents)
    : file_(std::move(file)), name_(std::move(name)) {
  if (!read_header(keys, contents)) return;
  if (!read_index()) walk();
}

std::uint64_t SegmentReader::size_bytes() const { return file_->size(); }

// False when there is nothing after it.
bool SegmentReader::read_header(const Keyring* keys, Contents contents) {
  ByteBuffer buffer;
  read_bytes(*file_, name_, 0, kHeaderTextAt + kHeaderText.size(), buffer);
  const Beginning beginning = recognise(buffer);
  if (beginning == Beginning::kForeign) refuse_foreign(name_);
  doubtful_ = beginning == Beginning::kDamaged;
  if (buffer.size() < kHeaderTextAt + kHeaderText.size()) {
    damage_.push_back({name_, 0, file_->size(), "file ends inside its header"});
    return false;
  }
  Record record;
  HeaderVersion version;
  if (read_record(*file_, name_, 0, buffer, record) != ReadStatus::kWhole ||
      !record.is(RecordType::kHeader) || !decode_header_version(record.body, version)) {
    return true;  // damaged: the walk says so
  }
  refuse_newer(name_, version);
  std::size_t key_at = 0;
  if (!decode_header(record.body, header_, key_at)) throw RecordingError(name_, 0, "malformed header");
  if (encrypted()) unlock(record.body, key_at, keys, contents);
  chained_ = version.minor >= kMinorWithChain;
  stamp_ = record.stamp;
  first_record_ = buffer.size();
  return true;
}

void SegmentReader::unlock(ByteView header_body, std::size_t key_at, const Keyring* keys, Contents contents) {
  if (keys == nullptr && contents == Contents::kOptional) return;
  const Keyring none;
  const Keyring::Opened opened =
      (keys == nullptr ? none : *keys).open(*header_.wrapped_key, header_body.first(key_at));
  const std::uint64_t at = kRecordPrefixBytes + key_at;
  if (opened.wrong_key) throw WrongKeyError(name_, at, opened.problem);
  if (!opened.key) throw RecordingError(name_, at, opened.problem);
  cipher_.emplace(*opened.key, sha256(header_body));
}

bool SegmentReader::read_index() {
  if (file_->size() < first_record_ + kFooterBytes) return false;
  const std::uint64_t footer_offset = file_->size() - kFooterBytes;
  ByteBuffer buffer;
  Record record;
  std::uint64_t index_offset = 0;
  if (read_record(*file_, name_, footer_offset, buffer, record) != ReadStatus::kWhole ||
      !record.is(RecordType::kFooter) || (stamp_ && record.stamp != *stamp_) ||
      record.version != kFormatMajor || !decode_footer(record.body, index_offset)) {
    return false;
  }
  const std::uint32_t stamp = record.stamp;
  SegmentIndex index;
  if (index_offset >= footer_offset ||
      read_record(*file_, name_, index_offset, buffer, record) != ReadStatus::kWhole ||
      !record.is(RecordType::kIndex) || record.stamp != stamp ||
      index_offset + buffer.size() != footer_offset || !decode(record.body, index)) {
    return false;  // the walk passes it and says so
  }
  if (cipher_ && !sealed_by_writer(index, record.body)) {
    damage_.push_back({name_, index_offset, 0, kForeignIndex});
    return false;
  }
  if (!use_index(index, index_offset)) return false;
  stamp_ = stamp;
  // A walk would have told.
  if (first_record_ == 0) damage_.push_back({name_, 0, first_offset(index, index_offset), kDamagedHeader});
  index_offset_ = index_offset;
  read_listed(index);
  clean_ = true;
  return true;
}

// It stands right before the index.
std::optional<SegmentReader::Closing> SegmentReader::digest() const {
  const std::uint64_t length = kRecordOverheadBytes + kDigestBytes + (encrypted() ? kTagBytes : 0);
  if (!clean_ || index_offset_ < length) return std::nullopt;
  ByteBuffer buffer;
  Record record;
  Closing closing{.offset = index_offset_ - length, .digest = {}};
  const bool whole = read_record(*file_, name_, closing.offset, buffer, record) == ReadStatus::kWhole &&
                     record.is(RecordType::kDigest) && record.stamp == *stamp_ &&
                     decode(record.body, closing.digest);
  if (!whole) return std::nullopt;
  return closing;
}

// Takes the chunks over if they lie in the file one after another.
bool SegmentReader::use_index(const SegmentIndex& index, std::uint64_t index_offset) {
  std::uint64_t end = first_record_;
  for (const SegmentIndex::ChunkEntry& chunk : index.chunks) {
    const bool in_order =
        chunk.offset >= end && chunk.offset < chunk.body_offset && chunk.body_offset <= index_offset;
    if (!in_order || chunk.head.stored_bytes > index_offset - chunk.body_offset) return false;
    end = chunk.body_offset + chunk.head.stored_bytes;
  }
  for (const SegmentIndex::ChunkEntry& chunk : index.chunks) {
    chunks_.push_back({chunk.offset, chunk.body_offset, chunk.head});
  }
  return true;
}

// In an encrypted segment the index itself is not, but whoever changes it is found out.
bool SegmentReader::sealed_by_writer(const SegmentIndex& index, ByteView index_body) {
  ByteBuffer buffer;
  Record record;
  SegmentDigest digest;
  for (const SegmentIndex::RecordEntry& entry : index.records) {
    if (entry.type != static_cast<std::uint8_t>(RecordType::kDigest) || entry.offset >= file_->size())
      continue;
    return read_record(*file_, name_, entry.offset, buffer, record) == ReadStatus::kWhole &&
           authentic_digest(*cipher_, record, entry.offset) && decode(record.body, digest) &&
           digest.index == sha256(index_body);
  }
  return false;
}

void SegmentReader::read_listed(const SegmentIndex& index) {
  ByteBuffer buffer;
  for (const SegmentIndex::RecordEntry& entry : index.records) {
    const bool continuing = entry.type == static_cast<std::uint8_t>(RecordType::kContinuing);
    const bool loss = entry.type == static_cast<std::uint8_t>(RecordType::kLoss);
    if (!continuing && !loss) {
      refuse_unknown(name_, entry.offset, entry.type, entry.flags);
      continue;
    }
    Record record;
    const bool whole = entry.offset < file_->size() &&
                       read_record(*file_, name_, entry.offset, buffer, record) == ReadStatus::kWhole &&
                       record.type == entry.type && record.stamp == *stamp_;
    if (whole) {
      take(record, entry.offset, 0);
    } else {
      damage_.push_back({name_, entry.offset, 0, continuing ? kMalformedContinuing : kMalformedLoss});
    }
  }
}

// A list of open sessions, or a loss record; what it costs in the file if it is damaged.
void SegmentReader::take(const Record& record, std::uint64_t offset, std::uint64_t bytes) {
  const bool continuing = record.is(RecordType::kContinuing);
  if (!readable()) {
    unread_losses_ += continuing ? 0 : 1;
    return;
  }
  ByteBuffer decrypted;
  ByteView body = record.body;
  bool whole = true;
  if (cipher_) {
    whole = cipher_->open(static_cast<RecordType>(record.type), offset, {}, record.body, decrypted);
    body = decrypted;
  }
  LossRecord lost;
  whole = whole && (continuing ? decode_continuing(body, continuing_) : decode(body, lost));
  if (!whole) {
    damage_.push_back({name_, offset, bytes, continuing ? kMalformedContinuing : kMalformedLoss});
  } else if (!continuing) {
    losses_.push_back(lost);
  }
}

void SegmentReader::walk() {
  SegmentWalk walk(*file_, name_, first_record_, stamp_, damage_);
  while (const std::optional<SegmentWalk::Step> step = walk.next()) {
    doubtful_ = false;
    if (step->record.is(RecordType::kChunk)) {
      chunks_.push_back({step->offset, step->body_offset, step->head});
    } else if (step->record.is(RecordType::kLoss) || step->record.is(RecordType::kContinuing)) {
      take(step->record, step->offset, step->end - step->offset);
    }
  }
  if (doubtful_) refuse_foreign(name_);
}

std::shared_ptr<const Chunk> SegmentReader::load(std::size_t index, Damage& damage) const {
  return read_chunk(*file_, name_, chunks_[index].body_offset, chunks_[index].head, cipher(), damage);
}

}  // namespace understudy
