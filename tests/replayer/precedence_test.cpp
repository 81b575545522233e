#include "replayer/precedence.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace understudy::replayer {
namespace {

constexpr SessionId kA{1, 1}, kB{1, 2}, kC{1, 3};
constexpr std::uint64_t kUnknown = UINT64_MAX;

Footprint anything() {
  Footprint footprint;
  footprint.anything = true;
  return footprint;
}
Footprint writes(std::int64_t key) {
  Footprint footprint;
  footprint.takes_locks = true;
  footprint.writes = {{.table = 1, .column = 1, .key = key}};
  return footprint;
}

Footprint adds(std::uint64_t key) {
  Footprint footprint;
  footprint.takes_locks = true;
  footprint.writes = {{.table = 1, .adds = true}};
  footprint.unique_keys = {key};
  return footprint;
}

class PrecedenceTest : public testing::Test {
 protected:
  std::vector<SessionId> arrive(std::uint64_t number) {
    std::vector<SessionId> woken;
    precedence_.arrived(number, woken);
    return woken;
  }
  bool may_go(SessionId session, const Footprint& footprint, std::uint64_t sent_after,
              std::uint64_t answered_as = kUnknown) {
    return !precedence_.in_the_way_of(session, footprint, {sent_after, answered_as});
  }
  Precedence precedence_;
};

TEST_F(PrecedenceTest, ARequestWaitsForEveryReplyRecordedBeforeItWasSent) {
  const auto first = precedence_.reply_recorded(kA, anything(), {.replies = 0, .time = 0}, 0);
  const auto second = precedence_.reply_recorded(kB, anything(), {.replies = 0, .time = 0}, 0);
  EXPECT_FALSE(may_go(kC, anything(), 2));
  EXPECT_EQ(arrive(second), std::vector<SessionId>{kC});
  EXPECT_FALSE(may_go(kC, anything(), 2));
  EXPECT_EQ(arrive(first), std::vector<SessionId>{kC});
  EXPECT_TRUE(may_go(kC, anything(), 2));
}

TEST_F(PrecedenceTest, ASessionIsWokenOnceWhenRepliesArriveAsTheyWereRecorded) {
  const auto first = precedence_.reply_recorded(kA, writes(1), {.replies = 0, .time = 0}, 0);
  const auto second = precedence_.reply_recorded(kB, writes(1), {.replies = 0, .time = 0}, 0);
  EXPECT_FALSE(may_go(kC, writes(1), 2));
  EXPECT_EQ(arrive(first), std::vector<SessionId>{});
  EXPECT_EQ(arrive(second), std::vector<SessionId>{kC});
  EXPECT_TRUE(may_go(kC, writes(1), 2));
}

TEST_F(PrecedenceTest, ARequestDoesNotWaitForRepliesRecordedAfterIt) {
  precedence_.reply_recorded(kA, anything(), {.replies = 0, .time = 0}, 0);
  EXPECT_TRUE(may_go(kB, anything(), 0));
}

TEST_F(PrecedenceTest, ASessionDoesNotWaitForItsOwnReplies) {
  precedence_.reply_recorded(kA, anything(), {.replies = 0, .time = 0}, 0);
  EXPECT_TRUE(may_go(kA, anything(), 1));
}

TEST_F(PrecedenceTest, WhatDoesNotConflictDoesNotWait) {
  precedence_.reply_recorded(kA, writes(1), {.replies = 0, .time = 0}, 0);
  EXPECT_TRUE(may_go(kB, writes(2), 1));
  EXPECT_FALSE(may_go(kB, writes(1), 1));
  EXPECT_TRUE(may_go(kB, Footprint{}, 1));
}

TEST_F(PrecedenceTest, OfTwoThatWantedOneLockAtOnceTheOneAnsweredFirstGoesFirst) {
  // B asked before A was answered, and was itself answered third.
  const auto a = precedence_.reply_recorded(kA, writes(1), {.replies = 0, .time = 0}, 0);
  precedence_.reply_recorded(kC, writes(2), {.replies = 0, .time = 0}, 0);
  const auto b = precedence_.reply_recorded(kB, writes(1), {.replies = 0, .time = 0}, 0);
  EXPECT_FALSE(may_go(kB, writes(1), 0, b));
  EXPECT_TRUE(may_go(kA, writes(1), 0, a));
  EXPECT_EQ(arrive(a), std::vector<SessionId>{kB});
  EXPECT_TRUE(may_go(kB, writes(1), 0, b));
}

TEST_F(PrecedenceTest, WhoseKeyWasTakenWaitsForWhoTookItThoughThatOneWasAnsweredLater) {
  const Precedence::Place refused{
      .sent_after = 0, .answered_as = 0, .key_taken = true};  // B's reply is the first
  precedence_.reply_recorded(kB, writes(2), {.replies = 0, .time = 0}, 0);
  precedence_.reply_recorded(kC, adds(8), {.replies = 0, .time = 0}, 0);
  const auto winner = precedence_.reply_recorded(kA, adds(7), {.replies = 0, .time = 0}, 0);
  EXPECT_TRUE(precedence_.in_the_way_of(kB, adds(7), refused));
  EXPECT_EQ(arrive(winner), std::vector<SessionId>{kB});
  EXPECT_FALSE(precedence_.in_the_way_of(kB, adds(7), refused));
  // One that was asked after the refusal did not cause it; and whose key was free waits for nobody behind it.
  precedence_.reply_recorded(kA, adds(7), {.replies = 1, .time = 0}, 0);
  EXPECT_FALSE(precedence_.in_the_way_of(kB, adds(7), refused));
  precedence_.reply_recorded(kA, adds(7), {.replies = 0, .time = 0}, 0);
  EXPECT_TRUE(may_go(kB, adds(7), 0, 0));
}

TEST_F(PrecedenceTest, WhoseKeyWasTakenDoesNotWaitForWhoOnlyChangedRowsLater) {
  const Precedence::Place refused{.sent_after = 0, .answered_as = 0, .key_taken = true};
  precedence_.reply_recorded(kB, adds(7), {.replies = 0, .time = 0}, 0);
  Footprint update = writes(1);
  update.ends_transaction = true;
  precedence_.reply_recorded(kA, update, {.replies = 0, .time = 0}, 0);
  Footprint insert = writes(1);
  insert.unique_keys = {7};
  EXPECT_FALSE(precedence_.in_the_way_of(kB, insert, refused));
}

TEST_F(PrecedenceTest, WhoHeldALockStillWhenAnotherHadHadItGotItFromThatOneThoughAnsweredSooner) {
  // All three were asked at once; only A's transaction was over with its answer, the last.
  const auto elsewhere = precedence_.reply_recorded(kC, writes(2), {.replies = 0, .time = 0}, 0);
  const auto held = precedence_.reply_recorded(kB, writes(1), {.replies = 0, .time = 0}, 0);
  Footprint autocommit = writes(1);
  autocommit.ends_transaction = true;
  const auto over = precedence_.reply_recorded(kA, autocommit, {.replies = 0, .time = 0}, 0);
  EXPECT_FALSE(may_go(kA, autocommit, 0, over));  // the order of answers
  precedence_.was_over(over, [&](SessionId session, std::uint64_t reply) {
    return session == kC || (session == kB && reply == held);
  });
  EXPECT_TRUE(may_go(kA, autocommit, 0, over));
  EXPECT_FALSE(may_go(kB, writes(1), 0, held));
  EXPECT_TRUE(may_go(kC, writes(2), 0, elsewhere));
  EXPECT_EQ(arrive(over), std::vector<SessionId>{kB});
  EXPECT_TRUE(may_go(kB, writes(1), 0, held));
}

TEST_F(PrecedenceTest, TheOrderOfAnswersStandsWhereTheOneAnsweredFirstMayHaveLetGo) {
  Footprint autocommit = writes(1);
  autocommit.ends_transaction = true;
  const auto first = precedence_.reply_recorded(kB, writes(1), {.replies = 0, .time = 0}, 0);
  const auto second = precedence_.reply_recorded(kA, autocommit, {.replies = 0, .time = 0}, 0);
  precedence_.was_over(second, [](SessionId, std::uint64_t) { return false; });
  EXPECT_FALSE(may_go(kA, autocommit, 0, second));
  EXPECT_TRUE(may_go(kB, writes(1), 0, first));
}

TEST_F(PrecedenceTest, WhoIsKeptBackMissesItsPlaceWhereOthersComeBetween) {
  precedence_.reply_recorded(kA, writes(1), {.replies = 0, .time = 0}, 0);
  const auto between = precedence_.reply_recorded(kB, writes(1), {.replies = 0, .time = 0}, 0);
  precedence_.reply_recorded(kA, writes(1), {.replies = 0, .time = 0}, 0);
  const auto misses = [this](std::int64_t key, std::uint64_t sent_after, std::uint64_t until) {
    return precedence_.would_miss_its_place(kA, writes(key), sent_after, until);
  };
  EXPECT_TRUE(misses(1, 1, 2));
  EXPECT_TRUE(misses(1, 0, kUnknown));
  EXPECT_FALSE(misses(2, 0, 3));  // not of the same
  EXPECT_FALSE(misses(1, 0, 1));  // its own
  EXPECT_FALSE(misses(1, 2, 3));  // before it was sent
  arrive(between);
  EXPECT_FALSE(misses(1, 0, 3));
}

TEST_F(PrecedenceTest, WhatBeginsBeforeAnEndQueuesUpBehindWhoAskedBeforeThatEndToo) {
  Precedence::Place place{0, kUnknown};
  place.begins_before = {.replies = 1, .time = 100};
  precedence_.reply_recorded(kA, writes(2), {.replies = 0, .time = 10}, 90);
  const auto ahead = precedence_.reply_recorded(kC, writes(1), {.replies = 0, .time = 20}, 110);
  EXPECT_EQ(precedence_.in_the_way_of(kB, writes(1), place), ahead);
  std::vector<SessionId> woken;
  precedence_.waits_at_target(ahead, woken);
  EXPECT_EQ(woken, std::vector<SessionId>{kB});
  EXPECT_FALSE(precedence_.in_the_way_of(kB, writes(1), place));
  // Others wait for its answer still.
  EXPECT_EQ(precedence_.in_the_way_of(kB, writes(1), {0, kUnknown}), ahead);
}

TEST_F(PrecedenceTest, ACommitThatWasAnsweredWhenTheRequestCanHardlyHaveBegunCameBeforeIt) {
  Footprint commit = writes(1), read;
  commit.takes_locks = false;
  commit.ends_transaction = true;
  read.reads = commit.writes;
  const Precedence::Place place{.sent_after = 0, .answered_as = kUnknown, .sent_at = 1'000'000};
  const auto just_before = precedence_.reply_recorded(kA, commit, {.replies = 0, .time = 900'000}, 1'050'000);
  EXPECT_EQ(precedence_.in_the_way_of(kB, read, place), just_before);
  arrive(just_before);
  precedence_.reply_recorded(kA, commit, {.replies = 0, .time = 900'000}, 2'000'000);  // it may not have
  precedence_.reply_recorded(kC, commit, {.replies = 0, .time = 1'010'000}, 1'050'000);
  EXPECT_FALSE(precedence_.in_the_way_of(kB, read, place));
}

TEST_F(PrecedenceTest, WhoIsWaitedForAtTheTargetDoesNotWait) {
  const auto number = precedence_.reply_recorded(kA, writes(1), {.replies = 0, .time = 0}, 0);
  EXPECT_FALSE(may_go(kB, writes(1), 1));
  EXPECT_FALSE(may_go(kC, writes(1), 1));
  std::vector<SessionId> woken;
  precedence_.waits_for_session(number, kB, woken);
  EXPECT_EQ(woken, (std::vector<SessionId>{kB, kC}));
  EXPECT_TRUE(may_go(kB, writes(1), 1));
  EXPECT_FALSE(may_go(kC, writes(1), 1));
}

TEST_F(PrecedenceTest, WhatBeginsBeforeAnEndDoesNotWaitForWhoAskedAfterIt) {
  Precedence::Place place{0, kUnknown};
  place.begins_before = {.replies = 0, .time = 100};
  const auto after = precedence_.reply_recorded(kC, writes(1), {.replies = 0, .time = 100}, 110);
  EXPECT_FALSE(precedence_.in_the_way_of(kB, writes(1), place));
  EXPECT_EQ(precedence_.in_the_way_of(kB, writes(1), {0, kUnknown}), after);
}

TEST_F(PrecedenceTest, OneThatIsAnsweredOutOfSightWaitsForAllInSight) {
  precedence_.reply_recorded(kA, writes(1), {.replies = 0, .time = 0}, 0);
  EXPECT_FALSE(may_go(kB, writes(1), 0, kUnknown));
}

TEST_F(PrecedenceTest, RepliesThatArriveInAnyOrderAreForgotten) {
  std::vector<std::uint64_t> numbers;
  for (int i = 0; i < 1000; ++i)
    numbers.push_back(precedence_.reply_recorded(kA, anything(), {.replies = 0, .time = 0}, 0));
  std::reverse(numbers.begin(), numbers.end());
  for (const std::uint64_t number : numbers) arrive(number);
  EXPECT_EQ(precedence_.waiting(), 0U);
  EXPECT_EQ(precedence_.recorded(), 1000U);
  EXPECT_EQ(arrive(3), std::vector<SessionId>{});  // again: no harm
  EXPECT_TRUE(may_go(kB, anything(), 1000));
}

}  // namespace
}  // namespace understudy::replayer
