// Hazards of segments: rotation, flushing, disks that refuse. Time is the test's own.
#include "recorder/segment_appender.h"

#include <gtest/gtest.h>

#include "formats/transcript/chain.h"
#include "formats/transcript/segment_name.h"
#include "tests/recorder/support.h"

namespace understudy::recorder {
namespace {

const std::error_code kNoSpace = std::make_error_code(std::errc::no_space_on_device);
constexpr TimeNs kStart = 1'700'000'000 * kSecond;

class SegmentAppenderTest : public ::testing::Test {
 public:
  void begin() {
    store_ = std::make_unique<FaultyStore>(directory_.path(), disk_);
    appender_ = std::make_unique<SegmentAppender>(
        *store_, options_,
        SegmentHeader{.recording_id = std::string(32, 'a'), .run = 1, .producer = "test", .attributes = {}},
        [this](const std::string& fact) { log_.push_back(fact); });
    appender_->open(now_);
  }
  // Builds the next slab.
  SegmentAppenderTest& opened(std::uint32_t number) {
    SessionDescriptor value = descriptor(number, ++now_);
    value.id.run = 1;
    ByteBuffer payload;
    encode(value, payload);
    slab_.append({1, number}, now_, EventKind::kOpened, payload);
    return *this;
  }
  SegmentAppenderTest& bytes(std::uint32_t number, const std::string& data) {
    slab_.append({1, number}, ++now_, EventKind::kServerBytes, as_bytes(data));
    return *this;
  }
  SegmentAppenderTest& closed(std::uint32_t number) {
    ByteBuffer payload;
    encode(CloseDetail{}, payload);
    slab_.append({1, number}, ++now_, EventKind::kClosed, payload);
    return *this;
  }
  bool append() {
    const bool written = appender_->append(slab_, now_);
    if (written) slab_.clear();
    return written;
  }
  void append_or_drop() {
    if (!append()) appender_->drop(slab_);
    slab_.clear();
  }
  void later(TimeNs by) { now_ += by; }
  [[nodiscard]] std::size_t segments() const { return Recording(directory_.path()).segment_count(); }
  [[nodiscard]] std::string said() const {
    std::string all;
    for (const std::string& fact : log_) all += fact + "\n";
    return all;
  }

  [[nodiscard]] ChainCheck chain() const {
    ChainCheck chain;
    for (const std::filesystem::path& file : list_segments(directory_.path())) {
      chain.add(verify_segment(*open_file(file), file.string()), file);
    }
    return chain;
  }

  TemporaryDirectory directory_;
  Disk disk_;
  RecorderOptions options_;
  std::unique_ptr<FaultyStore> store_;
  std::unique_ptr<SegmentAppender> appender_;
  Slab slab_;
  TimeNs now_ = kStart;
  std::vector<std::string> log_;
};

TEST_F(SegmentAppenderTest, EverySegmentSaysWhatTheRunBeforeItLeft) {
  begin();
  opened(1).closed(1).append_or_drop();
  ASSERT_TRUE(appender_->finish(now_));
  const auto left = last_before(directory_.path(), 2);
  ASSERT_TRUE(left);
  appender_.reset();
  store_ = std::make_unique<FaultyStore>(directory_.path(), disk_);
  ASSERT_EQ(store_->run(), 2U);
  appender_ = std::make_unique<SegmentAppender>(
      *store_, options_,
      SegmentHeader{.recording_id = std::string(32, 'b'), .run = 2, .producer = "test", .attributes = {}},
      [](const std::string&) {});
  appender_->open(now_);
  opened(2).closed(2).append_or_drop();
  appender_->cut(now_);
  ASSERT_TRUE(appender_->finish(now_));
  const Recording recording(directory_.path());
  ASSERT_EQ(recording.segment_count(), 3U);
  EXPECT_FALSE(run_link_of(recording.segment(0)->header()));
  EXPECT_EQ(run_link_of(recording.segment(1)->header()), left);
  EXPECT_EQ(run_link_of(recording.segment(2)->header()), left);
  EXPECT_TRUE(chain().whole());
}

TEST_F(SegmentAppenderTest, EmptyRecordingIsClean) {
  begin();
  EXPECT_TRUE(appender_->finish(now_));
  const Recording recording(directory_.path());
  EXPECT_EQ(recording.segment_count(), 1U);
  EXPECT_TRUE(recording.segment(0)->clean());
  EXPECT_EQ(recording.first_chunk(), std::nullopt);
}

TEST_F(SegmentAppenderTest, FinishClosesSessionsStillOpen) {
  begin();
  ASSERT_TRUE(opened(1).opened(2).bytes(1, "x").closed(1).append());
  EXPECT_TRUE(appender_->finish(now_));
  const SeenBySession seen = read_all(directory_.path());
  EXPECT_EQ(close_reason_of(seen.at({1, 1}).back()), CloseReason::kClientLeft);
  EXPECT_EQ(close_reason_of(seen.at({1, 2}).back()), CloseReason::kRecordingEnded);
}

TEST_F(SegmentAppenderTest, RotatesBySize) {
  options_.segment_bytes = 2000;
  begin();
  for (std::uint32_t number = 1; number <= 40; ++number) ASSERT_TRUE(opened(number).closed(number).append());
  EXPECT_TRUE(appender_->finish(now_));
  EXPECT_GT(segments(), 3U);
  EXPECT_EQ(read_all(directory_.path()).size(), 40U);
}

TEST_F(SegmentAppenderTest, RotatesByAgeEvenWhenNothingComes) {
  options_.segment_age = 60 * kSecond;
  begin();
  ASSERT_TRUE(opened(1).append());
  later(59 * kSecond);
  appender_->tick(now_);
  EXPECT_FALSE(Recording(directory_.path()).segment(0)->clean());
  later(2 * kSecond);
  appender_->tick(now_);
  EXPECT_TRUE(Recording(directory_.path()).segment(0)->clean());
  for (int hour = 0; hour < 3; ++hour) {
    later(3600 * kSecond);
    appender_->tick(now_);
  }
  EXPECT_EQ(segments(), 2U) << "the next one waits, empty, and is not rotated";
  ASSERT_TRUE(bytes(1, "later").append());
  appender_->tick(now_);
  EXPECT_EQ(segments(), 2U) << "its age counts from its first event";
}

TEST_F(SegmentAppenderTest, KilledAtAnyMomentLeavesAnUncleanSegment) {
  options_.segment_bytes = 2000;
  begin();
  for (std::uint32_t number = 1; number <= 40; ++number) {
    ASSERT_TRUE(opened(number).closed(number).append());
    // What is on disk now is what a SIGKILL would leave.
    const Recording recording(directory_.path());
    EXPECT_FALSE(recording.segment(recording.segment_count() - 1)->clean()) << "after session " << number;
  }
}

TEST_F(SegmentAppenderTest, FinishClosesASegmentIntoWhichNothingCameAsTheLast) {
  options_.segment_age = 60 * kSecond;
  begin();
  ASSERT_TRUE(opened(1).closed(1).append());
  later(61 * kSecond);
  appender_->tick(now_);
  EXPECT_EQ(segments(), 2U);
  EXPECT_TRUE(appender_->finish(now_));
  EXPECT_EQ(segments(), 2U);
  EXPECT_EQ(appender_->statistics().segments, 2U);
  EXPECT_TRUE(Recording(directory_.path()).segment(1)->clean());
  EXPECT_EQ(chain().runs().at(0).end, ChainRun::End::kLast) << "or one could be cut off unseen";
}

TEST_F(SegmentAppenderTest, EachSegmentSaysWhatTheOneBeforeItHeld) {
  options_.segment_bytes = 2000;
  begin();
  for (std::uint32_t number = 1; number <= 40; ++number) {
    ASSERT_TRUE(opened(number).closed(number).append());
    EXPECT_TRUE(chain().whole()) << "killed after session " << number;
  }
  EXPECT_TRUE(appender_->finish(now_));
  EXPECT_TRUE(chain().whole());
  EXPECT_EQ(chain().runs().at(0).end, ChainRun::End::kLast);
  std::filesystem::remove(directory_.path() / "000001-000002.transcript");
  EXPECT_FALSE(chain().whole());
}

TEST_F(SegmentAppenderTest, TheChainHoldsThroughDisksThatFail) {
  options_.segment_bytes = 2000;
  begin();
  for (std::uint32_t number = 1; number <= 60; ++number) {
    disk_.leave_room_for(number % 7 == 0 ? number * 3 : UINT64_MAX);
    opened(number).closed(number).append_or_drop();
    disk_.leave_room_for(UINT64_MAX);
    later(options_.retry_interval);
    appender_->tick(now_);
  }
  EXPECT_TRUE(appender_->finish(now_));
  EXPECT_GT(segments(), 4U);
  EXPECT_TRUE(chain().whole()) << chain().problems().at(0).file << " " << chain().problems().at(0).what;
}

TEST_F(SegmentAppenderTest, EverySegmentIsEncryptedWithAKeyOfItsOwn) {
  options_.segment_bytes = 2000;
  const SecretKey key = SecretKey::random();
  options_.key = std::make_shared<RecordingKey>(RecordingKey::of_key(key));
  begin();
  for (std::uint32_t number = 1; number <= 40; ++number) {
    ASSERT_TRUE(opened(number).bytes(number, "sesame").closed(number).append());
  }
  EXPECT_TRUE(appender_->finish(now_));
  EXPECT_THROW(Recording(directory_.path()), RecordingError);
  const auto keys = std::make_shared<Keyring>();
  keys->add_key(key);
  const Recording recording(directory_.path(), keys);
  EXPECT_GT(recording.segment_count(), 3U);
  EventStream events(recording);
  std::size_t count = 0;
  while (events.next()) ++count;
  EXPECT_EQ(count, 120U);
  EXPECT_NE(recording.segment(0)->header().wrapped_key->sealed,
            recording.segment(1)->header().wrapped_key->sealed);
  EXPECT_TRUE(chain().whole()) << "which takes no key";
}

TEST_F(SegmentAppenderTest, WhoWantsItEncryptedNeverGetsItPlain) {
  options_.key_file = "key";  // and nobody loaded it
  EXPECT_THROW(begin(), std::logic_error);
}

TEST_F(SegmentAppenderTest, DeletedEmptySegmentIsMadeAgainAndNothingIsCalledLost) {
  begin();
  std::filesystem::remove_all(directory_.path());
  later(2 * kSecond);
  appender_->tick(now_);
  ASSERT_TRUE(opened(1).closed(1).append());
  EXPECT_TRUE(appender_->finish(now_));
  EXPECT_EQ(Recording(directory_.path()).losses().size(), 0U);
  EXPECT_EQ(read_all(directory_.path()).size(), 1U);
}

TEST_F(SegmentAppenderTest, RotatesByNumberOfSessions) {
  options_.segment_sessions = 10;
  begin();
  for (std::uint32_t number = 1; number <= 25; ++number) ASSERT_TRUE(opened(number).closed(number).append());
  EXPECT_TRUE(appender_->finish(now_));
  EXPECT_EQ(segments(), 3U);
}

TEST_F(SegmentAppenderTest, MoreOpenSessionsThanASegmentTakesDoNotMakeEverySegmentFull) {
  options_.segment_sessions = 4;
  begin();
  for (std::uint32_t number = 1; number <= 20; ++number) ASSERT_TRUE(opened(number).append());
  const std::size_t before = segments();
  for (int round = 0; round < 20; ++round) ASSERT_TRUE(bytes(1, "x").append());
  EXPECT_LE(segments(), before + 1);
}

TEST_F(SegmentAppenderTest, SegmentsRepeatTheDescriptorsOfSessionsStillOpen) {
  options_.segment_age = kSecond;
  begin();
  ASSERT_TRUE(opened(1).opened(2).append());
  later(2 * kSecond);
  appender_->tick(now_);
  ASSERT_TRUE(closed(2).append());
  later(2 * kSecond);
  appender_->tick(now_);
  ASSERT_TRUE(bytes(1, "x").append());
  EXPECT_TRUE(appender_->finish(now_));

  const Recording recording(directory_.path());
  ASSERT_EQ(recording.segment_count(), 3U);
  EXPECT_EQ(recording.segment(0)->continuing().size(), 0U);
  EXPECT_EQ(recording.segment(1)->continuing().size(), 2U);
  ASSERT_EQ(recording.segment(2)->continuing().size(), 1U);
  EXPECT_EQ(recording.segment(2)->continuing()[0].id, (SessionId{1, 1}));
  EXPECT_EQ(recording.segment(2)->continuing()[0].user(), "alice");
}

TEST_F(SegmentAppenderTest, FailedAppendGoesToANewSegmentAndLosesNothing) {
  begin();
  ASSERT_TRUE(opened(1).bytes(1, "first").append());
  disk_.leave_room_for(20);  // the next chunk is torn, and then there is room again
  const bool written = bytes(1, "second").append();
  EXPECT_FALSE(written) << "the new segment has no room either";
  disk_.leave_room_for(UINT64_MAX);
  later(options_.retry_interval);
  ASSERT_TRUE(append());
  EXPECT_TRUE(appender_->finish(now_));

  const std::vector<Seen> events = read_session(directory_.path(), {1, 1});
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[1].data, "first");
  EXPECT_EQ(events[2].data, "second");
  EXPECT_TRUE(Recording(directory_.path()).losses().empty());
}

TEST_F(SegmentAppenderTest, RetriesAtBoundedIntervals) {
  begin();
  disk_.fail_with(kNoSpace);
  EXPECT_FALSE(opened(1).append());
  const unsigned attempts = disk_.attempts();
  for (int offer = 0; offer < 100; ++offer) EXPECT_FALSE(append());
  appender_->tick(now_);
  EXPECT_EQ(disk_.attempts(), attempts);
  later(options_.retry_interval);
  EXPECT_FALSE(append());
  EXPECT_EQ(disk_.attempts(), attempts + 1);
  EXPECT_TRUE(appender_->failing());
}

TEST_F(SegmentAppenderTest, FullDiskLeavesNoTrailOfEmptySegments) {
  begin();
  ASSERT_TRUE(opened(1).append());
  disk_.leave_room_for(10);
  for (int round = 0; round < 20; ++round) {
    EXPECT_FALSE(bytes(1, "x").append());
    later(options_.retry_interval);
  }
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    files += entry.path().extension() == ".transcript" ? 1 : 0;
  }
  EXPECT_EQ(files, 1U);
}

TEST_F(SegmentAppenderTest, LostChunksAreToldOfOnceTheDiskWorksAgain) {
  begin();
  ASSERT_TRUE(opened(1).opened(2).bytes(1, "before").append());
  disk_.fail_with(kNoSpace);
  const TimeNs outage = now_ + 1;
  bytes(1, "lost").bytes(2, "lost too").closed(2).opened(3).bytes(3, "12").opened(4).bytes(4, "3").closed(4);
  append_or_drop();
  disk_.fail_with({});
  later(options_.retry_interval);
  ASSERT_TRUE(bytes(1, "after").bytes(3, "after").append());
  ASSERT_TRUE(opened(5).bytes(5, "new").closed(5).append());
  EXPECT_TRUE(appender_->finish(now_));

  const Recording recording(directory_.path());
  ASSERT_EQ(recording.losses().size(), 1U);
  const LossRecord loss = recording.losses()[0];
  EXPECT_EQ(loss.reason, GapReason::kDiskError);
  EXPECT_EQ(loss.from, outage);
  EXPECT_EQ(loss.sessions, 4U);
  EXPECT_EQ(loss.events, 7U);
  EXPECT_EQ(loss.detail, kNoSpace.message());

  const SeenBySession seen = read_all(directory_.path());
  const std::vector<Seen>& holed = seen.at({1, 1});
  ASSERT_EQ(holed.size(), 5U);
  EXPECT_EQ(gap_of(holed[2]).reason, GapReason::kDiskError);
  EXPECT_EQ(gap_of(holed[2]).server_bytes, 4U);
  EXPECT_EQ(gap_of(holed[2]).from, outage);
  EXPECT_EQ(holed[3].data, "after");
  const std::vector<Seen>& ended = seen.at({1, 2});
  ASSERT_EQ(ended.size(), 3U);
  EXPECT_EQ(gap_of(ended[1]).server_bytes, 8U);
  EXPECT_EQ(close_reason_of(ended[2]), CloseReason::kClientLeft);
  EXPECT_EQ(gap_of(seen.at({1, 3})[0]).server_bytes, 2U) << "its opening is repeated by the segment";
  EXPECT_EQ(seen.count({1, 4}), 0U) << "begun and ended unseen: in the loss record only";
  EXPECT_EQ(seen.at({1, 5}).size(), 3U);
}

TEST_F(SegmentAppenderTest, SessionWhoseOpeningWasLostIsContinuedByTheNextSegment) {
  begin();
  disk_.fail_with(kNoSpace);
  opened(1).append_or_drop();
  disk_.fail_with({});
  later(options_.retry_interval);
  ASSERT_TRUE(bytes(1, "after").append());
  EXPECT_TRUE(appender_->finish(now_));
  const Recording recording(directory_.path());
  ASSERT_EQ(recording.segment_count(), 2U);
  ASSERT_EQ(recording.segment(1)->continuing().size(), 1U);
  EXPECT_EQ(recording.segment(1)->continuing()[0].database(), "shop");
}

TEST_F(SegmentAppenderTest, LossesAreToldOfEvenWhenNothingElseComes) {
  begin();
  disk_.fail_with(kNoSpace);
  opened(1).closed(1).append_or_drop();
  disk_.fail_with({});
  later(options_.retry_interval);
  appender_->tick(now_);
  EXPECT_FALSE(appender_->failing());
  EXPECT_EQ(Recording(directory_.path()).losses().size(), 1U);
  EXPECT_NE(said().find("recording again"), std::string::npos) << said();
}

TEST_F(SegmentAppenderTest, OutageIsLoggedOnceAndAgainEveryMinute) {
  begin();
  disk_.fail_with(kNoSpace);
  opened(1);
  EXPECT_FALSE(append());
  const std::size_t first = log_.size();
  for (int second = 0; second < 59; ++second) {
    later(kSecond);
    EXPECT_FALSE(append());
  }
  EXPECT_EQ(log_.size(), first);
  later(2 * kSecond);
  EXPECT_FALSE(append());
  EXPECT_EQ(log_.size(), first + 1);
  EXPECT_NE(said().find(kNoSpace.message()), std::string::npos);
}

TEST_F(SegmentAppenderTest, DeletedSegmentIsNoticedAndItsContentCountedAsLost) {
  begin();
  ASSERT_TRUE(opened(1).bytes(1, "gone").append());
  std::filesystem::remove_all(directory_.path());
  later(2 * kSecond);
  appender_->tick(now_);
  ASSERT_TRUE(bytes(1, "after").append());
  EXPECT_TRUE(appender_->finish(now_));

  const Recording recording(directory_.path());
  ASSERT_EQ(recording.losses().size(), 1U);
  EXPECT_EQ(recording.losses()[0].events, 2U);
  EXPECT_EQ(recording.losses()[0].sessions, 1U);
  const std::vector<Seen> events = read_session(directory_.path(), {1, 1});
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(gap_of(events[0]).reason, GapReason::kDiskError);
  EXPECT_EQ(gap_of(events[0]).server_bytes, 4U);
  EXPECT_EQ(gap_of(events[0]).events, 2U);
  EXPECT_EQ(events[1].data, "after");
  EXPECT_NE(said().find("deleted"), std::string::npos);
}

TEST_F(SegmentAppenderTest, OverloadLossIsWrittenByTheNextTick) {
  begin();
  appender_->add_overload({.reason = GapReason::kOverload,
                           .from = 5,
                           .to = 7,
                           .sessions = 2,
                           .events = 3,
                           .bytes = 9,
                           .detail = "full"});
  appender_->add_overload({.reason = GapReason::kOverload,
                           .from = 6,
                           .to = 9,
                           .sessions = 1,
                           .events = 1,
                           .bytes = 1,
                           .detail = "full"});
  appender_->tick(now_);
  EXPECT_TRUE(appender_->finish(now_));
  const std::vector<LossRecord> losses = Recording(directory_.path()).losses();
  ASSERT_EQ(losses.size(), 1U);
  EXPECT_EQ(losses[0].sessions, 3U);
  EXPECT_EQ(losses[0].bytes, 10U);
  EXPECT_EQ(losses[0].to, 9);
}

TEST_F(SegmentAppenderTest, FinishOnABrokenDiskSaysSo) {
  begin();
  ASSERT_TRUE(opened(1).append());
  disk_.fail_with(kNoSpace);
  EXPECT_FALSE(appender_->finish(now_));
  EXPECT_GT(appender_->statistics().disk_errors, 0U);
}

TEST_F(SegmentAppenderTest, FirstSegmentThatCannotBeCreatedIsAnError) {
  disk_.fail_with(kNoSpace);
  EXPECT_THROW(begin(), std::system_error);
}

TEST_F(SegmentAppenderTest, FailedFlushStartsANewSegment) {
  options_.fsync = FsyncPolicy::kInterval;
  options_.fsync_interval = kSecond;
  begin();
  ASSERT_TRUE(opened(1).append());
  disk_.fail_with(std::make_error_code(std::errc::io_error));
  later(2 * kSecond);
  appender_->tick(now_);
  disk_.fail_with({});
  ASSERT_TRUE(bytes(1, "x").append());
  EXPECT_TRUE(appender_->finish(now_));
  EXPECT_EQ(segments(), 2U);
  EXPECT_EQ(appender_->statistics().disk_errors, 1U);
}

TEST_F(SegmentAppenderTest, StatisticsCountWhatIsStored) {
  begin();
  ASSERT_TRUE(opened(1).bytes(1, "0123456789").append());
  EXPECT_TRUE(appender_->finish(now_));
  const Statistics& statistics = appender_->statistics();
  EXPECT_EQ(statistics.events, 3U);
  EXPECT_EQ(statistics.chunks, 2U);
  EXPECT_EQ(statistics.segments, 1U);
  EXPECT_EQ(statistics.stored_bytes,
            std::filesystem::file_size(directory_.path() / "000001-000001.transcript"));
}

}  // namespace
}  // namespace understudy::recorder
