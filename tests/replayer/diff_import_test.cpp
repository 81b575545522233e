// A recording that was imported from a log, and its replay: errors are compared, and what a log cannot know
// is not.
#include <gmock/gmock.h>

#include "formats/transcript/known_replies.h"
#include "tests/replayer/diff_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;
using testing::ElementsAre;
using enum DifferenceClass;

class DiffImportTest : public DiffTest {
 protected:
  void SetUp() override {
    LoginOptions login;
    login.replies = kOnlyErrors;
    a.session(1, login);
    b.session(1, replaying(a, 1));
  }
  // The log tells when it was answered, or that it was.
  static Server answered(bool timed) {
    Server server;
    return server.tag(timed ? kAnsweredThen : kAnsweredByThen).ready('T');
  }
};

TEST_F(DiffImportTest, WhatALogCannotKnowIsNotCompared) {
  asked("SELECT 1", answered(true), Server().notice("well").rows({"1"}));
  asked("SELECT 2", answered(false), Server().rows({"2"}));
  a.asks(Client().ask("SELECT $1", {"x"}).sync())
      .answers(Server().say('1').say('2').tag(kAnsweredByThen).ready());
  b.asks(Client().ask("SELECT $1", {"x"}).sync()).answers(Server().prepared().tag("SELECT 0").ready());
  both_leave();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(result.totals.exchanges, 3U);
  EXPECT_EQ(result.totals.exchanges_by_errors, 3U);
  EXPECT_EQ(result.totals.rows, 0U);
}

TEST_F(DiffImportTest, ErrorsAre) {
  asked("SELECT 1", answered(true), Server().error("42P01").ready());
  asked("SELECT 2", Server().error("22012").ready(), Server().rows({"2"}));
  asked("SELECT 3", Server().error("22012").ready(), Server().error("42P01").ready());
  asked("SELECT 4", Server().error("22012", "in one language").ready(),
        Server().error("22012", "in another").ready());
  both_leave();
  compare();
  EXPECT_THAT(classes(), ElementsAre(kNewError, kVanishedError, kSqlstate));
  EXPECT_EQ(found[0].in_a, "no error");
  EXPECT_EQ(found[0].in_b, "ERROR 42P01: no");
}

TEST_F(DiffImportTest, AStateThatTheLogDoesNotTellIsNoDifference) {
  asked("SELECT 1", Server().error("").ready(), Server().error("42P01").ready());
  a.answers(Server().error("", "bye", "FATAL")).leaves(CloseReason::kServerLeft);
  b.answers(Server().error("57P01", "good-bye", "FATAL")).leaves(CloseReason::kServerLeft);
  compare();
  EXPECT_TRUE(result.same());
}

TEST_F(DiffImportTest, LatencyIsToldWhereTheLogHasIt) {
  asked("SELECT 1", answered(true), Server().rows({"1"}));
  asked("SELECT 2", answered(false), Server().rows({"2"}));
  both_leave();
  compare();
  EXPECT_EQ(result.all_latencies().a->count(), 1U);
  EXPECT_EQ(result.all_latencies().b->count(), 2U);
}

}  // namespace
}  // namespace understudy::replayer
