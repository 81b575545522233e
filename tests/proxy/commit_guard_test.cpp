#include "tests/proxy/continuity_fixture.h"

namespace understudy::proxy {
namespace {

TEST_F(CommitGuardTest, OneIdATransactionIsAskedFor) {
  exchange("BEGIN", "BEGIN", 'T');
  EXPECT_EQ(ask("SELECT a FROM t"), Lines{"Q SELECT a FROM t"});
  (void)answer(done("SELECT 0", 'T'));
  EXPECT_EQ(ask("INSERT INTO t VALUES (1)").size(), 2U);
  (void)answer(done("INSERT 0 1", 'T'));
  tell_mark("77", "0/100");
  EXPECT_EQ(ask("INSERT INTO t VALUES (2)").size(), 1U);
}

TEST_F(CommitGuardTest, NothingComesBetweenACopyAndItsData) {
  exchange("BEGIN", "BEGIN", 'T');
  EXPECT_EQ(ask("COPY t FROM STDIN").size(), 1U);
}

TEST_F(CommitGuardTest, ACommittedTransactionGetsItsCommit) {
  commit_in_flight("0/800");
  EXPECT_EQ(move(), Lines{fate_question()});
  EXPECT_EQ(answer(rows_of_answer({"committed", "one o'clock", "0/2000"})), (Lines{"C COMMIT", "Z I"}));
  EXPECT_EQ(said(), Lines{});
  EXPECT_TRUE(relaying());
}

TEST_F(CommitGuardTest, AnAbortedTransactionIsReplayed) {
  commit_in_flight("0/800");
  (void)move();
  EXPECT_EQ(answer(rows_of_answer({"aborted", "one o'clock", "0/2000"})), Lines{});
  EXPECT_EQ(said(), replayed());
  (void)answer(both(done("BEGIN", 'T'), done("UPDATE 1", 'T')));
  tell_mark("90", "0/2100");
  EXPECT_EQ(said(), Lines{"Q COMMIT"});
  EXPECT_EQ(answer(done("COMMIT", 'I')), (Lines{"C COMMIT", "Z I"}));
}

// The new primary has given the id to somebody else's transaction, which has committed.
TEST_F(CommitGuardTest, AnIdLostWithTheOldPrimaryIsNotBelieved) {
  commit_in_flight("0/1001");
  EXPECT_EQ(move(2, {{1, Lsn{0x1000}}}), replayed());
}

TEST_F(CommitGuardTest, AServerThatCrashedBeforeTheIdReachedItsDiskIsNotBelieved) {
  commit_in_flight("0/800");
  EXPECT_EQ(move(1, {}), Lines{fate_question()});
  (void)answer(rows_of_answer({"committed", "one o'clock", "0/7FF"}));
  EXPECT_EQ(said(), replayed());
}

TEST_F(CommitGuardTest, TheSameServerIsBelieved) {
  commit_in_flight("0/800");
  (void)move(1, {});
  EXPECT_EQ(answer(rows_of_answer({"committed", "noon", "0/100"})), (Lines{"C COMMIT", "Z I"}));
}

TEST_F(CommitGuardTest, ACommitStillAtWorkIsAskedAboutAgain) {
  commit_in_flight("0/800");
  (void)move(1, {});
  (void)answer(rows_of_answer({"in progress", "noon", "0/100"}));
  EXPECT_EQ(said().size(), 1U);
  EXPECT_EQ(answer(rows_of_answer({"committed", "noon", "0/100"})), (Lines{"C COMMIT", "Z I"}));
}

TEST_F(CommitGuardTest, ATransactionThatWasPreparedGetsItsAnswer) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("UPDATE t SET a = 1");
  (void)answer(done("UPDATE 1", 'T'));
  tell_mark("8589934669", "0/800");  // 77, two epochs later
  (void)ask("PREPARE TRANSACTION 'x'");
  (void)move();
  (void)answer(rows_of_answer({"in progress", "one o'clock", "0/2000"}));
  const Lines again = said();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_NE(again[0].find("pg_prepared_xacts"), std::string::npos);
  EXPECT_NE(again[0].find("'77'"), std::string::npos);
  EXPECT_EQ(answer(rows_of_answer({"prepared", "one o'clock", "0/2000"})),
            (Lines{"C PREPARE TRANSACTION", "Z I"}));
  EXPECT_TRUE(relaying());
  EXPECT_EQ(move(3, {{1, Lsn{0x1000}}, {2, Lsn{0x3000}}}).size(),
            1U);  // and is known to be there, as a commit is
  (void)answer(rows_of_answer({"in progress", "two o'clock", "0/4000"}));
  EXPECT_EQ(said().size(), 1U);
  (void)answer(rows_of_answer({"prepared", "two o'clock", "0/4000"}));
  EXPECT_FALSE(session_->take_missing_commit().has_value());
  EXPECT_TRUE(relaying());
}

TEST_F(CommitGuardTest, ACommitStillAtWorkIsNotWaitedForForEver) {
  commit_in_flight("0/800");
  (void)move(1, {});
  (void)answer(rows_of_answer({"in progress", "noon", "0/100"}));
  EXPECT_EQ(said().size(), 1U);
  session_->stop_asking();
  EXPECT_EQ(answer(rows_of_answer({"in progress", "noon", "0/100"})), (Lines{"E 08007", "Z I"}));
  EXPECT_TRUE(relaying());
}

TEST_F(CommitGuardTest, WithoutATimelineHistoryTheOutcomeIsUnknown) {
  commit_in_flight("0/800");
  (void)move(2, {});
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 08007", "Z I"}));
}

TEST_F(CommitGuardTest, ACommitBeforeTheIdIsKnownWaitsForIt) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("UPDATE t SET a = 1");
  (void)answer(done("UPDATE 1", 'T'));
  EXPECT_EQ(ask("COMMIT"), Lines{});
  EXPECT_TRUE(session_->holds_client());
  tell_mark("77", "0/800");
  EXPECT_EQ(said(), Lines{"Q COMMIT"});
  EXPECT_FALSE(session_->holds_client());
  EXPECT_EQ(answer(done("COMMIT", 'I')), (Lines{"C COMMIT", "Z I"}));
}

TEST_F(CommitGuardTest, ACommitThatWaitsWhenTheServerIsLostIsNotInDoubt) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("UPDATE t SET a = 1");
  (void)answer(done("UPDATE 1", 'T'));
  (void)ask("COMMIT");
  EXPECT_EQ(move(), replayed());
  (void)answer(both(done("BEGIN", 'T'), done("UPDATE 1", 'T')));
  tell_mark("90", "0/2100");
  EXPECT_EQ(said(), Lines{"Q COMMIT"});
}

// A whole transaction in one pipeline, with one Sync.
class PipelinedTransactionTest : public CommitGuardTest {
 protected:
  static ByteBuffer pipeline() {
    ByteBuffer bytes;
    for (const std::string_view sql : {"BEGIN", "UPDATE t SET a = 1", "COMMIT"}) {
      wire::append_parse(bytes, "", sql);
      wire::append_bind(bytes, {});
      wire::append_describe(bytes, wire::Target::kPortal, "");
      wire::append_execute(bytes, "");
    }
    wire::append_sync(bytes);
    return bytes;
  }
  static ByteBuffer answered(std::string_view tag) {
    ByteBuffer bytes;
    for (const char type : {'1', '2', 'n'}) wire::append_empty_message(bytes, type);
    wire::append_command_complete(bytes, tag);
    return bytes;
  }
  // Up to the COMMIT, which waits.
  void send() {
    EXPECT_EQ(lines_of(session_->to_server(pipeline())),
              (Lines{"P", "B", "D", "E", "P", "B", "D", "E", "P", "B", "D", kMarkQuestion}));
    EXPECT_TRUE(session_->holds_client());
  }
  static ByteBuffer own_answer(std::string_view lsn) {
    ByteBuffer own;
    for (const char type : {'3', '1', '2'}) wire::append_empty_message(own, type);
    const wire::Value columns[] = {{as_bytes("77")}, {as_bytes(lsn)}, {as_bytes("noon")}};
    wire::append_data_row(own, columns);
    wire::append_command_complete(own, "SELECT 1");
    for (const char type : {'3', '3'}) wire::append_empty_message(own, type);
    return own;
  }
  void tell_mark_in_pipeline(std::string_view lsn) {
    ByteBuffer bytes;
    for (const char type : {'1', '2', 'n'}) wire::append_empty_message(bytes, type);
    EXPECT_EQ(answer(bytes), (Lines{"1", "2", "n"}));  // of the COMMIT's Parse, Bind and Describe
    EXPECT_EQ(answer(own_answer(lsn)), Lines{});
    EXPECT_EQ(said(), (Lines{"E", "S"}));
  }
};

TEST_F(PipelinedTransactionTest, WaitsWithItsCommitForTheId) {
  send();
  EXPECT_EQ(answer(both(answered("BEGIN"), answered("UPDATE 1"))).size(), 8U);
  tell_mark_in_pipeline("0/800");
  EXPECT_EQ(answer(done("COMMIT", 'I')), (Lines{"C COMMIT", "Z I"}));
}

TEST_F(PipelinedTransactionTest, CommittedButCutOffGetsTheRestOfItsAnswer) {
  send();
  (void)answer(both(answered("BEGIN"), answered("UPDATE 1")));
  tell_mark_in_pipeline("0/800");
  EXPECT_EQ(move(), Lines{fate_question()});
  EXPECT_EQ(answer(rows_of_answer({"committed", "one o'clock", "0/2000"})), (Lines{"C COMMIT", "Z I"}));
}

TEST_F(PipelinedTransactionTest, LostBeforeItsCommitIsSaidAgain) {
  send();
  (void)answer(answered("BEGIN"));
  EXPECT_EQ(move().size(), 12U);
  EXPECT_EQ(answer(both(answered("BEGIN"), answered("UPDATE 1"))), (Lines{"1", "2", "n", "C UPDATE 1"}));
  tell_mark_in_pipeline("0/2100");
}

TEST_F(PipelinedTransactionTest, MayBeFollowedByAnother) {
  ByteBuffer two = pipeline();
  two.resize(two.size() - 5);  // without its Sync
  append_bytes(two, pipeline());
  (void)session_->to_server(two);
  for (const Lines& next :
       {Lines{"E", "P", "B", "D", "E", "P", "B", "D", "E", "P", "B", "D", kMarkQuestion}, Lines{"E", "S"}}) {
    EXPECT_EQ(answer(both(answered("BEGIN"), answered("UPDATE 1"))).size(), 8U);
    ByteBuffer bytes;
    for (const char type : {'1', '2', 'n'}) wire::append_empty_message(bytes, type);
    EXPECT_EQ(answer(bytes), (Lines{"1", "2", "n"}));
    EXPECT_EQ(answer(own_answer("0/800")), Lines{});
    EXPECT_EQ(said(), next);
    ByteBuffer committed;
    wire::append_command_complete(committed, "COMMIT");
    EXPECT_EQ(answer(committed), Lines{"C COMMIT"});
  }
  ByteBuffer ready;
  wire::append_ready_for_query(ready, wire::TransactionStatus::kIdle);
  EXPECT_EQ(answer(ready), Lines{"Z I"});
}

// The first was committed and answered: it must not be applied again.
TEST_F(PipelinedTransactionTest, WhoseFirstTransactionWasCommittedIsNotReplayed) {
  ByteBuffer two = pipeline();
  two.resize(two.size() - 5);
  append_bytes(two, pipeline());
  (void)session_->to_server(two);
  (void)answer(both(answered("BEGIN"), answered("UPDATE 1")));
  ByteBuffer bytes;
  for (const char type : {'1', '2', 'n'}) wire::append_empty_message(bytes, type);
  (void)answer(bytes);
  (void)answer(own_answer("0/800"));
  (void)said();
  ByteBuffer committed;
  wire::append_command_complete(committed, "COMMIT");
  (void)answer(committed);
  EXPECT_EQ(move(), Lines{fate_question()});  // whether the new server has it
  EXPECT_EQ(answer(rows_of_answer({"committed", "one o'clock", "0/2000"})), Lines{});
  EXPECT_EQ(said(), (Lines{"P", "S"}));  // the unnamed statement
  EXPECT_EQ(answer(both(ByteBuffer(), done("", 'I'))), (Lines{"E 40001", "Z I"}));
}

TEST_F(PipelinedTransactionTest, ThatFailsIsNotHeld) {
  send();
  (void)answer(answered("BEGIN"));
  EXPECT_EQ(answer(error("22012")), Lines{"E 22012"});
  EXPECT_EQ(said(), (Lines{"E", "S"}));
}

class SingleWriteTest : public CommitGuardTest {
 protected:
  static Lines wrapped() { return {"own: BEGIN", "Q INSERT INTO t VALUES (1)", kMarkQuestion}; }
  void insert() { EXPECT_EQ(ask("INSERT INTO t VALUES (1)"), wrapped()); }
  // Up to its COMMIT.
  void answer_insert() {
    EXPECT_EQ(answer(both(done("BEGIN", 'T'), done("INSERT 0 1", 'T'))), Lines{});
    tell_mark("77", "0/800");
    EXPECT_EQ(said(), Lines{"own: COMMIT"});
  }
};

TEST_F(SingleWriteTest, IsAnsweredWhenItIsCommitted) {
  insert();
  EXPECT_TRUE(session_->holds_client());
  answer_insert();
  EXPECT_EQ(answer(done("COMMIT", 'I')), (Lines{"C INSERT 0 1", "Z I"}));
  EXPECT_FALSE(session_->holds_client());
}

TEST_F(SingleWriteTest, OrSeveralInOneTextAreAnsweredTogether) {
  const std::string sql = "INSERT INTO t VALUES (1); CREATE TABLE u (a int)";
  EXPECT_EQ(ask(sql), (Lines{"own: BEGIN", "Q " + sql, kMarkQuestion}));
  ByteBuffer inserted;
  wire::append_command_complete(inserted, "INSERT 0 1");
  EXPECT_EQ(answer(both(done("BEGIN", 'T'), both(std::move(inserted), done("CREATE TABLE", 'T')))), Lines{});
  tell_mark("77", "0/800");
  EXPECT_EQ(said(), Lines{"own: COMMIT"});
  EXPECT_EQ(move(), Lines{fate_question()});
  EXPECT_EQ(answer(rows_of_answer({"committed", "one o'clock", "0/2000"})),
            (Lines{"C INSERT 0 1", "C CREATE TABLE", "Z I"}));
  EXPECT_EQ(session_->take_commits_without_id(), 0U);
}

TEST_F(SingleWriteTest, ThatFailsIsRolledBack) {
  insert();
  EXPECT_EQ(answer(both(done("BEGIN", 'T'), both(failed('E'), failed('E')))), Lines{});
  EXPECT_EQ(said(), Lines{"own: ROLLBACK"});
  EXPECT_EQ(answer(done("ROLLBACK", 'I')), (Lines{"E 22012", "Z I"}));
}

TEST_F(SingleWriteTest, RefusedAtItsCommitIsRefused) {
  insert();
  answer_insert();
  EXPECT_EQ(answer(failed('I')), (Lines{"E 22012", "Z I"}));
}

TEST_F(SingleWriteTest, LostBeforeItsCommitIsSaidAgain) {
  insert();
  (void)answer(both(done("BEGIN", 'T'), done("INSERT 0 1", 'T')));
  EXPECT_EQ(move(), wrapped());
  answer_insert();
  EXPECT_EQ(answer(done("COMMIT", 'I')), (Lines{"C INSERT 0 1", "Z I"}));
}

TEST_F(SingleWriteTest, CommittedButCutOffIsAnswered) {
  insert();
  answer_insert();
  EXPECT_EQ(move(), Lines{fate_question()});
  EXPECT_EQ(answer(rows_of_answer({"committed", "one o'clock", "0/2000"})), (Lines{"C INSERT 0 1", "Z I"}));
  EXPECT_TRUE(relaying());
}

TEST_F(SingleWriteTest, AbortedIsSaidAgain) {
  insert();
  answer_insert();
  (void)move();
  (void)answer(rows_of_answer({"aborted", "one o'clock", "0/2000"}));
  EXPECT_EQ(said(), wrapped());
}

TEST_F(SingleWriteTest, ByPipelineIsWrappedToo) {
  ByteBuffer bytes;
  wire::append_parse(bytes, "", "INSERT INTO t VALUES (1)");
  wire::append_bind(bytes, {});
  wire::append_execute(bytes, "");
  wire::append_sync(bytes);
  EXPECT_EQ(lines_of(session_->to_server(bytes)), (Lines{"own: BEGIN", "P", "B", "E", "S", kMarkQuestion}));
}

TEST_F(SingleWriteTest, AnAnswerTooLongToBeKeptIsShownAsItComes) {
  ContinuityLimits limits = guarded();
  limits.transaction_bytes = 100;
  use(limits);
  insert();
  const Lines shown = answer(both(done("BEGIN", 'T'), row(std::string(200, 'x'))));
  EXPECT_EQ(shown.size(), 1U);
  EXPECT_EQ(answer(done("INSERT 0 1", 'T')), Lines{"C INSERT 0 1"});
  tell_mark("77", "0/800");
  EXPECT_EQ(answer(done("COMMIT", 'I')), Lines{"Z I"});
}

// The error is what makes the answer too long; it may come in pieces.
TEST_F(SingleWriteTest, AnAnswerThatItsErrorMakesTooLongIsShownOnce) {
  ContinuityLimits limits = guarded();
  const ByteBuffer first = row("x");
  limits.transaction_bytes = first.size() + 1;
  const ByteBuffer last = both(failed('E'), failed('E'));
  for (std::size_t cut = 0; cut <= last.size(); ++cut) {
    use(limits);
    insert();
    ByteBuffer shown;
    append_bytes(shown, session_->to_client(both(done("BEGIN", 'T'), first)));
    append_bytes(shown, session_->to_client(ByteView(last).first(cut)));
    append_bytes(shown, session_->to_client(ByteView(last).subspan(cut)));
    EXPECT_EQ(lines_of(shown), (Lines{"D x", "E 22012"})) << cut;
    EXPECT_EQ(said(), Lines{"own: ROLLBACK"}) << cut;
    EXPECT_EQ(answer(done("ROLLBACK", 'I')), Lines{"Z I"}) << cut;
  }
}

TEST_F(SingleWriteTest, WhatMayNotStandInATransactionIsLeftAlone) {
  EXPECT_EQ(ask("VACUUM t"), Lines{"Q VACUUM t"});
  (void)answer(done("VACUUM", 'I'));
  EXPECT_EQ(ask("INSERT INTO t VALUES (1); VACUUM t").size(), 1U);
}

// The stream may be cut anywhere, in either direction.
TEST_F(CommitGuardTest, CutsChangeNothing) {
  ByteBuffer client;
  wire::append_query(client, "BEGIN");
  wire::append_query(client, "UPDATE t SET a = 1");
  ByteBuffer server = both(done("BEGIN", 'T'), done("UPDATE 1", 'T'));
  append_bytes(server, rows_of_answer({"77", "0/800", "noon"}));
  for (std::size_t cut = 0; cut <= client.size(); ++cut) {
    use(guarded());
    ByteBuffer sent;
    append_bytes(sent, session_->to_server(ByteView(client).first(cut)));
    append_bytes(sent, session_->to_server(ByteView(client).subspan(cut)));
    EXPECT_EQ(lines_of(sent), (Lines{"Q BEGIN", "Q UPDATE t SET a = 1", kMarkQuestion})) << cut;
  }
  for (std::size_t cut = 0; cut <= server.size(); ++cut) {
    use(guarded());
    (void)session_->to_server(client);
    ByteBuffer shown;
    append_bytes(shown, session_->to_client(ByteView(server).first(cut)));
    append_bytes(shown, session_->to_client(ByteView(server).subspan(cut)));
    EXPECT_EQ(lines_of(shown), (Lines{"C BEGIN", "Z T", "C UPDATE 1", "Z T"})) << cut;
  }
}

}  // namespace
}  // namespace understudy::proxy
