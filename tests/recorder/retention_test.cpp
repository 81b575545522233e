// What may be deleted, and what never: hazards of a flight recorder.
#include "recorder/retention.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>

#include "formats/transcript/saved_note.h"
#include "tests/recorder/support.h"

namespace understudy::recorder {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

constexpr TimeNs kNow = 1'700'000'000 * kSecond;

class RetentionTest : public ::testing::Test {
 protected:
  RetentionTest() { options_.directory = directory_.path(); }
  void put(unsigned run, unsigned segment, std::size_t bytes, TimeNs age) {
    const fs::path path = directory_.path() / format_segment_name({run, segment});
    std::ofstream(path) << std::string(bytes, 'x');
    const timespec time{(kNow - age) / kSecond, 0};
    const timespec times[2] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  Names left() const {
    Names names;
    for (const SegmentFile& file : segment_files(directory_.path())) {
      names.push_back(std::to_string(file.name.run) + "." + std::to_string(file.name.segment));
    }
    return names;
  }
  Retention::Expired apply(unsigned run, unsigned incomplete) const {
    return Retention(options_).apply(run, incomplete, kNow);
  }

  TemporaryDirectory directory_;
  RecorderOptions options_;
};

TEST_F(RetentionTest, WithoutBoundsItIsNotWanted) {
  EXPECT_FALSE(Retention(options_).wanted());
  options_.keep_age = kSecond;
  EXPECT_TRUE(Retention(options_).wanted());
}

TEST_F(RetentionTest, TheOldestGoUntilTheRestIsSmallEnough) {
  for (unsigned segment = 1; segment <= 5; ++segment) put(1, segment, 100, 0);
  options_.keep_bytes = 350;
  const Retention::Expired expired = apply(1, 5);
  EXPECT_EQ(left(), (Names{"1.3", "1.4", "1.5"}));
  EXPECT_EQ(expired.segments, 2U);
  EXPECT_EQ(expired.bytes, 200U);
  EXPECT_EQ(expired.last, (SegmentName{1, 2}));
}

TEST_F(RetentionTest, WhatIsBeingWrittenStaysHoweverLarge) {
  put(1, 1, 100, 0);
  put(1, 2, 1000, 0);
  options_.keep_bytes = 10;
  (void)apply(1, 2);
  EXPECT_EQ(left(), Names{"1.2"});
}

TEST_F(RetentionTest, WhatIsTooOldGoes) {
  put(1, 1, 10, 100 * kSecond);
  put(1, 2, 10, 50 * kSecond);
  put(1, 3, 10, 100 * kSecond);  // being written, by a session that says little
  options_.keep_age = 60 * kSecond;
  (void)apply(1, 3);
  EXPECT_EQ(left(), (Names{"1.2", "1.3"}));
}

// Another process may be recording into the same directory.
TEST_F(RetentionTest, TheLastOfAnotherRunGoesOnlyWhenNobodyCanBeWritingToIt) {
  options_.segment_age = 60 * kSecond;
  put(1, 1, 100, 100 * kSecond);
  put(2, 1, 100, 90 * kSecond);
  put(2, 2, 100, 10 * kSecond);
  put(3, 1, 100, 0);
  options_.keep_bytes = 1;
  (void)apply(3, 1);
  EXPECT_EQ(left(), (Names{"2.2", "3.1"}));
}

TEST_F(RetentionTest, OtherFilesAreNobodysBusiness) {
  const fs::path other = directory_.path() / "notes.txt";
  std::ofstream(other) << "mine";
  put(1, 1, 100, 0);
  options_.keep_bytes = 1;
  (void)apply(1, 2);
  EXPECT_TRUE(fs::exists(other));
  EXPECT_EQ(left(), Names{});
}

TEST_F(RetentionTest, SegmentsAreSmallBesideWhatIsKept) {
  options_.keep_bytes = 100 << 20;
  options_.keep_age = 40 * kSecond;
  const RecorderOptions bounded = with_small_segments(options_);
  EXPECT_EQ(bounded.segment_bytes, 25U << 20);
  EXPECT_EQ(bounded.segment_age, 10 * kSecond);
  EXPECT_EQ(with_small_segments(RecorderOptions()).segment_bytes, RecorderOptions().segment_bytes);
}

TEST_F(RetentionTest, ASavedRecordingHasTheCompleteSegmentsOfItsTime) {
  put(1, 9, 10, 0);  // of an earlier run
  put(2, 1, 10, 100 * kSecond);
  put(2, 2, 10, 50 * kSecond);
  put(2, 3, 10, 5 * kSecond);
  put(2, 4, 10, 0);
  const fs::path saved = directory_.path() / "saved";
  make_save_directory(saved);
  const SavedSegments done = save_segments(directory_.path(), 2, 4, kNow - 60 * kSecond, saved);
  EXPECT_EQ(done.saved, 2U);
  EXPECT_EQ(done.expired, 0U);
  EXPECT_TRUE(fs::exists(saved / format_segment_name({2, 2})));
  EXPECT_TRUE(fs::exists(saved / format_segment_name({2, 3})));
  EXPECT_EQ(segment_files(saved).size(), 2U);
  EXPECT_EQ(read_saved_note(saved), (SegmentName{2, 3}));
  EXPECT_EQ(fs::status(saved).permissions(), fs::perms::owner_all);
}

TEST_F(RetentionTest, NothingIsSavedOverWhatIsThere) {
  const fs::path saved = directory_.path() / "saved";
  fs::create_directory(saved);
  std::ofstream(saved / "mine") << "x";
  put(1, 1, 10, 0);
  EXPECT_THROW(make_save_directory(saved), std::system_error);
  EXPECT_TRUE(fs::exists(saved / "mine"));
}

TEST_F(RetentionTest, OfNothingSavedNothingIsLeft) {
  put(1, 3, 10, 0);
  const fs::path saved = directory_.path() / "saved";
  make_save_directory(saved);
  EXPECT_EQ(save_segments(directory_.path(), 1, 3, 0, saved).saved, 0U);
  EXPECT_FALSE(fs::exists(saved));
}

}  // namespace
}  // namespace understudy::recorder
