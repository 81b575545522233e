#include "formats/transcript/verify.h"

#include <algorithm>

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

void add_chunk(SegmentReport& report, const SegmentWalk::Step& step, const Chunk& chunk) {
  const bool first = report.chunks++ == 0;
  for (const ChunkHead::Session& session : step.head.sessions) report.sessions.insert(session.id);
  report.events += chunk.size();
  for (std::size_t i = 0; i < chunk.size(); ++i) add_event(report, chunk.event(i));
  report.stored_bytes += step.end - step.offset;
  report.first_time = first ? step.head.first_time : std::min(report.first_time, step.head.first_time);
  report.last_time = first ? step.head.last_time : std::max(report.last_time, step.head.last_time);
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

// The walk from the very start, header included.
void walk(const ReadableFile& file, const SegmentReader& reader, SegmentReport& report) {
  SegmentWalk walk(file, report.name, 0, reader.stamp(), report.damage);
  IndexCheck index(reader);
  while (const std::optional<SegmentWalk::Step> step = walk.next()) {
    if (!step->record.is(RecordType::kChunk)) continue;
    if (!index.next(*step)) report.index_agrees = false;
    Damage damage;
    if (const std::shared_ptr<const Chunk> chunk =
            read_chunk(file, report.name, step->body_offset, step->head, damage)) {
      add_chunk(report, *step, *chunk);
    } else {
      ++report.damaged_chunks;
      report.damage.push_back(damage);
    }
  }
  // A chunk that only the index knows has a damaged head, which the walk has counted; without damage the
  // index lies.
  if (index.missed() > 0 && report.damage.empty()) report.index_agrees = false;
}

}  // namespace

SegmentReport verify_segment(const ReadableFile& file, const std::string& name) {
  const SegmentReader reader(std::make_unique<BorrowedFile>(file), name);
  SegmentReport report;
  report.name = name;
  report.header = reader.header();
  report.clean = reader.clean();
  report.size_bytes = file.size();
  report.losses = reader.losses();
  walk(file, reader, report);
  if (file.size() == 0) report.damage = reader.damage();
  std::sort(report.damage.begin(), report.damage.end(),
            [](const Damage& a, const Damage& b) { return a.offset < b.offset; });
  for (const Damage& damage : report.damage) report.lost_bytes += damage.bytes;
  report.whole_bytes = report.size_bytes - report.lost_bytes;
  return report;
}

}  // namespace understudy
