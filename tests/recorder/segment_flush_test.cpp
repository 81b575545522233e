// When segments are flushed to the disk, by policy. Time is the test's own.
#include <gtest/gtest.h>

#include "recorder/segment_appender.h"
#include "tests/recorder/support.h"

namespace understudy::recorder {
namespace {

class SegmentFlushTest : public ::testing::Test {
 protected:
  void begin(FsyncPolicy policy) {
    options_.fsync = policy;
    options_.fsync_interval = 10 * kSecond;
    store_ = std::make_unique<FaultyStore>(directory_.path(), disk_);
    appender_ = std::make_unique<SegmentAppender>(
        *store_, options_,
        SegmentHeader{.recording_id = std::string(32, 'a'), .run = 1, .producer = "test", .attributes = {}},
        [](const std::string&) {});
    appender_->open(now_);
  }
  void record_for(TimeNs time) {
    for (const TimeNs end = now_ + time; now_ < end; now_ += kSecond) {
      Slab slab;
      slab.append({1, 1}, now_, EventKind::kServerBytes, as_bytes("x"));
      ASSERT_TRUE(appender_->append(slab, now_));
      appender_->tick(now_);
    }
  }

  TemporaryDirectory directory_;
  Disk disk_;
  RecorderOptions options_;
  std::unique_ptr<FaultyStore> store_;
  std::unique_ptr<SegmentAppender> appender_;
  TimeNs now_ = 1'700'000'000 * kSecond;
};

TEST_F(SegmentFlushTest, NeverIsNeverNotEvenAtTheEnd) {
  begin(FsyncPolicy::kNever);
  record_for(30 * kSecond);
  appender_->cut(now_);
  record_for(kSecond);
  EXPECT_TRUE(appender_->finish(now_));
  EXPECT_EQ(disk_.flushes(), 0U);
}

TEST_F(SegmentFlushTest, SegmentIsOnceWhenItIsComplete) {
  begin(FsyncPolicy::kSegment);
  record_for(30 * kSecond);
  EXPECT_EQ(disk_.flushes(), 0U);
  appender_->cut(now_);
  EXPECT_EQ(disk_.flushes(), 1U);
  record_for(kSecond);
  EXPECT_TRUE(appender_->finish(now_));
  EXPECT_EQ(disk_.flushes(), 2U);
}

TEST_F(SegmentFlushTest, AnIntervalIsAlsoInBetweenWhileThereIsSomethingNew) {
  begin(FsyncPolicy::kInterval);
  record_for(29 * kSecond);
  EXPECT_EQ(disk_.flushes(), 2U);
  now_ += 60 * kSecond;
  for (int tick = 0; tick < 3; ++tick, now_ += 20 * kSecond) appender_->tick(now_);
  EXPECT_EQ(disk_.flushes(), 3U) << "of the last nine seconds; nothing new came after";
  EXPECT_TRUE(appender_->finish(now_));
  EXPECT_EQ(disk_.flushes(), 4U);
}

}  // namespace
}  // namespace understudy::recorder
