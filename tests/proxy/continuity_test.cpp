#include "tests/proxy/continuity_fixture.h"

namespace understudy::proxy {
namespace {

TEST_F(ContinuityTest, AnIdleSessionWithNothingToRestoreGoesOnAtOnce) {
  exchange("SELECT 1", "SELECT 1", 'I');
  EXPECT_EQ(move(), Lines{});
  EXPECT_TRUE(relaying());
}

TEST_F(ContinuityTest, RestoringIsNotShown) {
  exchange("SET work_mem = '1MB'", "SET", 'I');
  EXPECT_EQ(move(), Lines{"Q SET work_mem = '1MB'"});
  EXPECT_FALSE(relaying());
  EXPECT_EQ(answer(done("SET", 'I')), Lines{});
  EXPECT_TRUE(relaying());
}

TEST_F(ContinuityTest, ASettingTheNewServerRefusesBreaksTheSession) {
  exchange("SET work_mem = '1MB'", "SET", 'I');
  (void)move();
  (void)answer(failed('I'));
  EXPECT_NE(session_->broken(), "");
}

TEST_F(ContinuityTest, ATransactionIsReplayedAndItsAnswersSwallowed) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("SELECT a FROM t");
  (void)answer(both(row("7"), done("SELECT 1", 'T')));
  EXPECT_EQ(move(), (Lines{"Q BEGIN", "Q SELECT a FROM t"}));
  EXPECT_EQ(answer(done("BEGIN", 'T')), Lines{});
  EXPECT_EQ(answer(both(row("7"), done("SELECT 1", 'T'))), Lines{});
  EXPECT_TRUE(relaying());
  (void)ask("SELECT b FROM t");
  EXPECT_EQ(answer(both(row("8"), done("SELECT 1", 'T'))), (Lines{"D 8", "C SELECT 1", "Z T"}));
}

// Only a long message is with the client in part.
TEST_F(ContinuityTest, AnAnswerInPartGoesOnWhereItStopped) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("SELECT a FROM t");
  const ByteBuffer rows = both(row("1"), both(row(std::string(100'000, '2')), done("SELECT 2", 'T')));
  const std::size_t cut = row("1").size() + 1000;  // in the middle of the second
  EXPECT_EQ(session_->to_client(ByteView(rows).first(cut)).size(), cut);
  (void)move();
  (void)answer(done("BEGIN", 'T'));
  const ByteView rest = session_->to_client(rows);
  EXPECT_TRUE(
      std::equal(rest.begin(), rest.end(), rows.begin() + static_cast<std::ptrdiff_t>(cut), rows.end()));
  EXPECT_TRUE(relaying());
}

TEST_F(ContinuityTest, AsidesAreNoPartOfTheDigest) {
  exchange("BEGIN", "BEGIN", 'T');
  ByteBuffer notice;
  wire::append_notice_response(notice, {.severity = "NOTICE", .sqlstate = "00000", .message = "hello"});
  (void)ask("SELECT a FROM t");
  (void)answer(both(notice, both(row("7"), done("SELECT 1", 'T'))));
  (void)move();
  (void)answer(both(done("BEGIN", 'T'), both(row("7"), done("SELECT 1", 'T'))));
  EXPECT_TRUE(relaying());
}

TEST_F(ContinuityTest, AnotherAnswerIsAFailureAtTheNextRequest) {
  exchange("SET ROLE clerk", "SET", 'I');
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("SELECT a FROM t");
  (void)answer(both(row("7"), done("SELECT 1", 'T')));
  EXPECT_EQ(move(), Lines{"Q SET ROLE clerk"});
  (void)answer(done("SET", 'I'));
  EXPECT_EQ(said(), (Lines{"Q BEGIN", "Q SELECT a FROM t"}));
  EXPECT_EQ(answer(both(done("BEGIN", 'T'), both(row("8"), done("SELECT 1", 'T')))), Lines{});
  EXPECT_TRUE(session_->server_leaves());
  const Lines poison = move();
  ASSERT_EQ(poison.size(), 3U);
  EXPECT_EQ(poison[0], "Q SET ROLE clerk");  // the session lives on as who it was
  EXPECT_EQ(poison[1], "Q BEGIN");
  EXPECT_EQ(answer(both(done("SET", 'I'), both(done("BEGIN", 'T'), failed('E')))), Lines{});
  EXPECT_TRUE(relaying());
  EXPECT_EQ(ask("SELECT b FROM t"), Lines{});
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 40001", "Z E"}));
  EXPECT_EQ(ask("ROLLBACK"), Lines{"Q ROLLBACK"});
  (void)answer(done("ROLLBACK", 'I'));
  EXPECT_EQ(move(), Lines{"Q SET ROLE clerk"});
}

TEST_F(ContinuityTest, ARollbackAfterAFailedReplayIsJustThat) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("SELECT a FROM t");
  (void)answer(both(row("7"), done("SELECT 1", 'T')));
  (void)move();
  (void)answer(both(done("BEGIN", 'T'), both(row("8"), done("SELECT 1", 'T'))));
  (void)move();
  (void)answer(both(done("BEGIN", 'T'), failed('E')));
  EXPECT_EQ(ask("ROLLBACK"), Lines{"Q ROLLBACK"});
  EXPECT_EQ(answer(done("ROLLBACK", 'I')), (Lines{"C ROLLBACK", "Z I"}));
}

TEST_F(ContinuityTest, AFailedReplayTellsAnOutstandingRequest) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("SELECT a FROM t");
  (void)answer(both(row("7"), done("SELECT 1", 'T')));
  (void)ask("SELECT b FROM t");
  (void)move();
  (void)answer(both(done("BEGIN", 'T'), failed('E')));
  (void)move();
  EXPECT_EQ(answer(both(done("BEGIN", 'T'), failed('E'))), (Lines{"E 40001", "Z E"}));
}

TEST_F(ContinuityTest, AReadInFlightIsAskedAgain) {
  (void)ask("SELECT a FROM t");
  EXPECT_EQ(move(), Lines{"Q SELECT a FROM t"});
  EXPECT_TRUE(relaying());
  EXPECT_EQ(answer(both(row("7"), done("SELECT 1", 'I'))), (Lines{"D 7", "C SELECT 1", "Z I"}));
}

TEST_F(ContinuityTest, AWriteInFlightIsOfUnknownOutcome) {
  (void)ask("UPDATE t SET a = 1");
  EXPECT_EQ(move(), Lines{});
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 08007", "Z I"}));
  EXPECT_TRUE(relaying());
}

TEST_F(ContinuityTest, WithoutAServerItIsKnownWhetherAnythingIsInDoubt) {
  (void)ask("SELECT a FROM t");
  session_->server_lost();
  EXPECT_FALSE(session_->outcome_unknown());
  use({});
  (void)ask("UPDATE t SET a = 1");
  EXPECT_FALSE(session_->outcome_unknown());
  session_->server_lost();
  EXPECT_TRUE(session_->outcome_unknown());
}

TEST_F(ContinuityTest, ACommitInFlightWithoutGuardIsOfUnknownOutcome) {
  exchange("BEGIN", "BEGIN", 'T');
  exchange("UPDATE t SET a = 1", "UPDATE 1", 'T');
  (void)ask("COMMIT");
  (void)move();
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 08007", "Z I"}));
}

TEST_F(ContinuityTest, ACommitOfATransactionThatOnlyReadIsAskedAgain) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("SELECT a FROM t");
  (void)answer(both(row("7"), done("SELECT 1", 'T')));
  (void)ask("COMMIT");
  EXPECT_EQ(move(), (Lines{"Q BEGIN", "Q SELECT a FROM t", "Q COMMIT"}));
  (void)answer(both(done("BEGIN", 'T'), both(row("7"), done("SELECT 1", 'T'))));
  EXPECT_EQ(answer(done("COMMIT", 'I')), (Lines{"C COMMIT", "Z I"}));
}

TEST_F(ContinuityTest, TheServersGoodByeIsNotShown) {
  EXPECT_EQ(answer(error("57P01", "FATAL")), Lines{});
  EXPECT_TRUE(session_->server_leaves());
}

// A COMMIT that gives up waiting for a standby because its server shuts down.
TEST_F(ContinuityTest, TheWarningOfAServerThatShutsDownIsNotShown) {
  ByteBuffer notice;
  wire::append_notice_response(notice,
                               {.severity = "WARNING", .sqlstate = "57P01", .message = "canceling the wait"});
  EXPECT_EQ(answer(notice), Lines{});
  EXPECT_TRUE(session_->server_leaves());
}

TEST_F(ContinuityTest, OtherFatalErrorsAre) {
  EXPECT_EQ(answer(error("57P05", "FATAL")), Lines{"E 57P05"});
  EXPECT_FALSE(session_->server_leaves());
}

TEST_F(ContinuityTest, ATransactionLongerThanTheJournalIsGivenUp) {
  ContinuityLimits limits;
  limits.transaction_bytes = 100;
  use(limits);
  exchange("BEGIN", "BEGIN", 'T');
  exchange("SELECT '" + std::string(200, 'x') + "'", "SELECT 1", 'T');
  (void)move();
  (void)answer(both(done("BEGIN", 'T'), failed('E')));
  EXPECT_EQ(ask("SELECT 1"), Lines{});
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 40001", "Z E"}));
}

TEST_F(ContinuityTest, ALongRequestThatWasAnsweredDoesNotMatter) {
  ContinuityLimits limits;
  limits.transaction_bytes = 100;
  use(limits);
  exchange("SELECT '" + std::string(200, 'x') + "'", "SELECT 1", 'I');
  EXPECT_EQ(move(), Lines{});
  (void)ask("SELECT a FROM t");
  EXPECT_EQ(move(), Lines{"Q SELECT a FROM t"});
}

TEST_F(ContinuityTest, ATemporaryTablePinsTheSession) {
  exchange("CREATE TEMP TABLE x (a int)", "CREATE TABLE", 'I');
  session_->server_lost();
  EXPECT_NE(session_->cannot_move().find("temporary table"), std::string::npos);
}

TEST_F(ContinuityTest, ATemporaryTableOfAnOpenTransactionIsMadeAgain) {
  exchange("BEGIN", "BEGIN", 'T');
  exchange("CREATE TEMP TABLE x (a int)", "CREATE TABLE", 'T');
  EXPECT_EQ(move(), (Lines{"Q BEGIN", "Q CREATE TEMP TABLE x (a int)"}));
}

TEST_F(ContinuityTest, APipelineCutOffIsSaidAgain) {
  ByteBuffer bytes;
  wire::append_parse(bytes, "", "SELECT a FROM t");
  wire::append_bind(bytes, {});
  wire::append_execute(bytes, "");
  wire::append_sync(bytes);
  (void)session_->to_server(bytes);
  ByteBuffer parsed;
  wire::append_empty_message(parsed, '1');
  (void)answer(parsed);
  EXPECT_EQ(move(), lines_of(bytes));
  ByteBuffer again = parsed;
  wire::append_empty_message(again, '2');
  append_bytes(again, done("SELECT 0", 'I'));
  EXPECT_EQ(answer(again), (Lines{"2", "C SELECT 0", "Z I"}));
}

// A server's good-bye brings answers along that were not asked for yet; the next keeps them until it is
// asked.
TEST_F(ContinuityTest, OfAPipelineWithoutSyncTheAnswersThatTheClientHasAreAskedFor) {
  ByteBuffer bytes;
  wire::append_parse(bytes, "", "SELECT a FROM t");
  wire::append_bind(bytes, {});
  wire::append_execute(bytes, "");
  (void)session_->to_server(bytes);
  ByteBuffer parsed;
  wire::append_empty_message(parsed, '1');
  EXPECT_EQ(answer(parsed), Lines{"1"});
  EXPECT_EQ(answer(error("57P01", "FATAL")), Lines{});
  EXPECT_TRUE(session_->server_leaves());
  Lines flushed = lines_of(bytes);
  flushed.emplace_back("H");
  EXPECT_EQ(move(), flushed);
  EXPECT_EQ(session_->stage(), Continuity::Stage::kReplaying);
  wire::append_empty_message(parsed, '2');
  EXPECT_EQ(answer(parsed), Lines{"2"});
  EXPECT_TRUE(relaying());
}

// The second server is lost between a Parse and the Close that came with it.
TEST_F(ContinuityTest, ATransactionGivenUpInItsReplayLeavesTheSessionAsItWasAtTheFirstLoss) {
  ByteBuffer begin;
  wire::append_close(begin, wire::Target::kStatement, "s");
  wire::append_parse(begin, "s", "BEGIN");
  wire::append_bind(begin, {.statement = "s"});
  wire::append_execute(begin, "");
  wire::append_close(begin, wire::Target::kStatement, "s");
  wire::append_sync(begin);
  (void)session_->to_server(begin);
  ByteBuffer parsed;
  wire::append_empty_message(parsed, '3');
  wire::append_empty_message(parsed, '1');
  ByteBuffer rest;
  wire::append_empty_message(rest, '2');
  wire::append_command_complete(rest, "BEGIN");
  wire::append_empty_message(rest, '3');
  wire::append_ready_for_query(rest, wire::TransactionStatus::kInTransaction);
  EXPECT_EQ(answer(both(parsed, rest)), (Lines{"3", "1", "2", "C BEGIN", "3", "Z T"}));
  (void)ask("UPDATE t SET a = 1");
  Lines again = lines_of(begin);
  again.emplace_back("Q UPDATE t SET a = 1");
  EXPECT_EQ(move(), again);
  EXPECT_EQ(answer(parsed), Lines{});
  // Behind a BEGIN that is not answered yet the write may have been one by itself: its outcome is unknown.
  const Lines restored = move();
  EXPECT_EQ(restored.at(0), "Q BEGIN");
  EXPECT_EQ(answer(both(done("BEGIN", 'T'), failed('E'))), (Lines{"E 08007", "Z E"}));
  exchange("ROLLBACK", "ROLLBACK", 'I');
  EXPECT_EQ(move(), Lines{});  // no statement is prepared
}

TEST_F(ContinuityTest, OfAPipelineWithoutSyncNothingIsAskedForThatNobodyHasSeen) {
  ByteBuffer bytes;
  wire::append_parse(bytes, "", "SELECT a FROM t");
  (void)session_->to_server(bytes);
  EXPECT_EQ(move(), lines_of(bytes));
  EXPECT_TRUE(relaying());
}

}  // namespace
}  // namespace understudy::proxy
