#include "tests/proxy/continuity_fixture.h"

namespace understudy::proxy {
namespace {

// What a review found by experiment; each was applied twice, or lost, before.
class ReviewedTest : public CommitGuardTest {
 protected:
  void update() {
    (void)ask("UPDATE t SET a = 1");
    (void)answer(done("UPDATE 1", 'T'));
    tell_mark("77", "0/800");
  }
};

TEST_F(ReviewedTest, ACommitThatBeginsAnotherTransactionIsNotReplayed) {
  exchange("BEGIN", "BEGIN", 'T');
  update();
  (void)ask("COMMIT AND CHAIN");
  (void)answer(done("COMMIT", 'T'));
  (void)ask("SELECT a FROM t");
  EXPECT_EQ(move(), Lines{fate_question()});
  (void)answer(rows_of_answer({"committed", "one o'clock", "0/2000"}));
  const Lines poison = said();
  (void)answer(both(done("BEGIN", 'T'), failed('E')));
  EXPECT_EQ(lines_of(session_->take_for_client()), Lines{});
  EXPECT_EQ(poison.front(), "Q BEGIN");
  EXPECT_TRUE(relaying());
}

TEST_F(ReviewedTest, ABeginWithinATransactionForgetsNothing) {
  exchange("BEGIN", "BEGIN", 'T');
  update();
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("COMMIT");
  EXPECT_EQ(move(), Lines{fate_question()});
}

TEST_F(ReviewedTest, WithoutGuardABeginWithinATransactionForgetsNothing) {
  use({});
  exchange("BEGIN", "BEGIN", 'T');
  exchange("UPDATE t SET a = 1", "UPDATE 1", 'T');
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("COMMIT");
  (void)move();
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 08007", "Z I"}));
}

TEST_F(ReviewedTest, AFateThatCannotBeAskedForIsUnknown) {
  commit_in_flight("0/800");
  (void)move();
  EXPECT_EQ(answer(both(error("42501"), done("SELECT 0", 'I'))), (Lines{"E 08007", "Z I"}));
}

TEST_F(ReviewedTest, AnIdOfTheFutureNeverArrived) {
  commit_in_flight("0/800");
  (void)move();
  (void)answer(both(error("22023"), done("SELECT 0", 'I')));
  EXPECT_EQ(said(), replayed());
}

TEST_F(ReviewedTest, ACommitGivenUpWithItsTransactionIsNotSentAfterwards) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("SELECT a FROM t");
  (void)answer(both(row("7"), done("SELECT 1", 'T')));
  (void)ask("UPDATE t SET a = 1");
  (void)answer(done("UPDATE 1", 'T'));
  tell_mark("77", "0/1001");
  (void)ask("COMMIT");
  EXPECT_EQ(move(), (Lines{"Q BEGIN", "Q SELECT a FROM t", "Q UPDATE t SET a = 1", kMarkQuestion}));
  (void)answer(both(done("BEGIN", 'T'), both(row("8"), done("SELECT 1", 'T'))));
  (void)answer(done("UPDATE 1", 'T'));
  EXPECT_TRUE(session_->server_leaves());
  EXPECT_EQ(move(), Lines{});
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 40001", "Z I"}));
  EXPECT_EQ(ask("SELECT 1"), Lines{"Q SELECT 1"});
}

TEST_F(ReviewedTest, AWriteWhoseIdCannotBeAskedForFails) {
  EXPECT_EQ(ask("INSERT INTO t VALUES (1)").size(), 3U);
  EXPECT_EQ(answer(both(done("BEGIN", 'T'), done("INSERT 0 1", 'T'))), Lines{});
  EXPECT_EQ(answer(both(error("57014"), done("SELECT 0", 'E'))), Lines{});
  EXPECT_EQ(said(), Lines{"own: ROLLBACK"});
  EXPECT_EQ(answer(done("ROLLBACK", 'I')), (Lines{"E 57014", "Z I"}));
}

TEST_F(ReviewedTest, ATransactionWhoseIdCannotBeAskedForFailsAtItsNextRequest) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("UPDATE t SET a = 1");
  (void)answer(done("UPDATE 1", 'T'));
  EXPECT_EQ(answer(both(error("57014"), done("SELECT 0", 'E'))), Lines{});
  EXPECT_EQ(ask("COMMIT"), Lines{});
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 57014", "Z E"}));
  EXPECT_EQ(ask("ROLLBACK"), Lines{"Q ROLLBACK"});
}

TEST_F(ReviewedTest, AStatementPreparedBySqlMayDoAnything) {
  exchange("PREPARE p AS INSERT INTO t VALUES (1)", "PREPARE", 'I');
  use({});
  exchange("PREPARE p AS INSERT INTO t VALUES (1)", "PREPARE", 'I');
  ByteBuffer bytes;
  wire::append_bind(bytes, {.portal = "", .statement = "p"});
  wire::append_execute(bytes, "");
  wire::append_sync(bytes);
  (void)session_->to_server(bytes);
  (void)move();
  (void)answer(done("PREPARE", 'I'));
  EXPECT_EQ(lines_of(session_->take_for_client()), Lines{});
}

TEST_F(ReviewedTest, ACommitBehindARollbackToASavepointIsInDoubt) {
  use({});
  exchange("BEGIN", "BEGIN", 'T');
  exchange("INSERT INTO t VALUES (1)", "INSERT 0 1", 'T');
  exchange("SAVEPOINT s", "SAVEPOINT", 'T');
  (void)ask("SELECT 1/0");
  (void)answer(failed('E'));
  (void)ask("ROLLBACK TO s; COMMIT");
  (void)move();
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 08007", "Z I"}));
}

TEST_F(ReviewedTest, AnIdOfAnotherTransactionOfThePipelineIsNotTaken) {
  exchange("BEGIN", "BEGIN", 'T');
  update();
  (void)ask("COMMIT");
  (void)ask("BEGIN");
  EXPECT_EQ(ask("UPDATE t SET a = 2"), (Lines{"Q UPDATE t SET a = 2", kMarkQuestion}));
  EXPECT_EQ(ask("COMMIT"), Lines{});
  EXPECT_TRUE(session_->holds_client());
}

TEST_F(ReviewedTest, AWriteBehindABeginThatWasNotReachedIsInDoubt) {
  use({});
  (void)ask("SELECT 1/0; BEGIN");
  (void)ask("INSERT INTO t VALUES (1)");
  (void)answer(failed('I'));
  (void)move();
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 08007", "Z I"}));
}

TEST_F(ReviewedTest, TheBeginningOfAMessageIsNotMixedWithTheJournal) {
  ByteBuffer first;
  wire::append_query(first, "SELECT a FROM t");
  ByteBuffer second;
  wire::append_query(second, "SELECT b FROM t");
  (void)session_->to_server(first);
  EXPECT_TRUE(session_->to_server(ByteView(second).first(7)).empty());
  EXPECT_EQ(move(), Lines{"Q SELECT a FROM t"});
  (void)answer(done("SELECT 0", 'I'));
  EXPECT_EQ(lines_of(session_->to_server(ByteView(second).subspan(7))), Lines{"Q SELECT b FROM t"});
}

TEST_F(ReviewedTest, ACommitAfterASavepointWasRolledBackIsNotHeldForEver) {
  exchange("BEGIN", "BEGIN", 'T');
  exchange("SAVEPOINT s", "SAVEPOINT", 'T');
  (void)ask("INSERT INTO t VALUES (1)");
  (void)answer(failed('E'));
  (void)answer(both(error("25P02"), done("SELECT 0", 'E')));
  exchange("ROLLBACK TO s", "ROLLBACK", 'T');
  EXPECT_EQ(ask("COMMIT"), Lines{kMarkQuestion});
  tell_mark("77", "0/800");
  EXPECT_EQ(said(), Lines{"Q COMMIT"});
}

TEST_F(ReviewedTest, AStatementThatCanNoLongerBePreparedDoesNotEndTheSession) {
  ByteBuffer bytes;
  wire::append_parse(bytes, "s", "SELECT a FROM gone");
  wire::append_sync(bytes);
  (void)session_->to_server(bytes);
  ByteBuffer parsed;
  wire::append_empty_message(parsed, '1');
  wire::append_ready_for_query(parsed, wire::TransactionStatus::kIdle);
  (void)answer(parsed);
  (void)move();
  (void)answer(failed('I'));
  EXPECT_EQ(session_->broken(), "");
  EXPECT_TRUE(relaying());
}

TEST_F(ReviewedTest, ASettingOfATransactionThatWasLostIsTakenBack) {
  use({});
  exchange("BEGIN", "BEGIN", 'T');
  ByteBuffer set;
  wire::append_parameter_status(set, "TimeZone", "Asia/Tokyo");
  (void)ask("SET timezone = 'Asia/Tokyo'");
  EXPECT_EQ(answer(both(set, done("SET", 'T'))), (Lines{"S", "C SET", "Z T"}));
  exchange("INSERT INTO t VALUES (1)", "INSERT 0 1", 'T');
  (void)ask("COMMIT");
  (void)move();
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 08007", "Z I"}));
  EXPECT_EQ(lines_of(session_->settings_to_tell()), Lines{"S"});
  EXPECT_TRUE(session_->settings_to_tell().empty());
}

TEST_F(ReviewedTest, AStatementPreparedBySqlInAPipelineIsPreparedAgain) {
  use({});
  ByteBuffer bytes;
  wire::append_parse(bytes, "", "PREPARE p AS SELECT 1");
  wire::append_bind(bytes, {});
  wire::append_execute(bytes, "");
  wire::append_sync(bytes);
  (void)session_->to_server(bytes);
  ByteBuffer prepared;
  for (const char type : {'1', '2'}) wire::append_empty_message(prepared, type);
  (void)answer(both(prepared, done("PREPARE", 'I')));
  EXPECT_EQ(move().front(), "Q PREPARE p AS SELECT 1");
}

// Found by fuzzing.
TEST_F(ReviewedTest, TheBeginningOfAMessageIsSaidAgainBehindWhatIsRestored) {
  use({});
  ByteBuffer bytes;
  wire::append_parse(bytes, "", "SET work_mem = 1");
  wire::append_bind(bytes, {});
  wire::append_describe(bytes, wire::Target::kPortal, "");
  wire::append_execute(bytes, "");
  wire::append_sync(bytes);
  wire::append_query(bytes, "SET work_mem = 2");
  const std::size_t cut = bytes.size() + 13;
  wire::append_query(bytes, "SET work_mem = 3");
  (void)session_->to_server(ByteView(bytes).first(cut));
  ByteBuffer answers;
  for (const char type : {'1', '2', 'n'}) wire::append_empty_message(answers, type);
  append_bytes(answers, done("SET", 'I'));
  (void)answer(both(answers, done("SET", 'I')));
  session_->at_rest();
  EXPECT_EQ(move(), Lines{"Q SET work_mem = 2"});
  (void)answer(done("SET", 'I'));
  ByteBuffer again = session_->take_for_server();
  append_bytes(again, session_->to_server(ByteView(bytes).subspan(cut)));
  EXPECT_EQ(lines_of(again), Lines{"Q SET work_mem = 3"});
}

// Nothing of a message is with the client when its server is lost, but of a long one.
TEST_F(ReviewedTest, AMessageCutOffIsAskedForAgainWhole) {
  use({});
  (void)ask("SELECT a FROM t");
  const ByteBuffer rows = both(row("1"), done("SELECT 1", 'I'));
  EXPECT_TRUE(session_->to_client(ByteView(rows).first(9)).empty());
  EXPECT_EQ(move(), Lines{"Q SELECT a FROM t"});
  EXPECT_EQ(answer(rows), (Lines{"D 1", "C SELECT 1", "Z I"}));
}

}  // namespace
}  // namespace understudy::proxy
