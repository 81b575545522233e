// What a session tells of its last acknowledged commit when the new primary lacks it, or may lack it.
#include "tests/proxy/continuity_fixture.h"

namespace understudy::proxy {
namespace {

using MissingCommitTest = CommitGuardTest;

// Asynchronous replication: what was acknowledged is not on the new primary.
TEST_F(MissingCommitTest, AnAcknowledgedCommitThatWasLostIsReported) {
  commit_in_flight("0/1001");
  (void)answer(done("COMMIT", 'I'));
  EXPECT_EQ(move(), Lines{});
  const auto lost = session_->take_missing_commit();
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->mark.id, 77U);
  EXPECT_FALSE(lost->unclear);
  EXPECT_FALSE(session_->take_missing_commit().has_value());
}

TEST_F(MissingCommitTest, AnAcknowledgedCommitThatWasCutOffWithItsIdThereIsReported) {
  commit_in_flight("0/800");
  (void)answer(done("COMMIT", 'I'));
  EXPECT_EQ(move(), Lines{fate_question()});
  (void)answer(rows_of_answer({"aborted", "one o'clock", "0/2000"}));
  EXPECT_TRUE(session_->take_missing_commit().has_value());
  EXPECT_TRUE(relaying());
}

TEST_F(MissingCommitTest, AnAcknowledgedCommitThatIsThereIsNoNews) {
  commit_in_flight("0/800");
  (void)answer(done("COMMIT", 'I'));
  (void)move();
  (void)answer(rows_of_answer({"committed", "one o'clock", "0/2000"}));
  EXPECT_FALSE(session_->take_missing_commit().has_value());
  EXPECT_TRUE(relaying());
}

// Its id may be another's there.
TEST_F(MissingCommitTest, AnAcknowledgedCommitIsUnclearWhereTheHistoryIsNotReadable) {
  commit_in_flight("0/800");
  (void)answer(done("COMMIT", 'I'));
  EXPECT_EQ(move(2, {}), Lines{});
  const auto missing = session_->take_missing_commit();
  ASSERT_TRUE(missing.has_value());
  EXPECT_TRUE(missing->unclear);
  EXPECT_TRUE(relaying());
}

TEST_F(MissingCommitTest, AnAcknowledgedCommitIsUnclearWhereTheServerKnowsNothingOfIt) {
  commit_in_flight("0/800");
  (void)answer(done("COMMIT", 'I'));
  (void)move();
  (void)answer(failed('I'));
  const auto missing = session_->take_missing_commit();
  ASSERT_TRUE(missing.has_value());
  EXPECT_TRUE(missing->unclear);
}

TEST_F(MissingCommitTest, CommitsWithoutAnIdAreCounted) {
  exchange("COPY t FROM '/tmp/file'", "COPY 1", 'I');
  exchange("VACUUM t", "VACUUM", 'I');
  EXPECT_EQ(session_->take_commits_without_id(), 2U);
  EXPECT_EQ(session_->take_commits_without_id(), 0U);
  exchange("SELECT a FROM t", "SELECT 0", 'I');
  (void)ask("VACUUM t");
  (void)answer(failed('I'));
  commit_in_flight("0/800");
  (void)answer(done("COMMIT", 'I'));
  EXPECT_EQ(session_->take_commits_without_id(), 0U);
}

TEST_F(MissingCommitTest, ARolledBackTransactionIsNotMissed) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("UPDATE t SET a = 1");
  (void)answer(done("UPDATE 1", 'T'));
  tell_mark("77", "0/1001");
  exchange("ROLLBACK", "ROLLBACK", 'I');
  EXPECT_EQ(move(), Lines{});
  EXPECT_FALSE(session_->take_missing_commit().has_value());
}

// What comes behind the ROLLBACK in the same request is no commit of what came before.
TEST_F(MissingCommitTest, ARollbackWithAReadBehindItIsNotMissed) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("UPDATE t SET a = 1");
  (void)answer(done("UPDATE 1", 'T'));
  tell_mark("77", "0/1001");
  (void)ask("ROLLBACK; SELECT a FROM t");
  ByteBuffer rolled_back;
  wire::append_command_complete(rolled_back, "ROLLBACK");
  (void)answer(both(std::move(rolled_back), done("SELECT 0", 'I')));
  EXPECT_EQ(move(), Lines{});
  EXPECT_FALSE(session_->take_missing_commit().has_value());
}

TEST_F(MissingCommitTest, ARollbackAndChainIsNotMissed) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("UPDATE t SET a = 1");
  (void)answer(done("UPDATE 1", 'T'));
  tell_mark("77", "0/1001");
  exchange("ROLLBACK AND CHAIN", "ROLLBACK", 'T');
  exchange("COMMIT", "COMMIT", 'I');
  EXPECT_EQ(move(), Lines{});
  EXPECT_FALSE(session_->take_missing_commit().has_value());
}

TEST_F(MissingCommitTest, ACommitInTheMiddleOfARequestIsReportedWhenLost) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("UPDATE t SET a = 1");
  (void)answer(done("UPDATE 1", 'T'));
  tell_mark("77", "0/1001");
  (void)ask("COMMIT; BEGIN; SELECT a FROM t; ROLLBACK");
  ByteBuffer committed;
  wire::append_command_complete(committed, "COMMIT");
  wire::append_command_complete(committed, "BEGIN");
  wire::append_command_complete(committed, "SELECT 0");
  (void)answer(both(std::move(committed), done("ROLLBACK", 'I')));
  EXPECT_EQ(move(), Lines{});
  EXPECT_TRUE(session_->take_missing_commit().has_value());
}

}  // namespace
}  // namespace understudy::proxy
