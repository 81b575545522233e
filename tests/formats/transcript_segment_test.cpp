// One segment, whole or harmed.
#include <gmock/gmock.h>

#include "formats/crc32c.h"
#include "formats/transcript/record.h"
#include "formats/transcript/segment_records.h"
#include "formats/transcript/verify.h"
#include "tests/formats/transcript_fixture.h"

namespace understudy::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr SessionId kA{1, 1};
constexpr SessionId kB{1, 2};

class SegmentTest : public TranscriptTest {
 protected:
  // Two sessions, three chunks, every kind of event.
  void write_small() {
    begin({descriptor({1, 7}, 500, "earlier")});
    open_session(kA, 1'000);
    from_client(kA, 1'010, "Q: select 1");
    open_session(kB, 1'020);
    from_server(kA, 1'030, "T D C Z");
    seal();
    from_client(kB, 2'000, "");
    event(kB, 2'010, EventKind::kCancelled, "");
    event(kB, 2'020, EventKind::kRedacted, std::string("\0\1", 2));
    event({0, 0}, 2'030, EventKind::kMark, "deploy");
    from_server(kB, 2'040, std::string(300, 'x'));
    seal();
    EXPECT_FALSE(writer_->append_loss({GapReason::kDiskError, 2'100, 2'200, 2, 30, 4'000, "No space left"}));
    close_session(kA, 3'000);
    close_session(kB, 3'001);
    seal();
  }

  // What is left when one chunk is missing.
  [[nodiscard]] std::vector<Seen> all_but_chunk(std::size_t chunk) const {
    std::vector<Seen> left = written_;
    const auto begin = static_cast<std::ptrdiff_t>(chunk == 0 ? 0 : kChunkEvents[chunk - 1]);
    left.erase(left.begin() + begin, left.begin() + static_cast<std::ptrdiff_t>(kChunkEvents[chunk]));
    return left;
  }
  // The chunk that holds the file's byte at `offset`, or none: it is the header's, a loss record's, the
  // index's.
  [[nodiscard]] std::optional<std::size_t> chunk_at(std::size_t offset) const {
    for (std::size_t i = 0; i < chunk_begins_.size(); ++i) {
      if (offset >= chunk_begins_[i] && offset < chunk_ends_[i]) return i;
    }
    return std::nullopt;
  }
  void remember_chunks() {
    const auto reader = open();
    chunk_begins_.clear();
    for (std::size_t i = 0; i < reader->chunk_count(); ++i) chunk_begins_.push_back(reader->chunk_offset(i));
  }
  [[nodiscard]] SegmentReport verify() const {
    return verify_segment(MemoryReadableFile(file_.contents), "memory");
  }
  // A record made by hand at the end of the file.
  void append_record_by_hand(std::uint8_t type, std::uint8_t flags, ByteView body) {
    ByteBuffer record;
    append_record(record, static_cast<RecordType>(type), flags, body);
    seal_record(record, load_le32(file_.contents.data() + 12), file_.contents.size());
    append_bytes(file_.contents, record);
  }
  // Rewrites the header as a version of the future would.
  void forge_header(const std::function<void(ByteBuffer&)>& change) {
    ByteBuffer body(file_.contents.begin() + kRecordPrefixBytes,
                    file_.contents.begin() + static_cast<std::ptrdiff_t>(header_end_) - 4);
    change(body);
    ByteBuffer record;
    append_record(record, RecordType::kHeader, kRecordRequired, body);
    seal_record(record, crc32c(body), 0);
    file_.contents = record;
  }

  static constexpr std::size_t kChunkEvents[] = {4, 9, 11};  // events up to each chunk's end
  std::vector<std::size_t> chunk_begins_;
};

TEST_F(SegmentTest, EverythingWrittenIsReadBackInOrder) {
  write_small();
  finish();
  const auto reader = open();
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*reader, damage), written_);
  EXPECT_THAT(damage, IsEmpty());
  EXPECT_TRUE(reader->clean());
  EXPECT_EQ(reader->header(), default_header());
  ASSERT_EQ(reader->continuing().size(), 1U);
  EXPECT_EQ(reader->continuing()[0], descriptor({1, 7}, 500, "earlier"));
  ASSERT_EQ(reader->losses().size(), 1U);
  EXPECT_EQ(reader->losses()[0].detail, "No space left");
}

TEST_F(SegmentTest, TruncatedAtEveryByteKeepsEveryWholeChunk) {
  write_small();
  finish();
  const ByteBuffer whole = file_.contents;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    SCOPED_TRACE(length);
    file_.contents.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    const auto reader = open();
    std::size_t expected = 0;
    for (std::size_t i = 0; i < chunk_ends_.size(); ++i) {
      if (chunk_ends_[i] <= length) expected = kChunkEvents[i];
    }
    std::vector<Damage> damage;
    const std::vector<Seen> got = read_all(*reader, damage);
    ASSERT_EQ(got,
              std::vector<Seen>(written_.begin(), written_.begin() + static_cast<std::ptrdiff_t>(expected)));
    ASSERT_FALSE(reader->clean());
    const SegmentReport report = verify();
    ASSERT_FALSE(report.whole());
    ASSERT_EQ(report.events, expected);
    ASSERT_EQ(report.whole_bytes + report.lost_bytes, length);
    // Every byte is either of a whole record or counted as lost.
    std::uint64_t lost = 0;
    for (const Damage& found : damage) lost += found.bytes;
    ASSERT_EQ(lost, report.lost_bytes);
  }
}

TEST_F(SegmentTest, EveryFlippedByteOfACleanFileCostsAtMostItsChunk) {
  write_small();
  finish();
  remember_chunks();
  const ByteBuffer whole = file_.contents;
  for (std::size_t offset = 0; offset < whole.size(); ++offset) {
    for (const Byte bits : {Byte{0xFF}, Byte{0x01}, Byte{0x80}}) {
      SCOPED_TRACE(testing::Message() << "offset " << offset << " bits " << int{bits});
      file_.contents = whole;
      flip_byte(offset, bits);
      const auto reader = open();
      std::vector<Damage> damage;
      const std::vector<Seen> got = read_all(*reader, damage);
      const std::optional<std::size_t> chunk = chunk_at(offset);
      ASSERT_TRUE(got == written_ || (chunk && got == all_but_chunk(*chunk)));
      ASSERT_EQ(got == written_, damage.empty() || !chunk);
      const SegmentReport report = verify();
      ASSERT_FALSE(report.damage.empty());
      ASSERT_GT(report.lost_bytes, 0U);
    }
  }
}

TEST_F(SegmentTest, EveryFlippedByteOfAnUncleanFileCostsAtMostItsChunk) {
  write_small();
  remember_chunks();
  const ByteBuffer whole = file_.contents;
  for (std::size_t offset = 0; offset < whole.size(); ++offset) {
    for (const Byte bits : {Byte{0xFF}, Byte{0x01}, Byte{0x80}}) {
      SCOPED_TRACE(testing::Message() << "offset " << offset << " bits " << int{bits});
      file_.contents = whole;
      flip_byte(offset, bits);
      const auto reader = open();
      std::vector<Damage> damage;
      const std::vector<Seen> got = read_all(*reader, damage);
      const std::optional<std::size_t> chunk = chunk_at(offset);
      ASSERT_EQ(got, chunk ? all_but_chunk(*chunk) : written_);
      ASSERT_FALSE(damage.empty());
      ASSERT_FALSE(verify().whole());
    }
  }
}

TEST_F(SegmentTest, IndexAgreesWithTheWalk) {
  write_small();
  finish();
  const auto through_index = open();
  const SegmentReport report = verify();
  EXPECT_TRUE(report.index_agrees);
  EXPECT_EQ(report.chunks, 3U);
  shrink_to(size() - kFooterBytes);
  const auto walked = open();
  ASSERT_FALSE(walked->clean());
  ASSERT_EQ(walked->chunk_count(), through_index->chunk_count());
  for (std::size_t i = 0; i < walked->chunk_count(); ++i) {
    EXPECT_EQ(walked->chunk_head(i), through_index->chunk_head(i));
    EXPECT_EQ(walked->chunk_offset(i), through_index->chunk_offset(i));
  }
  EXPECT_EQ(walked->losses(), through_index->losses());
  EXPECT_EQ(walked->continuing(), through_index->continuing());
}

TEST_F(SegmentTest, IndexThatOmitsAChunkIsFoundOut) {
  write_small();
  const auto walked = open();
  SegmentIndex index;
  const std::uint64_t index_offset = size();
  ByteBuffer body;
  encode(index, body);
  append_record_by_hand('I', 0, body);
  body.clear();
  encode_footer(index_offset, body);
  append_record_by_hand('F', 0, body);
  ASSERT_TRUE(open()->clean());
  EXPECT_EQ(open()->chunk_count(), 0U);
  EXPECT_FALSE(verify().index_agrees);
  EXPECT_FALSE(verify().whole());
}

TEST_F(SegmentTest, IndexThatPointsOutOfTheFileIsNotFollowed) {
  write_small();
  const auto walked = open();
  for (const std::uint64_t lie : {std::uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 10, std::uint64_t{0}}) {
    SegmentIndex index;
    for (std::size_t i = 0; i < walked->chunk_count(); ++i) {
      index.chunks.push_back({walked->chunk_offset(i), walked->chunk_offset(i) + 30, walked->chunk_head(i)});
    }
    index.chunks[1].body_offset = lie;
    index.records.push_back({'L', 0, lie});
    const ByteBuffer before = file_.contents;
    const std::uint64_t index_offset = size();
    ByteBuffer body;
    encode(index, body);
    append_record_by_hand('I', 0, body);
    body.clear();
    encode_footer(index_offset, body);
    append_record_by_hand('F', 0, body);
    const auto reader = open();
    EXPECT_FALSE(reader->clean());
    std::vector<Damage> damage;
    EXPECT_EQ(read_all(*reader, damage), written_);
    file_.contents = before;
  }
}

TEST_F(SegmentTest, RecordsLengthLyingAboutTheFileTakesNoMemory) {
  write_small();
  remember_chunks();
  for (const std::uint32_t lie : {0U, 1U, 11U, 12U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
    const ByteBuffer before = file_.contents;
    std::memcpy(file_.contents.data() + chunk_begins_[1] + 4, &lie, sizeof lie);
    const auto reader = open();
    std::vector<Damage> damage;
    EXPECT_EQ(read_all(*reader, damage), all_but_chunk(1));
    EXPECT_FALSE(damage.empty());
    file_.contents = before;
  }
}

TEST_F(SegmentTest, NewerVersionIsRefusedWithFileAndOffset) {
  begin();
  forge_header([](ByteBuffer& body) { body[kHeaderText.size()] = kFormatMajor + 1; });
  EXPECT_THAT(refusal(), HasSubstr("memory: written in transcript format 2.1"));
  EXPECT_THAT(refusal(), HasSubstr("at byte 38"));
}

TEST_F(SegmentTest, NewerMinorVersionIsRead) {
  begin();
  forge_header([](ByteBuffer& body) { body[kHeaderText.size() + 1] = kFormatMinor + 1; });
  EXPECT_EQ(refusal(), "");
}

TEST_F(SegmentTest, UnknownRequiredFeatureIsRefusedWithFileAndOffset) {
  begin();
  forge_header([](ByteBuffer& body) { body[kHeaderText.size() + 2] = 4; });
  EXPECT_THAT(refusal(), HasSubstr("memory: needs features this version does not know (bits 4)"));
  EXPECT_THAT(refusal(), HasSubstr("at byte 40"));
}

TEST_F(SegmentTest, UnknownRequiredRecordIsRefusedWithFileAndOffset) {
  write_small();
  const std::size_t offset = size();
  append_record_by_hand('X', kRecordRequired, as_bytes("?"));
  EXPECT_THAT(refusal(), HasSubstr("memory: holds a record of type 88"));
  EXPECT_THAT(refusal(), HasSubstr("at byte " + std::to_string(offset)));
}

TEST_F(SegmentTest, UnknownRequiredRecordListedByTheIndexIsRefused) {
  begin();
  SegmentIndex index;
  index.records.push_back({'X', kRecordRequired, size()});
  append_record_by_hand('X', kRecordRequired, as_bytes("?"));
  const std::uint64_t index_offset = size();
  ByteBuffer body;
  encode(index, body);
  append_record_by_hand('I', 0, body);
  body.clear();
  encode_footer(index_offset, body);
  append_record_by_hand('F', 0, body);
  EXPECT_THAT(refusal(), HasSubstr("record of type 88"));
}

TEST_F(SegmentTest, UnknownOptionalRecordIsPassedOver) {
  write_small();
  append_record_by_hand('x', 0, as_bytes("of a later version"));
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*open(), damage), written_);
  EXPECT_THAT(damage, IsEmpty());
}

TEST_F(SegmentTest, ForeignFileIsRefused) {
  for (const std::string_view contents :
       {"-- PostgreSQL database dump\n\nSET statement_timeout = 0;\n", "x", "PK\3\4", "W*N\x18............",
        "(\xb5/\xfd and then a zstd frame that is no transcript"}) {
    file_.contents.assign(contents.begin(), contents.end());
    EXPECT_THAT(refusal(), HasSubstr("memory: not an understudy transcript (at byte 0)")) << contents;
  }
}

TEST_F(SegmentTest, SkippableFramesOfAnotherProgramAreRefused) {
  // The same zstd magic, but not our text.
  append_record(file_.contents, RecordType::kHeader, kRecordRequired,
                as_bytes("ANOTHER PROGRAM'S FRAME, LONG ENOUGH"));
  EXPECT_THAT(refusal(), HasSubstr("memory: not an understudy transcript (at byte 0)"));
}

TEST_F(SegmentTest, EmptyFileIsUncleanAndHoldsNothing) {
  const auto reader = open();
  EXPECT_FALSE(reader->clean());
  EXPECT_EQ(reader->chunk_count(), 0U);
  EXPECT_FALSE(reader->damage().empty());
  EXPECT_FALSE(verify().whole());
}

TEST_F(SegmentTest, SegmentWithoutChunksIsWhole) {
  begin();
  finish();
  EXPECT_TRUE(verify().whole());
  EXPECT_EQ(open()->chunk_count(), 0U);
}

TEST_F(SegmentTest, DamagedHeaderLosesNoChunk) {
  write_small();
  for (std::size_t offset = 0; offset < header_end_; ++offset) file_.contents[offset] = 'U';
  std::memcpy(file_.contents.data() + kHeaderTextAt, kHeaderText.data(), kHeaderText.size());
  const auto reader = open();
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*reader, damage), written_);
  ASSERT_EQ(damage.size(), 1U);
  EXPECT_EQ(damage[0].offset, 0U);
  EXPECT_EQ(damage[0].bytes, header_end_);
}

// Its index is read instead of all of it, and says nothing of the header.
TEST_F(SegmentTest, DamagedHeaderOfACleanFileIsTold) {
  begin();
  open_session(kA, 1'000);
  seal();
  finish();
  const ByteBuffer whole = file_.contents;
  for (std::size_t offset = 0; offset < header_end_; ++offset) {
    SCOPED_TRACE(offset);
    file_.contents = whole;
    flip_byte(offset, Byte{0x01});
    const auto reader = open();
    EXPECT_TRUE(reader->clean());
    EXPECT_EQ(reader->damage(), (std::vector<Damage>{{"memory", 0, header_end_, "damaged header"}}));
    const SegmentReport report = verify();
    ASSERT_EQ(report.damage.size(), 1U) << "not twice";
    EXPECT_EQ(report.damage[0].what, "damaged header");
    EXPECT_EQ(report.damage[0].bytes, header_end_);
  }
}

TEST_F(SegmentTest, GarbageAfterTheFooterIsCounted) {
  write_small();
  finish();
  const std::size_t end = size();
  append_bytes(file_.contents, as_bytes("\n\n appended by mistake"));
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*open(), damage), written_);
  ASSERT_EQ(damage.size(), 1U);
  EXPECT_EQ(damage[0].offset, end);
}

TEST_F(SegmentTest, TailOfZeroesAfterPowerLossIsCounted) {
  write_small();
  const std::size_t end = size();
  file_.contents.resize(end + 5'000, 0);
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*open(), damage), written_);
  ASSERT_EQ(damage.size(), 1U);
  EXPECT_EQ(damage[0].bytes, 5'000U);
}

// A transcript that was itself sent through a recorded session lies, incompressible, in a chunk's body.
TEST_F(SegmentTest, TranscriptInsideATranscriptIsNeverTakenForItsOwn) {
  begin();
  from_client(kA, 5, "the inner one");
  seal();
  finish();
  std::string noise(40'000, '\0');
  std::uint32_t state = 12'345;
  for (char& byte : noise) byte = static_cast<char>((state = state * 1'664'525 + 1'013'904'223) >> 24);
  const std::string inner = std::string(as_text(file_.contents));
  begin();
  from_client(kB, 10, noise + inner + noise);
  seal();
  from_client(kB, 20, "after");
  seal();
  ASSERT_NE(as_text(file_.contents).find(inner), std::string_view::npos)
      << "zstd must have stored it as it is";
  remember_chunks();
  flip_byte(chunk_begins_[0] + 20);
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*open(), damage), (std::vector<Seen>{written_[1]}));
  flip_byte(3);  // the header too, so that the segment's stamp is unknown
  damage.clear();
  EXPECT_EQ(read_all(*open(), damage), (std::vector<Seen>{written_[1]}));
}

TEST_F(SegmentTest, SegmentMovedWithinAFileIsNotRead) {
  write_small();
  file_.contents.insert(file_.contents.begin() + static_cast<std::ptrdiff_t>(header_end_), 1, Byte{0});
  std::vector<Damage> damage;
  EXPECT_THAT(read_all(*open(), damage), IsEmpty());
}

TEST_F(SegmentTest, RecordsEverywhereDoNotCostTheSquareOfTheFile) {
  begin();
  ByteBuffer fake;
  append_le32(fake, kRecordMagic);
  append_le32(fake, 3 << 20);
  append_le32(fake, 0x00010043);
  append_le32(fake, load_le32(file_.contents.data() + 12));
  while (size() < std::size_t{4} << 20) append_bytes(file_.contents, fake);
  const auto reader = open();  // a minute and more, if each of 260,000 candidates were read whole
  EXPECT_EQ(reader->damage().size(), 1U);
}

TEST_F(SegmentTest, DiskThatFillsUpKeepsWhatWasWhole) {
  begin();
  open_session(kA, 10);
  seal();
  const std::vector<Seen> before = written_;
  file_.fill_up_after(50);
  from_client(kA, 20, std::string(1'000, 'y'));
  ByteBuffer records;
  const ChunkHead head = encoder_.encode(slab_, records);
  EXPECT_EQ(writer_->append_chunk(head, records), std::errc::no_space_on_device);
  // Nothing is written after that: a record is only valid at the place that was meant for it.
  const std::size_t size_then = size();
  file_.fill_up_after(100'000);
  EXPECT_EQ(writer_->append_loss({}), std::errc::no_space_on_device);
  EXPECT_EQ(writer_->finish(), std::errc::no_space_on_device);
  EXPECT_EQ(size(), size_then);
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*open(), damage), before);
  EXPECT_FALSE(damage.empty());
}

TEST_F(SegmentTest, FileThatCannotBeReadIsRefusedWithFileAndOffset) {
  write_small();
  auto file = std::make_unique<MemoryReadableFile>(file_.contents);
  file->break_down();
  try {
    SegmentReader(std::move(file), "memory");
    FAIL() << "opened";
  } catch (const RecordingError& error) {
    EXPECT_THAT(error.what(), HasSubstr("memory: cannot be read"));
    EXPECT_THAT(error.what(), HasSubstr("at byte 0"));
  }
}

TEST_F(SegmentTest, NothingCanBeAppendedAfterTheFooter) {
  write_small();
  finish();
  EXPECT_TRUE(writer_->append_loss({}));
  EXPECT_TRUE(writer_->finish());
  EXPECT_TRUE(verify().clean);
}

TEST_F(SegmentTest, ManyOpenSessionsAreCarriedOverWhole) {
  std::vector<SessionDescriptor> open_sessions;
  for (std::uint32_t i = 1; i <= 20'000; ++i) open_sessions.push_back(descriptor({1, i}, i));
  begin(open_sessions);
  EXPECT_EQ(open()->continuing(), open_sessions);
  finish();
  EXPECT_EQ(open()->continuing(), open_sessions);
}

}  // namespace
}  // namespace understudy::test
