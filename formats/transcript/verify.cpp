#include "formats/transcript/verify.h"

#include <algorithm>
#include <set>

#include "formats/transcript/segment_records.h"
#include "formats/transcript/segment_walk.h"

namespace understudy {
namespace {

// Lends a file to a reader that wants to own one.
class BorrowedFile final : public ReadableFile {
 public:
  explicit BorrowedFile(const ReadableFile& file) : file_(file) {}
  std::error_code read(std::uint64_t offset, std::size_t length, ByteBuffer& out) const override {
    return file_.read(offset, length, out);
  }
  std::uint64_t size() const override { return file_.size(); }

 private:
  const ReadableFile& file_;
};

void add_event(SegmentReport& report, const Event& event) {
  report.data_bytes += event.data.size();
  Gap gap;
  if (event.kind != EventKind::kGap || !decode(event.data, gap)) return;
  ++report.gaps;
  report.gap_bytes += gap.client_bytes + gap.server_bytes;
}

// What is known of a chunk without its body.
void add_head(SegmentReport& report, const SegmentWalk::Step& step) {
  const bool first = report.chunks++ == 0;
  for (const ChunkHead::Session& session : step.head.sessions) {
    if (!session.id.of_marks()) report.sessions.insert(session.id);
  }
  report.events += step.head.event_count;
  report.stored_bytes += step.end - step.offset;
  report.first_time = first ? step.head.first_time : std::min(report.first_time, step.head.first_time);
  report.last_time = first ? step.head.last_time : std::max(report.last_time, step.head.last_time);
}

// Reads the chunk, and decodes it if it can be decrypted.
void add_chunk(const ReadableFile& file, const SegmentReader& reader, const SegmentWalk::Step& step,
               SegmentReport& report) {
  Damage damage;
  ByteBuffer body;
  std::shared_ptr<const Chunk> chunk;
  if (reader.readable()) {
    chunk = read_chunk(file, report.name, step.body_offset, step.head, reader.cipher(), damage);
  }
  const bool whole = reader.readable()
                         ? chunk != nullptr
                         : read_body(file, report.name, step.body_offset, step.head, body, damage);
  if (!whole) {
    ++report.damaged_chunks;
    report.damage.push_back(damage);
    return;
  }
  add_head(report, step);
  for (std::size_t i = 0; chunk && i < chunk->size(); ++i) add_event(report, chunk->event(i));
}

// Goes through the reader's list of chunks, taken from the index, beside the walk.
class IndexCheck {
 public:
  explicit IndexCheck(const SegmentReader& reader) : reader_(reader) {}

  // The walk is at a chunk: does the index say the same of it? Those that the walk missed have damaged heads.
  bool next(const SegmentWalk::Step& step) {
    while (at_ < reader_.chunk_count() && reader_.chunk_offset(at_) < step.offset) ++at_, ++missed_;
    const bool same = at_ < reader_.chunk_count() && reader_.chunk_offset(at_) == step.offset &&
                      reader_.chunk_head(at_) == step.head;
    if (same) ++at_;
    return same;
  }
  [[nodiscard]] std::size_t missed() const { return missed_ + reader_.chunk_count() - at_; }

 private:
  const SegmentReader& reader_;
  std::size_t at_ = 0;
  std::size_t missed_ = 0;
};

void take_digest(const SegmentReader& reader, const SegmentWalk::Step& step, SegmentReport& report) {
  SegmentDigest digest;
  const bool authentic =
      reader.cipher() == nullptr || authentic_digest(*reader.cipher(), step.record, step.offset);
  if (authentic && decode(step.record.body, digest)) {
    report.digest = DigestReport{.offset = step.offset, .digest = digest};
  } else {
    report.damage.push_back({report.name, step.offset, step.end - step.offset, "digest: not its writer's"});
  }
}

// The walk from the very start, header included. Sets `index_hash` to that of the last index's body.
void walk(const ReadableFile& file, const SegmentReader& reader, SegmentReport& report,
          Sha256Value& index_hash) {
  SegmentWalk walk(file, report.name, 0, reader.stamp(), report.damage);
  IndexCheck index(reader);
  while (const std::optional<SegmentWalk::Step> step = walk.next()) {
    if (step->record.is(RecordType::kIndex)) index_hash = sha256(step->record.body);
    if (step->record.is(RecordType::kDigest)) take_digest(reader, *step, report);
    if (!step->record.is(RecordType::kChunk)) continue;
    if (!index.next(*step)) report.index_agrees = false;
    add_chunk(file, reader, *step, report);
  }
  // A chunk that only the index knows has a damaged head, which the walk has counted; without damage the
  // index lies.
  if (index.missed() > 0 && report.damage.empty()) report.index_agrees = false;
}

// What only who decodes it can tell: lists of sessions and loss records that are whole, and not what was
// written; an index that is not the writer's.
void add_unauthentic(const SegmentReader& reader, SegmentReport& report) {
  std::set<std::uint64_t> told;
  for (const Damage& damage : report.damage) told.insert(damage.offset);
  for (const Damage& damage : reader.damage()) {
    if (told.insert(damage.offset).second) report.damage.push_back(damage);
  }
}

// Checksums can be set right by whoever changes a file; the digest says whether that was done.
void check_digest(const ReadableFile& file, const Sha256Value& index_hash, SegmentReport& report) {
  const bool unexplained = report.damage.empty() && report.index_agrees;
  if (!report.digest) {
    if (report.chained && report.clean && unexplained) {
      report.damage.push_back({report.name, report.size_bytes, 0,
                               "it is closed, and not by its writer: it has no digest of what it held"});
    }
    return;
  }
  const SegmentDigest& digest = report.digest->digest;
  report.digest->fits = digest.content == sha256_of_file(file, report.name, report.digest->offset);
  if (!unexplained) return;
  if (!report.digest->fits) {
    report.damage.push_back(
        {report.name, report.digest->offset, 0,
         "it does not hold what it held when it was closed: something was changed, put in "
         "or cut out, and its checksums set right"});
  } else if (report.clean && digest.index != index_hash) {
    report.damage.push_back(
        {report.name, report.digest->offset, 0, "its index is not the one it was closed with"});
  }
}

}  // namespace

SegmentReport verify_segment(const ReadableFile& file, const std::string& name, const Keyring* keys) {
  const SegmentReader reader(std::make_unique<BorrowedFile>(file), name, keys, Contents::kOptional);
  SegmentReport report;
  report.name = name;
  report.header = reader.header();
  report.clean = reader.clean();
  report.size_bytes = file.size();
  report.chained = reader.chained();
  report.encrypted = reader.encrypted();
  report.contents_seen = reader.readable();
  report.losses = reader.losses();
  report.unread_losses = reader.unread_losses();
  Sha256Value index_hash{};
  walk(file, reader, report, index_hash);
  add_unauthentic(reader, report);
  check_digest(file, index_hash, report);
  std::sort(report.damage.begin(), report.damage.end(),
            [](const Damage& a, const Damage& b) { return a.offset < b.offset; });
  for (const Damage& damage : report.damage) report.lost_bytes += damage.bytes;
  report.whole_bytes = report.size_bytes - report.lost_bytes;
  return report;
}

}  // namespace understudy
