// A session with two servers: what may go to the replica, what the other is told at a change, and that a
// replica that cannot answer is not noticed.
#include "tests/proxy/continuity_fixture.h"

namespace understudy::proxy {
namespace {

class SplitTest : public ContinuityTest {
 protected:
  SplitTest() { replica_.settings = {{"TimeZone", "UTC"}, {"in_hot_standby", "on"}}; }
  // Whether a replica may answer all of it.
  [[nodiscard]] bool safe(const ByteBuffer& bytes) const { return session_->judge_batch(bytes).on_replica; }
  [[nodiscard]] bool safe(std::string_view sql) const {
    ByteBuffer bytes;
    wire::append_query(bytes, sql);
    return safe(bytes);
  }
  // Goes to the other server; what that is told first.
  Lines change(bool unnamed = false) {
    session_->switch_to(replica_, !session_->at_replica(), unnamed);
    return said();
  }
  void caught_up(unsigned answers) {
    for (unsigned i = 0; i < answers; ++i) EXPECT_EQ(answer(done("SET", 'I')), Lines{});
  }
  static ByteBuffer pipeline(std::string_view sql, std::string_view name = {}) {
    ByteBuffer bytes;
    wire::append_parse(bytes, name, sql);
    append_bytes(bytes, run(name));
    return bytes;
  }
  static ByteBuffer run(std::string_view name) {
    ByteBuffer bytes;
    wire::append_bind(bytes, {.portal = {}, .statement = name});
    wire::append_execute(bytes, {});
    wire::append_sync(bytes);
    return bytes;
  }
  // Prepared by the protocol, and answered.
  void prepare(std::string_view name, std::string_view sql) {
    ByteBuffer bytes;
    wire::append_parse(bytes, name, sql);
    wire::append_sync(bytes);
    (void)session_->to_server(bytes);
    ByteBuffer reply;
    wire::append_empty_message(reply, wire::backend::kParseComplete);
    wire::append_ready_for_query(reply, wire::TransactionStatus::kIdle);
    (void)answer(reply);
  }

  Continuity::Copy replica_;
};

TEST_F(SplitTest, OnlyWholeBatchesOfSafeReadsMayGo) {
  EXPECT_TRUE(safe("SELECT 1"));
  EXPECT_FALSE(safe("SELECT f()"));
  EXPECT_FALSE(safe(""));
  EXPECT_TRUE(safe(pipeline("SELECT $1")));
  EXPECT_TRUE(safe(both(pipeline("SELECT 1"), pipeline("SELECT 2"))));
  EXPECT_FALSE(safe(both(pipeline("SELECT 1"), pipeline("DELETE FROM t"))));
  ByteBuffer cut = pipeline("SELECT 1");
  cut.pop_back();
  EXPECT_FALSE(safe(cut));
  ByteBuffer without_sync;
  wire::append_parse(without_sync, {}, "SELECT 1");
  EXPECT_FALSE(safe(without_sync));
  EXPECT_FALSE(safe(run("unknown")));
  EXPECT_FALSE(safe(ByteBuffer{'S', 0, 0, 0, 4}));  // asks nothing
  EXPECT_FALSE(safe(ByteBuffer{'S', 0, 0, 0, 0}));
  EXPECT_FALSE(safe(ByteBuffer{}));
}

TEST_F(SplitTest, APreparedStatementIsJudgedByItsText) {
  prepare("read", "SELECT 1");
  prepare("write", "DELETE FROM t");
  EXPECT_TRUE(safe(run("read")));
  EXPECT_FALSE(safe(run("write")));
  EXPECT_FALSE(safe(pipeline("DELETE FROM t", "read")));
}

TEST_F(SplitTest, ASessionThatHoldsSomethingStaysWhereItIs) {
  EXPECT_TRUE(session_->may_read_elsewhere());
  exchange("SELECT f()", "SELECT 1", 'I');
  EXPECT_FALSE(session_->may_read_elsewhere());
  exchange("DISCARD ALL", "DISCARD ALL", 'I');
  EXPECT_TRUE(session_->may_read_elsewhere());
  exchange("LISTEN a", "LISTEN", 'I');
  EXPECT_FALSE(session_->may_read_elsewhere());
  exchange("UNLISTEN a", "UNLISTEN", 'I');
  EXPECT_TRUE(session_->may_read_elsewhere());
  exchange("CREATE TEMP TABLE t ()", "CREATE TABLE", 'I');
  EXPECT_FALSE(session_->may_read_elsewhere());
}

TEST_F(SplitTest, NothingGoesInATransactionOrBeforeAnAnswer) {
  EXPECT_TRUE(session_->quiet());
  (void)ask("SELECT 1");
  EXPECT_FALSE(session_->quiet());
  (void)answer(done("SELECT 1", 'I'));
  EXPECT_TRUE(session_->quiet());
  exchange("BEGIN", "BEGIN", 'T');
  EXPECT_FALSE(session_->quiet());
}

TEST_F(SplitTest, TheOtherServerIsToldOnlyWhatItLacks) {
  exchange("SET TimeZone = 'Asia/Tokyo'", "SET", 'I');
  prepare("read", "SELECT 1");
  prepare("write", "DELETE FROM t");
  EXPECT_EQ(change(), (Lines{"Q SET TimeZone = 'Asia/Tokyo'", "P", "S"}));
  caught_up(2);
  EXPECT_EQ(change(), Lines{});  // back: the primary lacks nothing
  EXPECT_EQ(change(), Lines{});
  EXPECT_EQ(change(), Lines{});
  exchange("SET a.b = 1", "SET", 'I');
  EXPECT_EQ(change(), Lines{"Q SET a.b = 1"});
  caught_up(1);
  EXPECT_TRUE(session_->quiet());
}

TEST_F(SplitTest, WhatWasUndoneIsUndoneByDiscarding) {
  exchange("SET a.b = 1", "SET", 'I');
  exchange("SET c.d = 1", "SET", 'I');
  EXPECT_EQ(change().size(), 2U);
  caught_up(2);
  EXPECT_EQ(change(), Lines{});
  exchange("RESET a.b", "RESET", 'I');
  EXPECT_EQ(change(), (Lines{"Q DISCARD ALL", "Q SET c.d = 1"}));
}

TEST_F(SplitTest, AStatementMadeAnewUnderItsNameIsClosedFirst) {
  prepare("a", "SELECT 1");
  EXPECT_EQ(change().size(), 2U);
  caught_up(1);
  EXPECT_EQ(change(), Lines{});
  exchange("DEALLOCATE a", "DEALLOCATE", 'I');
  prepare("a", "SELECT 2");
  EXPECT_EQ(change(), (Lines{"C Sa", "S", "P", "S"}));
}

TEST_F(SplitTest, SettingsTheClientKnowsAreNotToldAgain) {
  exchange("SET TimeZone = 'Asia/Tokyo'", "SET", 'I');
  (void)change();
  ByteBuffer reply;
  wire::append_parameter_status(reply, "TimeZone", "Asia/Tokyo");
  append_bytes(reply, done("SET", 'I'));
  EXPECT_EQ(answer(reply), Lines{});
  EXPECT_EQ(*session_->settings().find("TimeZone"), "Asia/Tokyo");
}

TEST_F(SplitTest, WhatAReplicaRefusesIsAskedOfThePrimary) {
  for (const char* const sqlstate : {"25006", "40001", "0A000", "XX000", "57P01"}) {
    use({});
    replica_ = {};
    (void)change();
    EXPECT_EQ(ask("SELECT 1"), Lines{"Q SELECT 1"}) << sqlstate;
    EXPECT_EQ(answer(error(sqlstate)), Lines{}) << sqlstate;
    EXPECT_TRUE(session_->server_leaves()) << sqlstate;
    session_->server_lost();
    session_->server_regained(std::move(replica_));
    EXPECT_EQ(said(), Lines{"Q SELECT 1"}) << sqlstate;
    EXPECT_TRUE(relaying()) << sqlstate;
    EXPECT_FALSE(session_->at_replica()) << sqlstate;
    EXPECT_EQ(answer(done("SELECT 1", 'I')), (Lines{"C SELECT 1", "Z I"})) << sqlstate;
  }
}

TEST_F(SplitTest, WhatTheStatementItselfDidWrongIsTold) {
  (void)change();
  (void)ask("SELECT 1/0");
  EXPECT_EQ(answer(failed('I')), (Lines{"E 22012", "Z I"}));
  (void)ask("SELECT 1");
  EXPECT_EQ(answer(error("57014")), Lines{"E 57014"});  // cancelled
}

TEST_F(SplitTest, AnAnswerInPartGoesOnIfThePrimarySaysTheSame) {
  (void)change();
  (void)ask("SELECT a FROM t");
  EXPECT_EQ(answer(row("1")), Lines{"D 1"});
  EXPECT_EQ(answer(error("40001")), Lines{});
  session_->server_lost();
  session_->server_regained(std::move(replica_));
  EXPECT_EQ(said(), Lines{"Q SELECT a FROM t"});
  EXPECT_EQ(answer(both(both(row("1"), row("2")), done("SELECT 2", 'I'))),
            (Lines{"D 2", "C SELECT 2", "Z I"}));
}

TEST_F(SplitTest, AReplicaThatCannotBeMadeAlikeIsLeft) {
  exchange("SET a.b = 1", "SET", 'I');
  EXPECT_EQ(change(), Lines{"Q SET a.b = 1"});
  (void)ask("SELECT 1");
  EXPECT_EQ(answer(failed('I')), Lines{});
  EXPECT_TRUE(session_->server_leaves());
}

TEST_F(SplitTest, ASequenceIsNotReadAtAReplica) {
  (void)change();
  (void)ask("SELECT * FROM s");
  ByteBuffer description;
  const wire::FieldDescription fields[] = {
      {.name = "last_value"}, {.name = "log_cnt"}, {.name = "is_called"}};
  wire::append_row_description(description, fields);
  EXPECT_EQ(answer(description), Lines{});
  EXPECT_TRUE(session_->server_leaves());
}

TEST_F(SplitTest, TheFloorIsKnownWhenNothingWasSeenSinceItWasAskedFor) {
  EXPECT_TRUE(session_->floor().known());
  (void)ask("INSERT INTO t VALUES (1)");
  (void)answer(done("INSERT 0 1", 'I'));
  EXPECT_FALSE(session_->floor().known());
  (void)ask("SELECT 1");
  session_->ask_position();
  EXPECT_EQ(said(), Lines{"own: " + std::string(kAskForPosition)});
  (void)answer(done("SELECT 1", 'I'));
  EXPECT_EQ(answer(rows_of_answer({"0/A0"})), Lines{});
  EXPECT_TRUE(session_->floor().known());
  EXPECT_EQ(session_->floor().position(), Lsn{0xA0});
  (void)ask("SELECT 2");
  session_->ask_position();
  (void)answer(done("SELECT 1", 'I'));
  (void)ask("SELECT 3");  // before the answer came
  EXPECT_EQ(answer(rows_of_answer({"0/B0"})), Lines{});
  EXPECT_FALSE(session_->floor().known());
}

TEST_F(SplitTest, WithOwnWritesOnlyReadsDoNotRaiseTheFloor) {
  ContinuityLimits limits;
  limits.own_writes_only = true;
  use(limits);
  exchange("SELECT random()", "SELECT 1", 'I');
  EXPECT_TRUE(session_->floor().known());
  exchange("SELECT f()", "SELECT 1", 'I');
  EXPECT_FALSE(session_->floor().known());
}

}  // namespace
}  // namespace understudy::proxy
