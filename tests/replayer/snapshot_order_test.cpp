#include "replayer/snapshot_order.h"

#include <gtest/gtest.h>

#include "replayer/step.h"

namespace understudy::replayer {
namespace {

constexpr std::uint64_t kTable = 1;

Step request(TimeNs time, Footprint footprint) {
  Step step;
  step.kind = Step::Kind::kSend;
  step.time = time;
  step.footprint = std::move(footprint);
  return step;
}
Step reading(TimeNs time) {
  Footprint footprint;
  footprint.reads = {{.table = kTable}};
  return request(time, std::move(footprint));
}
Step commit(TimeNs time) {
  Footprint footprint;
  footprint.writes = {{.table = kTable}};
  footprint.ends_transaction = true;
  return request(time, std::move(footprint));
}

class SnapshotOrderTest : public testing::Test {
 protected:
  SnapshotOrder order_;
  Unanswered reader_{SessionId{1, 1}}, other_reader_{SessionId{1, 2}}, writer_{SessionId{1, 3}};
};

TEST_F(SnapshotOrderTest, ATransactionEndsAfterTheBeginningOfWhatItOverlapped) {
  Step read = reading(100), end = commit(150);
  order_.read(reader_, read);
  order_.read(writer_, end);
  ASSERT_EQ(end.begun_before.size(), 1U);
  const Beginning& beginning = *end.begun_before.front();
  EXPECT_EQ(beginning.session, (SessionId{1, 1}));
  EXPECT_EQ(beginning.recorded_at, 100);
  EXPECT_EQ(beginning.sent_at, 0);
  order_.sent(reader_, read, 1000);
  EXPECT_EQ(beginning.sent_at, 1000);
  EXPECT_EQ(beginning.answered_as, UINT64_MAX);
  order_.answered(reader_, 7);
  EXPECT_EQ(beginning.answered_as, 7U);
}

TEST_F(SnapshotOrderTest, WhatWasAnsweredBeforeIsNotWaitedFor) {
  Step read = reading(100), other = reading(110), end = commit(150);
  order_.read(reader_, read);
  order_.read(other_reader_, other);
  order_.answered(reader_, 0);
  order_.read(writer_, end);
  ASSERT_EQ(end.begun_before.size(), 1U);
  EXPECT_EQ(end.begun_before.front()->session, (SessionId{1, 2}));
  EXPECT_EQ(read.beginning, nullptr);
}

TEST_F(SnapshotOrderTest, WhatWasSentBeforeTheEndWasReadIsKnownStill) {
  Step read = reading(100), end = commit(150);
  order_.read(reader_, read);
  order_.sent(reader_, read, 1000);
  order_.read(writer_, end);
  ASSERT_EQ(end.begun_before.size(), 1U);
  EXPECT_EQ(end.begun_before.front()->sent_at, 1000);
  EXPECT_EQ(end.begun_before.front()->recorded_at, 100);
}

TEST_F(SnapshotOrderTest, OneThatWasReadAheadAndSentLaterIsNotWaitedFor) {
  Step read = reading(200), end = commit(150);
  order_.read(reader_, read);
  order_.read(writer_, end);
  EXPECT_TRUE(end.begun_before.empty());
}

TEST_F(SnapshotOrderTest, ASessionDoesNotWaitForItself) {
  Step read = reading(100), end = commit(150);
  order_.read(writer_, read);
  order_.read(writer_, end);
  EXPECT_TRUE(end.begun_before.empty());
}

}  // namespace
}  // namespace understudy::replayer
