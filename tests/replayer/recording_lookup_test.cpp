// Sessions and moments as a user names them.
#include "replayer/recording_lookup.h"

#include <gmock/gmock.h>

#include <limits>

#include "formats/command.h"
#include "tests/replayer/support.h"

namespace understudy::test {
namespace {

using replayer::find_session;
using replayer::parse_moment;
using replayer::parse_session_id;

constexpr TimeNs kStart = 1'000'000'000'000'000'000;
constexpr TimeNs kMax = std::numeric_limits<TimeNs>::max();
constexpr TimeNs kMin = std::numeric_limits<TimeNs>::min();

TEST(Moment, IsHowFarIntoTheRecordingOrATime) {
  EXPECT_EQ(parse_moment("90s", kStart), kStart + 90'000'000'000);
  EXPECT_EQ(parse_moment("30", kStart), kStart + 30'000'000'000);
  for (const char* same :
       {"2026-11-24T13:31:07Z", "2026-11-24 13:31:07", "2026-11-24T15:31:07+02:00", "2026-11-24T15:31:07+02",
        "2026-11-24T08:01:07-0530", "2026-11-24t13:31:07.000z"}) {
    const auto time = parse_moment(same, kStart);
    ASSERT_TRUE(time) << same;
    EXPECT_EQ(format_time(*time, 9), "2026-11-24T13:31:07.000000000Z") << same;
  }
  EXPECT_EQ(format_time(*parse_moment("2026-11-24", 0), 0), "2026-11-24T00:00:00Z");
  EXPECT_EQ(format_time(*parse_moment("2026-11-24T13:31", 0), 0), "2026-11-24T13:31:00Z");
  EXPECT_EQ(format_time(*parse_moment("2026-11-24T13:31:07.1234567891", 0), 9),
            "2026-11-24T13:31:07.123456789Z");
  EXPECT_EQ(format_time(*parse_moment("1969-12-31T23:59:59.5Z", 0), 1), "1969-12-31T23:59:59.5Z");
}

TEST(Moment, WhatFormatTimePrintsIsReadBack) {
  for (const TimeNs time : {TimeNs{0}, kStart, TimeNs{-1}, TimeNs{9'000'000'000'000'000'000}})
    EXPECT_EQ(parse_moment(format_time(time, 9), 0), time);
}

TEST(Moment, NonsenseIsRefused) {
  for (const char* text : {"", "yesterday", "2026-13-01", "2026-02-30", "2026-11-24T", "2026-11-24T25:00",
                           "2026-11-24T13:31:07Zebra", "2026-11-24T13:31:07+", "2026-11-24T13:31:07+2",
                           "0001-01-01", "9999-01-01", "-5s", "2026-11-24 13:31:07 UTC"})
    EXPECT_FALSE(parse_moment(text, kStart)) << text;
}

TEST(Moment, NeverOverflows) {
  EXPECT_EQ(parse_moment("100000d", kMax - 5), kMax);
  EXPECT_EQ(replayer::time_between(kMin, kMax), kMax);
  EXPECT_EQ(replayer::time_between(kMax, kMin), kMin);
  EXPECT_EQ(replayer::time_between(3, 5), 2);
}

TEST(SessionName, IsRunDotNumber) {
  EXPECT_EQ(parse_session_id("1.17"), (SessionId{1, 17}));
  for (const char* text : {"", "1", "1.", ".1", "1.1.1", "a.b", "1.4294967296", "-1.1", " 1.1", "1.1 "})
    EXPECT_FALSE(parse_session_id(text)) << text;
}

class FindSessionTest : public RecordingTest {};

TEST_F(FindSessionTest, IsFoundWhereItOpens) {
  begin_segment(1, 1);
  open_session(kA, 100);
  seal();
  open_session(kB, 200);
  seal();
  finish_and_save();
  const Recording recording(directory_);
  const auto found = find_session(recording, kB);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->descriptor, descriptor(kB, 200));
  EXPECT_EQ(found->opened_in, (ChunkPosition{0, 1}));
  EXPECT_FALSE(find_session(recording, kC));
}

TEST_F(FindSessionTest, OneOpenBeforeTheRecordingIsKnownByTheSegmentThatContinuesIt) {
  begin_segment(1, 2, {descriptor(kA, 50, "bob"), descriptor(kB, 60)});
  from_client(kA, 100, query("x"));
  seal();
  finish_and_save();
  const Recording recording(directory_);
  EXPECT_EQ(find_session(recording, kA)->descriptor.user(), "bob");
  EXPECT_TRUE(find_session(recording, kB)) << "silent, but open";
}

TEST_F(FindSessionTest, OneWhoseOpeningIsDamagedIsFoundWithoutItsDescriptor) {
  begin_segment(1, 1);
  open_session(kA, 100);
  seal();
  from_client(kA, 110, query("x"));
  seal();
  finish();
  flip_byte(chunk_ends_[0] - 1);
  save();
  const Recording recording(directory_);
  const auto found = find_session(recording, kA);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->descriptor.id, kA);
  EXPECT_EQ(found->descriptor.user(), "");
}

}  // namespace
}  // namespace understudy::test
