// Who is primary, who is not to be written to, and how far behind the others are; one test a hazard.
#include "proxy/topology_tracker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

using Kind = TopologyChange::Kind;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr TimeNs kSecond = 1'000'000'000;
constexpr std::size_t kA = 0;
constexpr std::size_t kB = 1;
constexpr std::size_t kC = 2;

class TopologyTrackerTest : public testing::Test {
 protected:
  TopologyChanges primary(std::size_t backend, std::uint32_t timeline, std::uint64_t lsn = 1000) {
    CheckResult result;
    result.in_recovery = false;
    result.timeline = timeline;
    result.flushed = Lsn{lsn};
    result.lsn = Lsn{lsn + inserted_};
    return answer(backend, result);
  }
  TopologyChanges replica(std::size_t backend, std::uint32_t timeline, std::uint64_t lsn = 1000,
                          TimeNs lag = 0) {
    CheckResult result;
    result.in_recovery = true;
    result.timeline = timeline;
    result.lsn = Lsn{lsn};
    result.lag = lag;
    return answer(backend, result);
  }
  static CheckResult with_history(std::uint32_t timeline, const std::vector<TimelineSwitch>& history) {
    CheckResult result;
    result.in_recovery = false;
    result.timeline = timeline;
    result.history = history;
    return result;
  }
  TopologyChanges answer(std::size_t backend, const CheckResult& result) {
    return tracker_.succeeded(backend, result, now_);
  }
  TopologyChanges fail(std::size_t backend, int times = 1) {
    TopologyChanges changes;
    for (int i = 0; i < times; ++i) changes = tracker_.failed(backend, "refused");
    return changes;
  }
  // A is primary on timeline 1, the others its replicas.
  void begin_cluster() {
    primary(kA, 1);
    replica(kB, 1);
    replica(kC, 1);
    ASSERT_EQ(now_primary(), kA);
  }
  std::optional<std::size_t> now_primary() const { return tracker_.topology().primary; }
  const BackendState& state(std::size_t backend) const { return tracker_.topology().backends[backend]; }

  TopologyTracker tracker_{{{"a", 1}, {"b", 1}, {"c", 1}}, 3};
  TimeNs now_ = kSecond;
  std::uint64_t inserted_ = 40;  // what the primary has beyond what it flushed
};

// It then tells its last restartpoint's.
TEST_F(TopologyTrackerTest, AReplicaThatLostItsUpstreamStaysOnItsTimeline) {
  primary(kA, 5);
  replica(kB, 5);
  replica(kC, 5);
  fail(kA, 3);
  replica(kB, 1);
  EXPECT_EQ(state(kB).timeline, 5U);
  replica(kB, 6);
  EXPECT_EQ(state(kB).timeline, 6U);
  fail(kB, 3);  // what comes back may be another
  replica(kB, 1);
  EXPECT_EQ(state(kB).timeline, 1U);
  primary(kC, 7);
  replica(kC, 6);  // it was rewound
  EXPECT_EQ(state(kC).timeline, 6U);
}

TEST_F(TopologyTrackerTest, OneThatTurnsTheCheckAwayIsUpAndNothingMore) {
  primary(kA, 1);
  fail(kA, 3);
  EXPECT_THAT(tracker_.turned_away(kA), ElementsAre(TopologyChange{Kind::kBackendUp, kA}));
  EXPECT_TRUE(state(kA).up);
  EXPECT_EQ(state(kA).role, BackendRole::kUnknown);
  EXPECT_EQ(now_primary(), std::nullopt);
  fail(kA, 2);
  EXPECT_THAT(tracker_.turned_away(kA), IsEmpty());
  fail(kA, 2);
  EXPECT_TRUE(state(kA).up);
}

TEST_F(TopologyTrackerTest, NobodyIsPrimaryBeforeAllHaveBeenHeardOf) {
  EXPECT_THAT(primary(kA, 1), ElementsAre(TopologyChange{Kind::kBackendUp, kA}));
  EXPECT_EQ(now_primary(), std::nullopt);
  EXPECT_THAT(fail(kC, 2), IsEmpty());
  // The first to answer was the old one.
  EXPECT_THAT(primary(kB, 2),
              ElementsAre(TopologyChange{Kind::kBackendUp, kB}, TopologyChange{Kind::kBackendFenced, kA}));
  EXPECT_EQ(now_primary(), std::nullopt);
  EXPECT_THAT(fail(kC),
              ElementsAre(TopologyChange{Kind::kBackendDown, kC}, TopologyChange{Kind::kPrimaryFound, kB}));
  EXPECT_EQ(now_primary(), kB);
}

TEST_F(TopologyTrackerTest, ABackendIsDownAfterSoManyFailuresInARow) {
  begin_cluster();
  EXPECT_THAT(fail(kB, 2), IsEmpty());
  EXPECT_TRUE(state(kB).up);
  EXPECT_TRUE(tracker_.suspect(kB));
  replica(kB, 1);
  EXPECT_FALSE(tracker_.suspect(kB));
  EXPECT_THAT(fail(kB, 2), IsEmpty());
  EXPECT_EQ(state(kB).error, "");
  EXPECT_THAT(fail(kB), ElementsAre(TopologyChange{Kind::kBackendDown, kB}));
  EXPECT_FALSE(state(kB).up);
  EXPECT_FALSE(tracker_.suspect(kB));
  EXPECT_EQ(state(kB).role, BackendRole::kUnknown);
  EXPECT_EQ(state(kB).error, "refused");
  EXPECT_THAT(fail(kB, 5), IsEmpty());
  EXPECT_THAT(replica(kB, 1), ElementsAre(TopologyChange{Kind::kBackendUp, kB}));
  EXPECT_TRUE(state(kB).up);
  EXPECT_EQ(state(kB).error, "");
}

TEST_F(TopologyTrackerTest, ABackendThatNeverWasUpIsReportedOnce) {
  EXPECT_THAT(fail(kC, 2), IsEmpty());
  EXPECT_EQ(state(kC).error, "refused");
  EXPECT_THAT(fail(kC), ElementsAre(TopologyChange{Kind::kBackendDown, kC}));
  EXPECT_THAT(fail(kC, 10), IsEmpty());
}

TEST_F(TopologyTrackerTest, AThresholdLoweredBelowTheFailuresSeenTakesEffect) {
  begin_cluster();
  fail(kB, 2);
  tracker_.set_failures_before_down(1);
  EXPECT_THAT(fail(kB), ElementsAre(TopologyChange{Kind::kBackendDown, kB}));
  tracker_.set_failures_before_down(0);
  EXPECT_THAT(fail(kC), ElementsAre(TopologyChange{Kind::kBackendDown, kC}));
}

TEST_F(TopologyTrackerTest, APrimaryThatIsDownIsLost) {
  begin_cluster();
  fail(kA, 2);
  EXPECT_EQ(now_primary(), kA);
  EXPECT_THAT(fail(kA),
              ElementsAre(TopologyChange{Kind::kBackendDown, kA}, TopologyChange{Kind::kPrimaryLost, kA}));
  EXPECT_EQ(now_primary(), std::nullopt);
  EXPECT_THAT(primary(kA, 1),
              ElementsAre(TopologyChange{Kind::kBackendUp, kA}, TopologyChange{Kind::kPrimaryFound, kA}));
}

TEST_F(TopologyTrackerTest, APromotedReplicaTakesOverBeforeTheOldPrimaryIsDown) {
  begin_cluster();
  fail(kA);
  EXPECT_THAT(primary(kB, 2),
              ElementsAre(TopologyChange{Kind::kBackendFenced, kA}, TopologyChange{Kind::kPrimaryFound, kB}));
  EXPECT_EQ(now_primary(), kB);
}

TEST_F(TopologyTrackerTest, OldPrimaryComingBackIsFenced) {
  begin_cluster();
  fail(kA, 3);
  primary(kB, 2);
  EXPECT_THAT(primary(kA, 1),
              ElementsAre(TopologyChange{Kind::kBackendUp, kA}, TopologyChange{Kind::kBackendFenced, kA}));
  EXPECT_TRUE(state(kA).fenced);
  EXPECT_FALSE(state(kB).fenced);
  EXPECT_EQ(now_primary(), kB);
}

TEST_F(TopologyTrackerTest, OldPrimaryComingBackAloneIsFencedToo) {
  begin_cluster();
  fail(kA, 3);
  primary(kB, 2);
  fail(kB, 3);
  primary(kA, 1);
  EXPECT_TRUE(state(kA).fenced);
  EXPECT_EQ(now_primary(), std::nullopt);
  EXPECT_THAT(primary(kB, 2),
              ElementsAre(TopologyChange{Kind::kBackendUp, kB}, TopologyChange{Kind::kPrimaryFound, kB}));
}

TEST_F(TopologyTrackerTest, AFencedOneThatFlapsIsReportedEachTime) {
  begin_cluster();
  primary(kB, 2);
  fail(kA, 3);
  EXPECT_FALSE(state(kA).fenced);
  EXPECT_THAT(primary(kA, 1),
              ElementsAre(TopologyChange{Kind::kBackendUp, kA}, TopologyChange{Kind::kBackendFenced, kA}));
}

TEST_F(TopologyTrackerTest, OnEqualTimelinesTheOneThatWasPrimaryStays) {
  primary(kB, 4);
  fail(kA, 3);
  fail(kC, 3);
  ASSERT_EQ(now_primary(), kB);
  EXPECT_THAT(primary(kA, 4),
              ElementsAre(TopologyChange{Kind::kBackendUp, kA}, TopologyChange{Kind::kBackendFenced, kA}));
  EXPECT_EQ(now_primary(), kB);
}

TEST_F(TopologyTrackerTest, WhoLostOnEqualTimelinesIsNotWrittenToWhenAlone) {
  begin_cluster();
  primary(kB, 1);
  ASSERT_TRUE(state(kB).fenced);
  fail(kA, 3);
  EXPECT_EQ(now_primary(), std::nullopt);
  EXPECT_TRUE(state(kB).fenced);
  fail(kB, 3);
  primary(kB, 1);
  EXPECT_EQ(now_primary(), std::nullopt);
  primary(kA, 1);
  EXPECT_EQ(now_primary(), kA);
}

TEST_F(TopologyTrackerTest, AFencedOneIsGoodAgainAfterItWasAReplica) {
  begin_cluster();
  primary(kB, 1);
  replica(kB, 1);
  EXPECT_FALSE(state(kB).fenced);
  fail(kA, 3);
  primary(kB, 1);
  EXPECT_EQ(now_primary(), kB);
}

TEST_F(TopologyTrackerTest, AFencedOneIsGoodAgainOnAHigherTimeline) {
  begin_cluster();
  primary(kB, 1);
  EXPECT_THAT(primary(kB, 2),
              ElementsAre(TopologyChange{Kind::kBackendFenced, kA}, TopologyChange{Kind::kPrimaryFound, kB}));
  EXPECT_FALSE(state(kB).fenced);
}

TEST_F(TopologyTrackerTest, APrimaryOnAnEqualTimelineServesWhenTheOtherIsGone) {
  begin_cluster();
  fail(kA, 3);
  EXPECT_THAT(primary(kB, 1), ElementsAre(TopologyChange{Kind::kPrimaryFound, kB}));
  primary(kA, 1);
  EXPECT_TRUE(state(kA).fenced);
  EXPECT_EQ(now_primary(), kB);
}

TEST_F(TopologyTrackerTest, APrimaryInRecoveryIsAReplicaAtOnce) {
  begin_cluster();
  EXPECT_THAT(replica(kA, 1), ElementsAre(TopologyChange{Kind::kPrimaryLost, kA}));
  EXPECT_EQ(state(kA).role, BackendRole::kReplica);
  EXPECT_EQ(now_primary(), std::nullopt);
}

TEST_F(TopologyTrackerTest, TheSamePrimaryOnAnotherTimelineIsNews) {
  begin_cluster();
  EXPECT_THAT(primary(kA, 1), IsEmpty());
  EXPECT_THAT(primary(kA, 2), ElementsAre(TopologyChange{Kind::kPrimaryFound, kA}));
}

TEST_F(TopologyTrackerTest, AHistoryIsKeptUntilTheTimelineIsAnother) {
  begin_cluster();
  const std::vector<TimelineSwitch> history{{1, Lsn{500}}};
  answer(kB, with_history(2, history));
  EXPECT_EQ(state(kB).history, history);
  primary(kB, 2);
  EXPECT_EQ(state(kB).history, history);
  fail(kB, 3);
  primary(kB, 2);
  EXPECT_EQ(state(kB).history, history);
  primary(kB, 3);
  EXPECT_THAT(state(kB).history, IsEmpty());
  answer(kB, with_history(3, history));
  replica(kB, 3);
  EXPECT_THAT(state(kB).history, IsEmpty());
}

TEST_F(TopologyTrackerTest, LagIsTheDistanceToThePrimaryAsLastSeen) {
  begin_cluster();
  primary(kA, 1, 5000);
  replica(kB, 1, 4000, 3 * kSecond);
  EXPECT_EQ(state(kB).lag_bytes, 1000U);
  EXPECT_EQ(state(kB).lag, 3 * kSecond);
  replica(kB, 1, 6000);
  EXPECT_EQ(state(kB).lag_bytes, 0U);
  EXPECT_EQ(state(kB).lag, TimeNs{0});
  EXPECT_EQ(state(kA).lag_bytes, 0U);
}

TEST_F(TopologyTrackerTest, WhatThePrimaryHasNotFlushedIsNoLag) {
  begin_cluster();
  inserted_ = 5000;
  for (int i = 0; i < 3; ++i, now_ += kSecond) {
    primary(kA, 1, 1000);
    replica(kB, 1, 1000);
  }
  EXPECT_EQ(state(kA).lsn, Lsn{6000});
  EXPECT_EQ(state(kB).lag_bytes, 0U);
  EXPECT_EQ(state(kB).lag, TimeNs{0});
}

TEST_F(TopologyTrackerTest, AReplicaThatIsCutOffGetsOlderThoughItSaysItHasNoLag) {
  begin_cluster();
  primary(kA, 1, 2000);
  replica(kB, 1, 1000);
  now_ += kSecond;
  primary(kA, 1, 3000);
  replica(kB, 1, 1000);
  EXPECT_EQ(state(kB).lag, kSecond);
  now_ += kSecond;
  replica(kB, 1, 1500);
  EXPECT_EQ(state(kB).lag, 2 * kSecond);
  // What it lacked then it has now; what it lacks now is new.
  replica(kB, 1, 2000);
  EXPECT_EQ(state(kB).lag, TimeNs{0});
  EXPECT_EQ(state(kB).lag_bytes, 1000U);
}

TEST_F(TopologyTrackerTest, WhatTheLastPrimaryHadOnDiskBeyondTheForkIsTold) {
  begin_cluster();
  inserted_ = 500;  // not on its disk: no loss of it
  primary(kA, 1, 5000);
  EXPECT_FALSE(tracker_.take_lost_wal().has_value());
  fail(kA, 3);
  answer(kB, with_history(2, {{1, Lsn{4000}}}));
  const auto lost = tracker_.take_lost_wal();
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->timeline, 1U);
  EXPECT_EQ(lost->left_at, Lsn{4000});
  EXPECT_EQ(lost->flushed, Lsn{5000});
  EXPECT_FALSE(tracker_.take_lost_wal().has_value());
}

TEST_F(TopologyTrackerTest, APrimaryThatHasAllOfTheLastOnesDiskLacksNothing) {
  begin_cluster();
  inserted_ = 500;
  primary(kA, 1, 5000);
  fail(kA, 3);
  answer(kB, with_history(2, {{1, Lsn{5000}}}));
  EXPECT_FALSE(tracker_.take_lost_wal().has_value());
}

TEST_F(TopologyTrackerTest, PositionsOfTheOldPrimaryAreNotWaitedForOnTheNew) {
  begin_cluster();
  primary(kA, 1, 9000);
  replica(kC, 1, 1000);
  primary(kB, 2, 1100);
  now_ += kSecond;
  replica(kC, 2, 1100);
  EXPECT_EQ(state(kC).lag_bytes, 0U);
  EXPECT_EQ(state(kC).lag, TimeNs{0});
}

}  // namespace
}  // namespace understudy::proxy
