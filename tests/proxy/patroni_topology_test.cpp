// Who is primary where Patroni says who may be; one test a hazard.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/topology_tracker.h"

namespace understudy::proxy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr TimeNs kSecond = 1'000'000'000;
constexpr std::size_t kA = 0;
constexpr std::size_t kB = 1;

class PatroniTopologyTest : public testing::Test {
 protected:
  void primary(std::size_t backend, std::uint32_t timeline, bool readable = true) {
    CheckResult result;
    result.timeline = timeline;
    result.history.emplace();
    if (readable && timeline > 1) result.history->push_back({timeline - 1, Lsn{100}});
    (void)tracker_.succeeded(backend, result, now_);
  }
  void replica(std::size_t backend, std::uint32_t timeline) {
    CheckResult result;
    result.in_recovery = true;
    result.timeline = timeline;
    (void)tracker_.succeeded(backend, result, now_);
  }
  void follow(std::optional<std::size_t> leader) { (void)tracker_.follow({a_, b_}, leader); }
  // A leads on timeline 1, B follows it.
  void begin() {
    follow(0);
    primary(kA, 1);
    replica(kB, 1);
    ASSERT_EQ(now_primary(), kA);
  }
  std::optional<std::size_t> now_primary() const { return tracker_.topology().primary; }
  const BackendState& state(std::size_t backend) const { return tracker_.topology().backends[backend]; }

  Address a_{"a", 1};
  Address b_{"b", 1};
  Address c_{"c", 1};
  TopologyTracker tracker_{{}, 3, true};
  TimeNs now_ = kSecond;
};

TEST_F(PatroniTopologyTest, OnlyTheLeaderIsPrimaryAndOnlyOnceItSaysSo) {
  follow(0);
  EXPECT_EQ(now_primary(), std::nullopt);
  replica(kA, 1);  // it has the lock, and is not promoted yet
  primary(kB, 1);
  EXPECT_EQ(now_primary(), std::nullopt);
  follow(0);
  primary(kA, 2);
  EXPECT_EQ(now_primary(), kA);
  EXPECT_TRUE(state(kB).fenced);
}

TEST_F(PatroniTopologyTest, ALeaderInRecoveryIsNotWrittenTo) {
  begin();
  replica(kA, 1);
  EXPECT_EQ(now_primary(), std::nullopt);
}

TEST_F(PatroniTopologyTest, WithoutALeaderThereIsNoPrimary) {
  begin();
  follow(std::nullopt);
  EXPECT_EQ(now_primary(), std::nullopt);
}

TEST_F(PatroniTopologyTest, WhenAnotherBecomesPrimaryTheOldLeaderIsDoubtedUntilPatroniHasSpoken) {
  begin();
  primary(kB, 2);
  EXPECT_EQ(now_primary(), std::nullopt);
  follow(1);
  EXPECT_EQ(now_primary(), kB);
}

TEST_F(PatroniTopologyTest, WhoPromotedItselfWithoutPatroniSetsNoStandard) {
  begin();
  primary(kB, 2);
  follow(0);
  EXPECT_EQ(now_primary(), kA);
  EXPECT_TRUE(state(kB).fenced);
  primary(kB, 2);  // says so again: nothing new
  EXPECT_EQ(now_primary(), kA);
}

TEST_F(PatroniTopologyTest, AnOldPrimaryThatPatroniNamesStaysFenced) {
  begin();
  primary(kB, 2);
  follow(1);
  ASSERT_EQ(now_primary(), kB);
  follow(0);
  EXPECT_EQ(now_primary(), std::nullopt);
  EXPECT_TRUE(state(kA).fenced);
}

TEST_F(PatroniTopologyTest, MembersComeAndGoAndKeepTheirPlaces) {
  begin();
  (void)tracker_.follow({a_, b_, c_}, 0);
  EXPECT_EQ(state(2).address, c_);
  (void)tracker_.follow({c_, a_}, 1);
  EXPECT_TRUE(state(kB).removed);
  EXPECT_EQ(now_primary(), kA);
  // The place of one that left goes to the next that comes.
  const Address d{"d", 1};
  EXPECT_THAT(tracker_.follow({c_, a_, d}, 1),
              ElementsAre(TopologyChange{TopologyChange::Kind::kBackendAdded, kB}));
  EXPECT_EQ(state(kB).address, d);
  EXPECT_FALSE(state(kB).up);
  EXPECT_THAT(tracker_.topology().describe(), testing::Not(HasSubstr("b:1")));
}

TEST_F(PatroniTopologyTest, ManyChangesOfMembersTakeNoMorePlaces) {
  begin();
  for (unsigned i = 0; i < 1000; ++i)
    (void)tracker_.follow({a_, {"member", static_cast<std::uint16_t>(i)}}, 0);
  EXPECT_EQ(tracker_.topology().backends.size(), 2U);
  EXPECT_EQ(now_primary(), kA);
}

TEST_F(PatroniTopologyTest, WhilePatroniIsSilentTheServersAreJudgedByTheirOwnWord) {
  begin();
  (void)tracker_.unled("connection refused");
  EXPECT_EQ(now_primary(), kA);
  for (int i = 0; i < 3; ++i) (void)tracker_.failed(kA, "gone");
  primary(kB, 2);
  EXPECT_EQ(now_primary(), kB);
  EXPECT_THAT(tracker_.topology().describe(), HasSubstr("Patroni silent: connection refused"));
}

TEST_F(PatroniTopologyTest, AHistoryThatCannotBeReadIsPatronis) {
  begin();
  primary(kB, 2, false);
  follow(1);
  // What was cut off would be answered with "unknown": worth a wait.
  EXPECT_EQ(now_primary(), std::nullopt);
  (void)tracker_.follow_history({{1, Lsn{100}}});
  EXPECT_EQ(now_primary(), kB);
  EXPECT_THAT(state(kB).history, ElementsAre(TimelineSwitch{1, Lsn{100}}));
}

TEST_F(PatroniTopologyTest, AHistoryThatDoesNotComeIsNotWaitedForLong) {
  begin();
  primary(kB, 2, false);
  follow(1);
  now_ += 6 * kSecond;
  primary(kB, 2, false);
  EXPECT_EQ(now_primary(), kB);
  EXPECT_TRUE(state(kB).history.empty());
}

}  // namespace
}  // namespace understudy::proxy
