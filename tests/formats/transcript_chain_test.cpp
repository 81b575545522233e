// The chain of segments: whatever was taken out, put in, swapped or replaced is named.
#include "formats/transcript/chain.h"

#include <gmock/gmock.h>

#include <fstream>

#include "formats/transcript/segment_name.h"
#include "tests/formats/reseal.h"
#include "tests/formats/transcript_fixture.h"

namespace understudy::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ChainTest : public TranscriptTest {
 protected:
  ChainTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "understudy-chain-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~ChainTest() override { std::filesystem::remove_all(directory_); }

  // As a recorder does: each begins, then the one before it is closed.
  void save_run(std::uint32_t run, std::uint32_t segments, bool closed = true) {
    std::optional<SegmentLink> previous;
    const auto before = last_before(directory_, run);
    for (std::uint32_t number = 1; number <= segments; ++number) {
      SegmentHeader header = default_header();
      header.run = run;
      header.segment = number;
      header.previous = previous;
      header.created_at = number;
      if (before) header.attributes.emplace_back(kFollowsAttribute, to_text(*before));
      begin({}, header);
      for (int chunk = 0; chunk < 3; ++chunk) {
        from_client({run, 1}, 100 * number, std::string(50, static_cast<char>('a' + number)));
        seal();
      }
      previous = writer_->link();
      if (number < segments || closed) {
        EXPECT_FALSE(writer_->finish(number == segments));
      }
      write({.run = run, .segment = number}, file_.contents);
    }
  }
  void write(SegmentName name, const ByteBuffer& contents) {
    std::ofstream(path(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(contents.data()), static_cast<std::streamsize>(contents.size()));
  }
  [[nodiscard]] std::filesystem::path path(SegmentName name) const {
    return directory_ / format_segment_name(name);
  }
  [[nodiscard]] ByteBuffer contents(SegmentName name) const {
    std::ifstream in(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  void swap_files(SegmentName a, SegmentName b) {
    std::filesystem::rename(path(a), directory_ / "aside");
    std::filesystem::rename(path(b), path(a));
    std::filesystem::rename(directory_ / "aside", path(b));
  }
  // What is said of the recording: "file: what" for each problem.
  std::vector<std::string> problems(const std::optional<Sha256Value>& expected = {}) {
    chain_.emplace();
    if (expected) chain_->expect(*expected);
    for (const std::filesystem::path& file : list_segments(directory_)) {
      chain_->add(verify_segment(*open_file(file), file.string()), file);
    }
    std::vector<std::string> told;
    for (const ChainProblem& problem : chain_->problems()) {
      told.push_back(std::filesystem::path(problem.file).stem().string() + ": " + problem.what);
    }
    return told;
  }

  std::filesystem::path directory_;
  std::optional<ChainCheck> chain_;
};

TEST_F(ChainTest, SegmentsOfARunFollowEachOtherToTheLast) {
  save_run(1, 4);
  save_run(2, 1);
  EXPECT_THAT(problems(), IsEmpty());
  ASSERT_EQ(chain_->runs().size(), 2U);
  EXPECT_EQ(chain_->runs()[0].first, 1U);
  EXPECT_EQ(chain_->runs()[0].last, 4U);
  EXPECT_EQ(chain_->runs()[0].begins_after, 0U);
  EXPECT_EQ(chain_->runs()[0].end, ChainRun::End::kLast);
  EXPECT_TRUE(chain_->runs()[0].digest);
}

TEST_F(ChainTest, AMissingSegmentIsNamed) {
  save_run(1, 4);
  std::filesystem::remove(path({1, 2}));
  EXPECT_THAT(problems(), ElementsAre(AllOf(HasSubstr("000001-000003: segment 2"),
                                            HasSubstr("000001-000002.transcript) is missing"))));
}

TEST_F(ChainTest, SegmentsDeletedFromTheBeginningAreNoFault) {
  save_run(1, 4);
  std::filesystem::remove(path({1, 1}));
  std::filesystem::remove(path({1, 2}));
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_EQ(chain_->runs()[0].begins_after, 2U);
  EXPECT_EQ(chain_->runs()[0].first, 3U);
}

TEST_F(ChainTest, ThatOthersFollowedTheLastOneIsTold) {
  save_run(1, 4);
  std::filesystem::remove(path({1, 4}));
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_EQ(chain_->runs()[0].end, ChainRun::End::kGoesOn);
}

TEST_F(ChainTest, TheEndOfAnUnclosedSegmentCannotBeProven) {
  save_run(1, 3, false);
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_EQ(chain_->runs()[0].end, ChainRun::End::kUnclosed);
}

TEST_F(ChainTest, SwappedSegmentsAreNamed) {
  save_run(1, 4);
  swap_files({1, 2}, {1, 3});
  const std::vector<std::string> told = problems();
  EXPECT_THAT(told, testing::Contains(HasSubstr(
                        "000001-000002: holds what was written as 000001-000003.transcript: swapped")));
  EXPECT_THAT(told, testing::Contains(HasSubstr(
                        "000001-000003: holds what was written as 000001-000002.transcript: swapped")));
}

TEST_F(ChainTest, AReplacedSegmentIsNamed) {
  save_run(1, 4);
  const ByteBuffer ours = contents({1, 3});
  save_run(1, 2);  // others, of the same numbers
  const ByteBuffer another = contents({1, 2});
  save_run(1, 4);
  ByteBuffer changed = another;
  write({1, 2}, changed);
  EXPECT_THAT(problems(), IsEmpty()) << "it held the same";
  begin({}, [] {
    SegmentHeader header = default_header();
    header.segment = 2;
    header.previous = SegmentLink{.segment = 1};
    return header;
  }());
  from_client({1, 1}, 1, "forged");
  seal();
  finish();
  write({1, 2}, file_.contents);
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("000001-000001: is not what it was when segment 2 began"),
                                      HasSubstr("000001-000002: is not what it was when segment 3 began")));
}

TEST_F(ChainTest, ASegmentOfAnotherRecordingIsNamed) {
  save_run(1, 3);
  SegmentHeader header = default_header();
  header.recording_id = std::string(32, 'f');
  header.segment = 2;
  header.previous = SegmentLink{.segment = 1};
  begin({}, header);
  finish();
  write({1, 2}, file_.contents);
  EXPECT_THAT(problems(), testing::Contains(HasSubstr("000001-000002: belongs to another recording")));
}

TEST_F(ChainTest, AChunkCutOutOfAClosedSegmentIsFoundOutThoughChecksumsAreRight) {
  save_run(1, 3);
  ByteBuffer all = contents({1, 2});
  const auto first = static_cast<std::ptrdiff_t>(chunk_ends_[0]);
  const auto second = static_cast<std::ptrdiff_t>(chunk_ends_[1]);
  all.erase(all.begin() + first, all.begin() + second);
  set_checksums_right(all);
  write({1, 2}, all);
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("000001-000002: is not what it was when segment 3 began")));
  const SegmentReport report = verify_segment(*open_file(path({1, 2})), "cut");
  EXPECT_FALSE(report.whole());
  ASSERT_TRUE(report.digest);
  EXPECT_FALSE(report.digest->fits);
}

TEST_F(ChainTest, WhatASegmentHeldThatWasNotClosedIsProvenByTheNext) {
  save_run(1, 3);
  // Given up after an error of the disk: neither digest nor index, and half a record behind.
  ByteBuffer torn = contents({1, 2});
  torn.resize(chunk_ends_[2]);
  append_bytes(torn, as_bytes("half of something"));
  write({1, 2}, torn);
  EXPECT_THAT(problems(), IsEmpty());
  torn[chunk_ends_[1] + 60] ^= 1;
  write({1, 2}, torn);
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("000001-000002: is not what it was when segment 3 began")));
  torn.resize(chunk_ends_[1]);
  write({1, 2}, torn);
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("000001-000002: is not what it was when segment 3 began")));
}

TEST_F(ChainTest, ASegmentInWhichSomethingWasAddedIsFoundOut) {
  save_run(1, 2);
  const ByteBuffer whole = contents({1, 1});
  begin();
  from_client({1, 1}, 1, "forged");
  seal();
  ByteBuffer more = whole;
  more.insert(more.begin() + static_cast<std::ptrdiff_t>(whole.size() - 28),
              file_.contents.begin() + static_cast<std::ptrdiff_t>(header_end_), file_.contents.end());
  set_checksums_right(more);
  write({1, 1}, more);
  EXPECT_FALSE(verify_segment(*open_file(path({1, 1})), "more").whole());
}

// Whoever cuts something out could put a segment of the old format in its place, which says nothing.
TEST_F(ChainTest, ASegmentOfTheOldFormatHasNoPlaceInAChain) {
  const std::filesystem::path old =
      std::filesystem::path(UNDERSTUDY_SOURCE_DIR) / "tests/golden/version-1.transcript";
  save_run(1, 5);
  for (const std::uint32_t number : {2U, 3U}) std::filesystem::remove(path({1, number}));
  std::filesystem::copy_file(old, path({1, 2}));
  EXPECT_THAT(problems(), testing::Contains(HasSubstr("000001-000002: is of format 1.0, unlike segment 1")));
  EXPECT_THAT(problems(), testing::Contains(HasSubstr("segments 2 to 3 are missing")));
  EXPECT_EQ(chain_->runs().size(), 1U);
  std::filesystem::remove(path({1, 1}));
  EXPECT_THAT(problems(),
              testing::Contains(HasSubstr("000001-000004: is chained, and a segment of format 1.0")));
}

TEST_F(ChainTest, ARunThatWasTakenOutIsNamed) {
  for (const std::uint32_t run : {1U, 2U, 3U}) save_run(run, 2);
  EXPECT_THAT(problems(), IsEmpty());
  for (const std::uint32_t segment : {1U, 2U}) std::filesystem::remove(path({2, segment}));
  EXPECT_THAT(problems(),
              ElementsAre(AllOf(HasSubstr("000003-000001: follows run 2, of which nothing is here"),
                                HasSubstr("000002-000002.transcript"))));
  // Nor does it help to delete the beginning of the next one too.
  std::filesystem::remove(path({3, 1}));
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("000003-000002: follows run 2, of which nothing is here")));
}

TEST_F(ChainTest, TheOldestRunsMayBeDeleted) {
  for (const std::uint32_t run : {1U, 2U}) save_run(run, 2);
  for (const std::uint32_t segment : {1U, 2U}) std::filesystem::remove(path({1, segment}));
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_EQ(chain_->runs()[0].begins_after_run, 1U);
}

TEST_F(ChainTest, TheEndOfARunThatAnotherFollowsIsProven) {
  save_run(1, 3);
  save_run(2, 1);
  std::filesystem::remove(path({1, 3}));
  EXPECT_THAT(problems(),
              ElementsAre(AllOf(HasSubstr("000002-000001: segment 3"), HasSubstr("is missing of run 1"))));
}

TEST_F(ChainTest, SoIsWhatACrashLeftOpen) {
  save_run(1, 2, false);
  const ByteBuffer left = contents({1, 2});
  const std::size_t cut_at = chunk_ends_[1];
  save_run(2, 1);
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_EQ(chain_->runs()[0].vouched_by, 2U);
  ByteBuffer cut = left;
  cut.resize(cut_at);
  write({1, 2}, cut);
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("000001-000002: is not what it was when run 2 began")));
  write({1, 2}, left);
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(ChainTest, ARunThatGoesOnBesideALaterOneIsNoFault) {
  save_run(1, 1, false);
  save_run(2, 1);
  save_run(1, 3);  // the same, and more
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(ChainTest, ARunFollowsOneOfTheOldFormat) {
  std::filesystem::copy_file(
      std::filesystem::path(UNDERSTUDY_SOURCE_DIR) / "tests/golden/version-1.transcript", path({1, 2}));
  save_run(2, 1);
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_EQ(chain_->runs()[0].begins_after_run, 0U) << "it is here";
}

TEST_F(ChainTest, WhatHoldsNothingIsFollowedByNobody) {
  save_run(1, 1);
  write({2, 1}, {});
  write({3, 1}, ByteBuffer(100, 'z'));
  save_run(4, 1);
  ASSERT_TRUE(last_before(directory_, 4));
  EXPECT_EQ(last_before(directory_, 4)->run, 1U);
  EXPECT_FALSE(last_before(directory_, 1));
}

TEST_F(ChainTest, WhoKeptTheEndOfTheChainKnowsWhetherTheNewestAreStillHere) {
  save_run(1, 2);
  problems();
  ASSERT_TRUE(chain_->head());
  const Sha256Value kept = chain_->head()->digest;
  save_run(2, 1);
  problems(kept);
  ASSERT_TRUE(chain_->holds_expected());
  EXPECT_EQ(chain_->holds_expected()->segment, 2U);
  EXPECT_NE(chain_->head()->digest, kept) << "others followed";
  std::filesystem::remove(path({2, 1}));
  std::filesystem::remove(path({1, 2}));
  EXPECT_THAT(problems(kept), IsEmpty());
  EXPECT_FALSE(chain_->holds_expected());
}

TEST_F(ChainTest, WhatARunFollowsIsReadBackAsItWasWritten) {
  const RunLink link{.run = 2,
                     .last = {.segment = 17, .bytes = 1'000'000'000'000, .sha256 = sha256(as_bytes("x"))}};
  SegmentHeader header = default_header();
  header.run = 3;
  header.attributes = {{"source", "x"}, {std::string(kFollowsAttribute), to_text(link)}};
  EXPECT_EQ(run_link_of(header), link);
  header.run = 2;
  EXPECT_FALSE(run_link_of(header)) << "nothing follows itself";
  header.run = 3;
  for (const std::string& nonsense :
       {std::string(), std::string("2 17"), to_text(link) + "0", "x" + to_text(link)}) {
    header.attributes.back().second = nonsense;
    EXPECT_FALSE(run_link_of(header)) << nonsense;
  }
}

TEST_F(ChainTest, ADamagedHeaderDoesNotHideWhatFollowsIt) {
  save_run(1, 4);
  ByteBuffer harmed = contents({1, 2});
  harmed[50] ^= 1;
  write({1, 2}, harmed);
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("000001-000002: is not what it was when segment 3 began")));
}

}  // namespace
}  // namespace understudy::test
