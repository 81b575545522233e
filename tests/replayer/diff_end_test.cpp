// How sessions end: servers that die, clients that leave, holes. What is a difference and what is merely
// missing.
#include "replayer/diff.h"

#include <gmock/gmock.h>

#include "tests/replayer/diff_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using enum DifferenceClass;

class DiffEndTest : public DiffTest {};

TEST_F(DiffEndTest, AServerThatDiesIsOneDifference) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  a.exchange("SELECT 2", Server().rows({"2"})).exchange("SELECT 3", Server().rows({"3"})).leaves();
  b.asks(Client().query("SELECT 2")).answers(Server().columns({"value"})).leaves(CloseReason::kServerLeft);
  compare();
  EXPECT_EQ(only_difference().difference, kUnanswered);
  EXPECT_EQ(only_difference().in_b, "the server had ended the session");
  EXPECT_EQ(result.totals.exchanges_left_out, 1U);
}

TEST_F(DiffEndTest, SoIsOneThatSaysWhyInTheMiddleOfAnExchange) {
  both_open();
  a.exchange("SELECT 2", Server().rows({"2"})).exchange("SELECT 3", Server().rows({"3"})).leaves();
  b.asks(Client().query("SELECT 2")).answers(Server().error("57P01", "bye", "FATAL"));
  b.leaves(CloseReason::kServerLeft);
  compare();
  EXPECT_EQ(only_difference().difference, kNewError);
  EXPECT_EQ(only_difference().in_b, "FATAL 57P01: bye");
  EXPECT_EQ(result.totals.exchanges_left_out, 1U);
}

TEST_F(DiffEndTest, SoIsOneThatSaysWhyBetweenExchanges) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  a.exchange("SELECT 2", Server().rows({"2"})).leaves();
  b.answers(Server().error("57P05", "idle", "FATAL")).leaves(CloseReason::kServerLeft);
  compare();
  EXPECT_EQ(only_difference().difference, kNewError);
  EXPECT_EQ(only_difference().in_a, "went on");
  EXPECT_EQ(only_difference().in_b, "FATAL 57P05: idle");
}

TEST_F(DiffEndTest, ADifferenceAndThenAnEndAreTwo) {
  both_open();
  a.asks(Client().query("SELECT 1; SELECT 2"))
      .answers(Server().columns({"a"}).row({"1"}).tag("SELECT 1").rows({"2"}))
      .leaves();
  b.asks(Client().query("SELECT 1; SELECT 2")).answers(Server().columns({"a"}).row({"9"}).tag("SELECT 1"));
  b.leaves(CloseReason::kServerLeft);
  compare();
  EXPECT_THAT(classes(), ElementsAre(kRows, kUnanswered));
}

TEST_F(DiffEndTest, AReplayThatGaveUpWaitingIsADifference) {
  both_open();
  a.exchange("SELECT 1", Server().rows({"1"})).leaves();
  b.asks(Client().query("SELECT 1")).leaves();
  compare();
  EXPECT_EQ(only_difference().difference, kUnanswered);
  EXPECT_EQ(only_difference().in_b, "the client had left");
}

TEST_F(DiffEndTest, ARecordedClientThatDidNotWaitIsNone) {
  both_open();
  a.asks(Client().query("SELECT 1")).leaves();
  b.exchange("SELECT 1", Server().rows({"1"})).leaves();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(result.totals.exchanges_left_out, 1U);
}

TEST_F(DiffEndTest, AReplayThatStoppedEarlyIsADifference) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  a.exchange("SELECT 2", Server().rows({"2"}));
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kRequests);
  EXPECT_EQ(only_difference().in_b, "the client had left");
}

TEST_F(DiffEndTest, WhatARecordingDoesNotHoldAnyMoreIsNoDifference) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  a.asks(Client().query("SELECT 2"))
      .answers(Server().columns({"value"}))
      .leaves(CloseReason::kRecordingEnded);
  b.exchange("SELECT 2", Server().rows({"2"})).leaves();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(result.totals.exchanges, 1U);
  EXPECT_EQ(result.totals.exchanges_left_out, 1U);
  EXPECT_EQ(result.totals.sessions_cut, 1U);
  EXPECT_THAT(result.cuts().begin()->first, HasSubstr("A: the recording ends"));
}

TEST_F(DiffEndTest, ARecordingThatEndedWithItsSessionsOpenButAnsweredIsWhole) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  a.leaves(CloseReason::kRecordingEnded);
  b.leaves();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(result.totals.sessions_cut, 0U);
}

TEST_F(DiffEndTest, AHoleInsideAResultInventsNoDifference) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  both_ask(Client().query("SELECT a FROM t"));
  a.answers(Server().columns({"value"}).row({"1"}))
      .gap()
      .answers(Server().row({"2"}).tag("SELECT 2").ready());
  b.answers(Server().rows({"1", "2"}));
  both_exchange("SELECT 2", Server().rows({"2"}));
  both_leave();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(result.totals.exchanges, 1U);
  EXPECT_EQ(result.totals.sessions_cut, 1U);
  EXPECT_EQ(result.cuts().at("A: a gap"), 1U);
}

TEST_F(DiffEndTest, NorDoesAHoleInTheOther) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  b.seal();
  both_exchange("SELECT 2", Server().rows({"2"}));
  b.damage_last_chunk();
  both_exchange("SELECT 3", Server().rows({"3"}));
  both_leave();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(result.totals.exchanges, 1U);
  EXPECT_EQ(result.totals.exchanges_left_out, 2U);
  EXPECT_EQ(result.cuts().at("B: a damaged chunk"), 1U);
}

TEST_F(DiffEndTest, ADifferenceBeforeAHoleIsTold) {
  both_open();
  asked("SELECT 1", Server().rows({"1"}), Server().rows({"9"}));
  b.gap();
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kRows);
}

TEST_F(DiffEndTest, ACutBetweenTwoRequestsIsToldOnlyWhereTheOtherGoesOn) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  b.leaves();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_TRUE(result.complete());
}

TEST_F(DiffEndTest, ACutBeforeAnAnswerOrBeforeWhatTheOtherHasIsTold) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  a.asks(Client().query("SELECT 2"));
  b.exchange("SELECT 2", Server().rows({"2"})).leaves();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_FALSE(result.complete());
  EXPECT_EQ(result.cuts().at("A: the recording ends before it"), 1U);
}

TEST_F(DiffEndTest, AHoleInTheLoginInventsNoDifference) {
  a.connection(1).gap().leaves();
  b.connection(1, replaying(a, 1)).answers(Server().error("28P01", "who?", "FATAL"));
  b.leaves(CloseReason::kServerLeft);
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(result.totals.sessions_cut, 1U);
}

TEST_F(DiffEndTest, AFarewellThatOnlyOneServerSaid) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  a.answers(Server().error("57P01", "shutting down", "FATAL")).leaves(CloseReason::kServerLeft);
  b.leaves();
  compare();
  EXPECT_EQ(only_difference().difference, kVanishedError);
  EXPECT_THAT(only_difference().in_a, StartsWith("FATAL 57P01"));
  EXPECT_EQ(only_difference().in_b, "the client had left");
}

// --- many sessions

}  // namespace
}  // namespace understudy::replayer
