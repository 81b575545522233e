// What two recordings differ in: every class, every rule of noise, and nothing that is not there.
#include "replayer/diff.h"

#include <gmock/gmock.h>

#include "tests/replayer/diff_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using enum DifferenceClass;

namespace backend = wire::backend;

class DiffClassTest : public DiffTest {};

TEST_F(DiffClassTest, ASessionOfOneRecordingOnly) {
  both_open();
  both_leave();
  b.session(2, replaying(a, 9));
  compare();
  EXPECT_EQ(only_difference().difference, kSession);
  EXPECT_EQ(only_difference().session_a, SessionId{});
  EXPECT_EQ(only_difference().session_b, (SessionId{1, 2}));
  EXPECT_EQ(only_difference().in_b, "user alice, database shop");
  EXPECT_EQ(result.totals.sessions_only_b, 1U);
}

TEST_F(DiffClassTest, ASessionOfOneRecordingOnlyMayBeIgnored) {
  both_open();
  both_leave();
  a.session(2);
  compare(true);
  EXPECT_TRUE(result.same());
  EXPECT_EQ(result.totals.sessions_only_a, 1U);
}

TEST_F(DiffClassTest, ARefusedLoginIsOneDifferenceAndTheRestIsLeftOut) {
  a.session(1).exchange("SELECT 1", Server().rows({"1"})).exchange("SELECT 2", Server().rows({"2"})).leaves();
  b.connection(1, replaying(a, 1)).answers(Server().error("28P01", "who?", "FATAL"));
  b.leaves(CloseReason::kServerLeft);
  compare();
  EXPECT_EQ(only_difference().difference, kNewLoginFailure);
  EXPECT_EQ(only_difference().in_a, "logged in");
  EXPECT_EQ(only_difference().in_b, "FATAL 28P01: who?");
  EXPECT_EQ(result.totals.exchanges_left_out, 2U);
}

TEST_F(DiffClassTest, ALoginThatTheServerDropped) {
  a.session(1).leaves();
  b.connection(1, replaying(a, 1)).leaves(CloseReason::kServerLeft);
  compare();
  EXPECT_EQ(only_difference().difference, kNewLoginFailure);
  EXPECT_THAT(only_difference().in_b, HasSubstr("not logged in"));
}

TEST_F(DiffClassTest, OppositeOutcomesOfLoginsAreTwoKinds) {
  const auto refused = [](Tape& tape, std::uint32_t number, const LoginOptions& login, const char* sqlstate) {
    tape.connection(number, login).answers(Server().error(sqlstate, "no", "FATAL"));
    tape.leaves(CloseReason::kServerLeft);
  };
  a.session(1).leaves();
  refused(a, 2, {}, "53300");
  refused(a, 3, {}, "28P01");
  refused(b, 1, replaying(a, 1), "3D000");
  b.session(2, replaying(a, 2)).leaves();
  refused(b, 3, replaying(a, 3), "3D000");
  compare();
  EXPECT_THAT(classes(), ElementsAre(kNewLoginFailure, kVanishedLoginFailure, kLogin));
  EXPECT_EQ(result.groups().size(), 3U);
}

TEST_F(DiffClassTest, APasswordThatProductionRefusedIsNoDifferenceWhereTheReplayHadItsOwn) {
  for (Tape* const tape : {&a, &b}) {
    const bool replayed = tape == &b;
    tape->session(1, replayed ? replaying(a, 1) : LoginOptions{}).leaves();
    if (replayed) {
      tape->session(2, replaying(a, 2)).leaves();
    } else {
      tape->connection(2).answers(Server().error("28P01", "who?", "FATAL"));
      tape->leaves(CloseReason::kServerLeft);
    }
  }
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_TRUE(result.complete());
  EXPECT_EQ(noise(NoiseRule::kRefusedLogin), 1U);
}

TEST_F(DiffClassTest, NorIsItWhereTheReplayIsA) {
  a.session(1, replaying(b, 1)).leaves();
  b.connection(1).answers(Server().error("28000", "no entry", "FATAL")).leaves(CloseReason::kServerLeft);
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(noise(NoiseRule::kRefusedLogin), 1U);
}

TEST_F(DiffClassTest, OfTwoReplaysTheRefusedOneIsADifference) {
  const LoginOptions origin{.origin = "1.1", .recording = "cccccccccccccccccccccccccccccccc"};
  a.connection(1, origin).answers(Server().error("28P01", "who?", "FATAL")).leaves(CloseReason::kServerLeft);
  b.session(1, origin).leaves();
  compare();
  EXPECT_EQ(only_difference().difference, kVanishedLoginFailure);
}

TEST_F(DiffClassTest, AnotherSettingAtLogin) {
  a.session(1, {.settings = {{"TimeZone", "UTC"}}}).leaves();
  b.session(1, replaying(a, 1, {.settings = {{"TimeZone", "Europe/Paris"}}})).leaves();
  compare();
  EXPECT_EQ(only_difference().difference, kLogin);
  EXPECT_EQ(only_difference().in_a, "TimeZone = UTC");
  EXPECT_EQ(only_difference().in_b, "TimeZone = Europe/Paris");
}

TEST_F(DiffClassTest, ANewErrorAndAVanishedOne) {
  both_open();
  asked("SELECT * FROM t", Server().rows({"1"}), Server().error("42P01", "no t").ready());
  asked("SELECT * FROM u", Server().error("42P01", "no u").ready(), Server().rows({"1"}));
  both_leave();
  compare();
  ASSERT_THAT(classes(), ElementsAre(kNewError, kVanishedError));
  EXPECT_EQ(found[0].in_a, "RowDescription");
  EXPECT_EQ(found[0].in_b, "ERROR 42P01: no t");
  EXPECT_EQ(found[0].request, "SELECT * FROM t");
  EXPECT_EQ(found[0].exchange, 1U);
  EXPECT_EQ(found[1].in_a, "ERROR 42P01: no u");
}

TEST_F(DiffClassTest, AnErrorBehindSomeRowsIsAnErrorAndNoCount) {
  both_open();
  asked("SELECT 1 / n FROM t", Server().columns({"n"}).row({"1"}).row({"1"}).tag("SELECT 2").ready(),
        Server().columns({"n"}).row({"1"}).error("22012").ready());
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kNewError);
}

TEST_F(DiffClassTest, AnotherSqlstate) {
  both_open();
  asked("INSERT INTO t VALUES (1)", Server().error("23505").ready(), Server().error("23503").ready());
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kSqlstate);
}

TEST_F(DiffClassTest, AnotherCommand) {
  both_open();
  asked("COMMIT", Server().tag("COMMIT").ready(), Server().tag("ROLLBACK").ready());
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kCommandTag);
  EXPECT_EQ(only_difference().in_b, "ROLLBACK");
}

TEST_F(DiffClassTest, AnotherNumberOfRowsChanged) {
  both_open();
  asked("UPDATE t SET a = 1", Server().tag("UPDATE 3").ready(), Server().tag("UPDATE 4").ready());
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kRowCount);
  EXPECT_EQ(only_difference().in_a, "UPDATE 3");
}

TEST_F(DiffClassTest, AnotherNumberOfRowsReturnedIsOneDifference) {
  both_open();
  asked("SELECT a FROM t", Server().rows({"1", "2"}), Server().rows({"1", "2", "3"}));
  asked("SELECT a FROM u", Server().rows({"1", "2"}), Server().rows({}));
  both_leave();
  compare();
  ASSERT_THAT(classes(), ElementsAre(kRowCount, kRowCount));
  EXPECT_EQ(found[0].rows.only_b, 1U);
  EXPECT_EQ(found[0].in_b, "3 rows");
  EXPECT_EQ(found[1].rows.only_a, 2U);
}

TEST_F(DiffClassTest, AnotherTypeOfAColumn) {
  both_open();
  asked("SELECT a FROM t", Server().columns({"a"}, 23).row({"1"}).tag("SELECT 1").ready(),
        Server().columns({"a"}, 20).row({"1"}).tag("SELECT 1").ready());
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kColumns);
  EXPECT_EQ(only_difference().in_a, "a integer");
  EXPECT_EQ(only_difference().in_b, "a bigint");
}

TEST_F(DiffClassTest, AColumnMoreMakesOtherRowsDownstream) {
  both_open();
  asked("SELECT * FROM t", Server().columns({"a"}).row({"1"}).tag("SELECT 1").ready(),
        Server().columns({"a", "b"}).row({"1", "2"}).tag("SELECT 1").ready());
  both_leave();
  compare();
  ASSERT_THAT(classes(), ElementsAre(kColumns, kRows));
  EXPECT_EQ(found[0].in_a, "no such column");
  EXPECT_EQ(found[0].in_b, "b integer");
  EXPECT_FALSE(found[0].downstream);
  EXPECT_TRUE(found[1].downstream);
}

TEST_F(DiffClassTest, OtherParametersOfAPreparedStatement) {
  both_open();
  both_ask(Client().parse("s", "SELECT $1").describe(wire::Target::kStatement, "s").sync());
  a.answers(Server().say(backend::kParseComplete).parameters({23}).columns({"a"}).ready());
  b.answers(Server().say(backend::kParseComplete).parameters({25}).columns({"a"}).ready());
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kColumns);
  EXPECT_EQ(only_difference().in_a, "$1 integer");
  EXPECT_EQ(only_difference().in_b, "$1 text");
}

TEST_F(DiffClassTest, OtherColumnsOfACopy) {
  both_open();
  asked("COPY t TO STDOUT",
        Server().copy(backend::kCopyOutResponse, 2).copy_data("1\t2\n").copy_done().tag("COPY 1").ready(),
        Server().copy(backend::kCopyOutResponse, 3).copy_data("1\t2\t3\n").copy_done().tag("COPY 1").ready());
  both_leave();
  compare();
  ASSERT_THAT(classes(), ElementsAre(kColumns, kRows));
  EXPECT_EQ(found[0].in_a, "COPY of 2 columns, text");
}

TEST_F(DiffClassTest, OtherCells) {
  both_open();
  const Server columns = Server().columns({"id", "price"});
  asked("SELECT id, price FROM product", Server(columns).row({"7", "8.75"}).tag("SELECT 1").ready(),
        Server(columns).row({"7", "99.99"}).tag("SELECT 1").ready());
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kRows);
  EXPECT_THAT(only_difference().columns, ElementsAre("id", "price"));
  EXPECT_THAT(only_difference().rows.examples.at(0).columns, ElementsAre(1U));
  EXPECT_EQ(only_difference().rows.examples.at(0).b, "7 | 99.99");
}

TEST_F(DiffClassTest, ColumnsOfAPreparedStatementAreNamedLongAfter) {
  both_open();
  both_ask(Client().parse("s", "SELECT id, price FROM product WHERE id = $1").sync());
  both_answer(Server().say(backend::kParseComplete).ready());
  both_ask(Client().describe(wire::Target::kStatement, "s").sync());
  both_answer(Server().parameters({23}).columns({"id", "price"}).ready());
  both_ask(Client().bind("s", {"7"}).execute().sync());
  a.answers(Server().say(backend::kBindComplete).row({"7", "1"}).tag("SELECT 1").ready());
  b.answers(Server().say(backend::kBindComplete).row({"7", "2"}).tag("SELECT 1").ready());
  both_leave();
  compare();
  EXPECT_THAT(only_difference().columns, ElementsAre("id", "price"));
  EXPECT_EQ(only_difference().parameters, "'7'");
  EXPECT_EQ(only_difference().request, "");
  EXPECT_EQ(only_difference().exchange, 3U);
}

TEST_F(DiffClassTest, CopiedRows) {
  both_open();
  const auto copied = [](std::string_view line) {
    return Server()
        .copy(backend::kCopyOutResponse)
        .copy_data("1\tx\n")
        .copy_data(line)
        .copy_done()
        .tag("COPY 2")
        .ready();
  };
  asked("COPY t TO STDOUT", copied("2\ty\n"), copied("2\tz\n"));
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kRows);
  EXPECT_EQ(only_difference().rows.examples.at(0).a, "2 | y");
}

TEST_F(DiffClassTest, TheResultOfAFunctionCall) {
  both_open();
  both_ask(Client().function_call(1598, {}));
  a.answers(Server().function_result("0.25").ready());
  b.answers(Server().function_result("0.5").ready());
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kRows);
  EXPECT_EQ(only_difference().in_a, "'0.25'");
}

TEST_F(DiffClassTest, AnotherOrderOfRows) {
  both_open();
  asked("SELECT a FROM t", Server().rows({"1", "2", "3"}), Server().rows({"3", "2", "1"}));
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kRowOrder);
  EXPECT_EQ(only_difference().rows.moved, 2U);
}

TEST_F(DiffClassTest, AnotherKindOfReply) {
  both_open();
  asked("SELECT do_it()", Server().rows({"1"}), Server().tag("CALL").ready());
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kReply);
  EXPECT_EQ(only_difference().in_a, "RowDescription");
  EXPECT_EQ(only_difference().in_b, "CommandComplete");
}

TEST_F(DiffClassTest, AnotherTransactionState) {
  both_open();
  asked("CALL p()", Server().tag("CALL").ready('T'), Server().tag("CALL").ready('I'));
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kTransactionState);
  EXPECT_EQ(only_difference().in_a, "in a transaction");
  EXPECT_EQ(only_difference().in_b, "idle");
}

TEST_F(DiffClassTest, OtherRequestsEndTheComparisonOfASession) {
  both_open();
  a.exchange("SELECT a FROM t", Server().rows({"1"})).exchange("SELECT 1", Server().rows({"1"}));
  b.exchange("SELECT b FROM t", Server().rows({"1"}));
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kRequests);
  EXPECT_EQ(only_difference().in_b, "SELECT b FROM t");
  EXPECT_EQ(result.totals.exchanges, 0U);
  EXPECT_EQ(result.totals.exchanges_left_out, 3U);
}

TEST_F(DiffClassTest, NoticesAndSettings) {
  both_open();
  asked("CALL p()", Server().notice("one").tag("CALL").ready(), Server().notice("two").tag("CALL").ready());
  asked("SET x", Server().tag("SET").status("x", "1").ready(), Server().tag("SET").ready());
  both_leave();
  compare();
  ASSERT_THAT(classes(), ElementsAre(kNotices, kNotices));
  EXPECT_EQ(found[0].in_a, "1: NOTICE 00000: one");
  EXPECT_EQ(found[1].in_b, "none");
}

TEST_F(DiffClassTest, Notifications) {
  both_open();
  a.answers(Server().notification("jobs", "1", 7));
  b.answers(Server().notification("jobs", "2", 8));
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kNotifications);
  EXPECT_EQ(only_difference().in_a, "1, first: jobs: 1");
}

TEST_F(DiffClassTest, WhatFollowsInATransactionIsDownstreamAndTheNextOneIsNot) {
  both_open();
  both_exchange("BEGIN", Server().tag("BEGIN").ready('T'));
  asked("UPDATE t SET a = 1", Server().tag("UPDATE 1").ready('T'), Server().error("23514").ready('E'));
  asked("SELECT 1", Server().columns({"a"}).row({"1"}).tag("SELECT 1").ready('T'),
        Server().error("25P02").ready('E'));
  asked("COMMIT", Server().tag("COMMIT").ready(), Server().tag("ROLLBACK").ready());
  asked("SELECT a FROM t", Server().rows({"1"}), Server().rows({"0"}));
  both_leave();
  compare();
  ASSERT_THAT(classes(), ElementsAre(kNewError, kNewError, kCommandTag, kRows));
  EXPECT_FALSE(found[0].downstream);
  EXPECT_TRUE(found[1].downstream);
  EXPECT_TRUE(found[2].downstream);
  EXPECT_FALSE(found[3].downstream);
  EXPECT_EQ(result.totals.downstream, 2U);
}

TEST_F(DiffClassTest, AnswersToOtherValuesAreDownstream) {
  both_open();
  a.exchange("SELECT name FROM t WHERE id = 1", Server().rows({"ada"}));
  b.exchange("SELECT name FROM t WHERE id = 2", Server().rows({"bob"}));
  a.exchange("SELECT name FROM t WHERE id = 3", Server().rows({"eve"}));
  b.exchange("SELECT name FROM t WHERE id = 4", Server().rows({"eve"}));
  both_leave();
  compare();
  EXPECT_TRUE(only_difference().downstream);
  EXPECT_EQ(result.totals.requests_changed, 2U);
}

TEST_F(DiffClassTest, ADifferenceInAPipelineBearsItsOwnStatementAndParameters) {
  both_open();
  both_ask(Client().ask("BEGIN").ask("SELECT a FROM t WHERE id = $1", {"7"}).ask("COMMIT").sync());
  const auto answer = [](const char* value) {
    return Server()
        .prepared()
        .tag("BEGIN")
        .say(backend::kParseComplete)
        .say(backend::kBindComplete)
        .columns({"a"})
        .row({value})
        .tag("SELECT 1")
        .prepared()
        .tag("COMMIT")
        .ready();
  };
  a.answers(answer("1"));
  b.answers(answer("2"));
  both_leave();
  compare();
  EXPECT_EQ(result.catalog.text(only_difference().statement), "SELECT a FROM t WHERE id = $1");
  EXPECT_EQ(only_difference().parameters, "'7'");
}

// --- where exchanges do not correspond

TEST_F(DiffClassTest, ASyncThatAReplayAddedIsPassedOver) {
  both_open();
  both_ask(Client().ask("COPY t FROM STDIN").sync());
  a.answers(Server().prepared().copy(backend::kCopyInResponse));
  a.asks(Client().copy_data("1\n").copy_done().sync()).answers(Server().tag("COPY 1").ready());
  b.answers(Server().prepared().error("42P01").ready());
  b.asks(Client().copy_data("1\n").copy_done().sync()).answers(Server().ready());
  both_exchange("SELECT 1", Server().rows({"1"}));
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kNewError);
  EXPECT_EQ(result.totals.exchanges_added, 1U);
  EXPECT_EQ(result.totals.exchanges, 2U);
  EXPECT_EQ(result.totals.exchanges_left_out, 0U);
}

TEST_F(DiffClassTest, SoIsOneAtTheEndOfASession) {
  both_open();
  both_ask(Client().ask("COPY t FROM STDIN").sync());
  a.answers(Server().prepared().error("42P01").ready());
  a.asks(Client().copy_done().sync()).answers(Server().ready());
  b.answers(Server().prepared().copy(backend::kCopyInResponse));
  b.asks(Client().copy_done().sync()).answers(Server().tag("COPY 0").ready());
  both_leave();
  compare();
  EXPECT_EQ(only_difference().difference, kVanishedError);
  EXPECT_EQ(result.totals.exchanges_added, 1U);
}

TEST_F(DiffClassTest, SessionsThatOverlapAreEachComparedWithTheirOwn) {
  constexpr std::uint32_t kSessions = 50;
  for (std::uint32_t i = 1; i <= kSessions; ++i) {
    a.session(i);
    b.session(kSessions + 1 - i, replaying(a, i));
  }
  for (int round = 0; round < 20; ++round) {
    for (std::uint32_t i = 1; i <= kSessions; ++i) {
      a.in(i).exchange("SELECT 1", Server().rows({std::to_string(i)}));
      const std::uint32_t original = kSessions + 1 - i;
      b.in(i).exchange("SELECT 1",
                       Server().rows({round == 7 && i == 3 ? "other" : std::to_string(original)}));
    }
    a.seal();
    b.seal();
  }
  compare();
  EXPECT_EQ(only_difference().session_b, (SessionId{1, 3}));
  EXPECT_EQ(only_difference().session_a, (SessionId{1, 48}));
  EXPECT_EQ(only_difference().exchange, 8U);
  EXPECT_EQ(result.totals.exchanges, std::uint64_t{kSessions} * 20);
}

TEST_F(DiffClassTest, GroupsBeyondTheBoundAreCountedAndEveryDifferenceIsTold) {
  both_open();
  constexpr std::size_t kStatements = DiffResult::kMaxGroups + 200;
  for (std::size_t i = 0; i < kStatements; ++i)
    asked("SELECT * FROM " + letters(i), Server().rows({"1"}), Server().rows({"2"}));
  both_leave();
  compare();
  EXPECT_EQ(found.size(), kStatements);
  EXPECT_EQ(result.groups().size(), DiffResult::kMaxGroups);
  EXPECT_EQ(result.ungrouped(), 200U);
  EXPECT_EQ(result.totals.differences, kStatements);
}

TEST_F(DiffClassTest, TheExampleOfAGroupIsAPrimaryOne) {
  both_open();
  both_exchange("BEGIN", Server().tag("BEGIN").ready('T'));
  asked("UPDATE u SET a = 1", Server().tag("UPDATE 1").ready('T'), Server().tag("UPDATE 2").ready('T'));
  asked("SELECT a FROM t", Server().columns({"a"}).row({"1"}).tag("SELECT 1").ready('T'),
        Server().columns({"a"}).row({"2"}).tag("SELECT 1").ready('T'));
  both_exchange("COMMIT", Server().tag("COMMIT").ready());
  asked("SELECT a FROM t", Server().rows({"3"}), Server().rows({"4"}));
  both_leave();
  compare();
  ASSERT_EQ(found.size(), 3U);
  const DifferenceGroup& group = result.groups().at({kRows, found[1].statement});
  EXPECT_EQ(group.count, 2U);
  EXPECT_EQ(group.downstream, 1U);
  EXPECT_EQ(group.first.rows.examples.at(0).a, "3");
}

TEST(DifferenceClassTest, EveryClassHasItsOwnNames) {
  std::set<std::string_view> words;
  std::set<std::string_view> keys;
  for (std::size_t i = 0; i < kDifferenceClasses; ++i) {
    words.insert(class_words(static_cast<DifferenceClass>(i)));
    keys.insert(class_key(static_cast<DifferenceClass>(i)));
  }
  EXPECT_EQ(words.size(), kDifferenceClasses);
  EXPECT_EQ(keys.size(), kDifferenceClasses);
}

}  // namespace
}  // namespace understudy::replayer
