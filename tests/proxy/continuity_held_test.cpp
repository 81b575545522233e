// A session that held what cannot move, and may hold it no more.
#include <algorithm>

#include "tests/proxy/continuity_fixture.h"

namespace understudy::proxy {
namespace {

StatementEffect only(std::string_view sql) {
  const StatementTraits traits = classify_statement(sql);
  EXPECT_EQ(traits.statements.size(), 1U) << sql;
  return traits.statements.empty() ? StatementEffect{} : traits.statements.front();
}

TEST(WhatIsHeld, OfWhatPinsItIsSaidWhatTheServerCanBeAsked) {
  struct Row {
    const char* sql;
    unsigned holds;
    unsigned releases;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"CREATE TEMP TABLE x (a int)", kHeldTemporary, 0},
           {"SELECT 1 INTO pg_temp.x", kHeldTemporary, 0},
           {"CREATE TYPE pg_temp.t AS (a int)", kHeldTemporary, 0},
           {"SELECT pg_advisory_lock(1)", kHeldLock, 0},
           {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", kHeldCursor, 0},
           {"DECLARE c CURSOR WITH HOLD FOR SELECT pg_advisory_lock(1)", kHeldLock | kHeldCursor, 0},
           {"CREATE TEMP TABLE x AS SELECT pg_advisory_lock(1)", kHeldTemporary | kHeldLock, 0},
           {"CREATE TABLE pg_temp.x AS SELECT pg_advisory_lock(1)", kHeldTemporary | kHeldLock, 0},
           {"SELECT pg_advisory_lock(1), pg_advisory_unlock(2)", kHeldLock, kHeldLock},
           {"SELECT pg_advisory_lock(1), setseed(0.5)", 0, 0},
           {"SELECT setseed(0.5), pg_advisory_lock(1)", 0, 0},
           {"CREATE TABLE pg_temp.x AS SELECT setseed(0.5)", 0, 0},
           {"PREPARE p AS SELECT pg_advisory_lock($1)", 0, 0},
           {"LOAD 'auto_explain'", 0, 0},
           {"DROP TABLE x", 0, kHeldTemporary},
           {"DROP SEQUENCE IF EXISTS x CASCADE", 0, kHeldTemporary},
           {"DROP OWNED BY CURRENT_USER", 0, kHeldTemporary},
           {"DISCARD TEMP", 0, kHeldTemporary},
           {"CLOSE c", 0, kHeldCursor},
           {"CLOSE ALL", 0, kHeldCursor},
           {"SELECT pg_advisory_unlock(1)", 0, kHeldLock},
           {"SELECT pg_catalog.pg_advisory_unlock_shared(1, 2)", 0, kHeldLock},
           {"SELECT a FROM t WHERE PG_ADVISORY_UNLOCK_ALL() IS NULL", 0, kHeldLock},
           {"INSERT INTO t SELECT pg_advisory_unlock(1)", 0, kHeldLock},
           {"EXPLAIN SELECT pg_advisory_unlock(1)", 0, 0},
           {"ROLLBACK", 0, 0},
       }) {
    const StatementEffect effect = only(row.sql);
    EXPECT_EQ(effect.holds, row.holds) << row.sql;
    EXPECT_EQ(effect.releases, row.releases) << row.sql;
  }
  EXPECT_FALSE(classify_statement("INSERT INTO t SELECT pg_advisory_unlock(1)").wrappable);
}

TEST(WhatIsHeld, ATemporaryTableThatEndsWithItsTransactionOnlyWrites) {
  for (const char* sql :
       {"CREATE TEMP TABLE x (a int) ON COMMIT DROP", "CREATE TEMP TABLE x ON COMMIT DROP AS SELECT 1"}) {
    EXPECT_EQ(only(sql).kind, EffectKind::kNone) << sql;
    EXPECT_TRUE(only(sql).may_write) << sql;
    EXPECT_FALSE(only(sql).read_safe) << sql;
  }
}

class ContinuityHeldTest : public ContinuityTest {
 protected:
  // Of what a server is sent only this is the proxy's own.
  static std::size_t questions(const Lines& said) {
    return static_cast<std::size_t>(std::count_if(said.begin(), said.end(), [](const std::string& line) {
      return line.starts_with("own: SELECT EXISTS");
    }));
  }
  // Lets go of something; the server's answer to whether there is any of it, "t" or "f".
  void let_go(std::string_view sql, std::string_view tag, std::string_view still) {
    EXPECT_EQ(questions(ask(sql)), 1U) << sql;
    EXPECT_TRUE(session_->holds_client());
    EXPECT_EQ(answer(done(tag, 'I')).size(), 2U);
    EXPECT_TRUE(session_->is_asking());
    EXPECT_EQ(answer(rows_of_answer({still})), Lines{});
    EXPECT_FALSE(session_->holds_client());
    EXPECT_FALSE(session_->is_asking());
  }
};

TEST_F(ContinuityHeldTest, ASessionWhoseTemporaryTablesAreGoneMoves) {
  exchange("CREATE TEMP TABLE t (a int)", "CREATE TABLE", 'I');
  let_go("DROP TABLE t", "DROP TABLE", "t");
  EXPECT_NE(session_->cannot_move(), "");  // there was another
  let_go("DROP TABLE t", "DROP TABLE", "f");
  EXPECT_EQ(move(), Lines{});
  EXPECT_TRUE(relaying());
}

TEST_F(ContinuityHeldTest, OneQuestionAsksForAllThatMayBeGone) {
  exchange("CREATE TEMP TABLE t (a int)", "CREATE TABLE", 'I');
  exchange("SELECT pg_advisory_lock(1)", "SELECT 1", 'I');
  exchange("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "DECLARE CURSOR", 'I');
  const Lines said = ask("DROP TABLE t; CLOSE c");
  ASSERT_EQ(questions(said), 1U);
  EXPECT_NE(said[1].find("pg_cursors"), std::string::npos);
  EXPECT_EQ(said[1].find("pg_locks"), std::string::npos);  // nobody has unlocked anything
  ByteBuffer both_done;
  wire::append_command_complete(both_done, "DROP TABLE");
  append_bytes(both_done, done("CLOSE CURSOR", 'I'));
  (void)answer(both_done);
  (void)answer(rows_of_answer({"f", "f"}));
  EXPECT_EQ(session_->cannot_move(), "session-level advisory lock");
  let_go("SELECT pg_advisory_unlock(1)", "SELECT 1", "f");
  EXPECT_EQ(session_->cannot_move(), "");
}

TEST_F(ContinuityHeldTest, WhoHoldsNothingIsNotAskedAbout) {
  EXPECT_EQ(questions(ask("DROP TABLE t")), 0U);
  (void)answer(done("DROP TABLE", 'I'));
  EXPECT_EQ(questions(ask("SELECT pg_advisory_unlock_all()")), 0U);
  (void)answer(done("SELECT 1", 'I'));
  EXPECT_FALSE(session_->holds_client());
}

TEST_F(ContinuityHeldTest, InATransactionItIsAskedBehindItsEnd) {
  exchange("BEGIN", "BEGIN", 'T');
  exchange("CREATE TEMP TABLE t (a int)", "CREATE TABLE", 'T');
  EXPECT_EQ(questions(ask("DROP TABLE t")), 0U);
  (void)answer(done("DROP TABLE", 'T'));
  let_go("COMMIT", "COMMIT", "f");
  EXPECT_EQ(session_->cannot_move(), "");
}

TEST_F(ContinuityHeldTest, WhatIsMadeBehindTheQuestionPinsAgain) {
  exchange("CREATE TEMP TABLE t (a int)", "CREATE TABLE", 'I');
  ByteBuffer bytes;
  wire::append_query(bytes, "DROP TABLE t");
  wire::append_query(bytes, "CREATE TEMP TABLE u (a int)");
  EXPECT_EQ(questions(lines_of(session_->to_server(bytes))), 1U);
  (void)answer(done("DROP TABLE", 'I'));
  (void)answer(rows_of_answer({"f"}));
  EXPECT_EQ(session_->cannot_move(), "");
  (void)answer(done("CREATE TABLE", 'I'));
  EXPECT_EQ(session_->cannot_move(), "temporary table \"u\"");
}

TEST_F(ContinuityHeldTest, WhatACallMadeOutOfSightPins) {
  EXPECT_EQ(questions(ask("CALL p()")), 1U);
  (void)answer(done("CALL", 'I'));
  EXPECT_EQ(answer(rows_of_answer({"f", "t", "f"})), Lines{"Z I"});
  EXPECT_EQ(session_->cannot_move(), "session-level advisory lock taken by a procedure");
  let_go("SELECT pg_advisory_unlock_all()", "SELECT 1", "f");
  EXPECT_EQ(session_->cannot_move(), "");
  exchange("BEGIN", "BEGIN", 'T');
  EXPECT_EQ(questions(ask("DO $$BEGIN END$$")), 0U);
  (void)answer(done("DO", 'T'));
  EXPECT_EQ(questions(ask("COMMIT")), 1U);
}

TEST_F(ContinuityHeldTest, WhoseFunctionsAreTrustedIsNotAskedBehindThem) {
  ContinuityLimits limits;
  limits.trust_functions = true;
  use(limits);
  EXPECT_EQ(questions(ask("CALL p()")), 0U);
}

TEST_F(ContinuityHeldTest, AQuestionThatFailedLeavesItPinned) {
  exchange("CREATE TEMP TABLE t (a int)", "CREATE TABLE", 'I');
  (void)ask("DROP TABLE t");
  (void)answer(done("DROP TABLE", 'I'));
  EXPECT_EQ(answer(failed('I')), Lines{});
  EXPECT_FALSE(session_->holds_client());
  EXPECT_NE(session_->cannot_move(), "");
}

TEST_F(ContinuityHeldTest, WhoOnlyListensAsksNothing) {
  ContinuityLimits limits;
  limits.asks = false;
  use(limits);
  exchange("CREATE TEMP TABLE t (a int)", "CREATE TABLE", 'I');
  EXPECT_EQ(questions(ask("DROP TABLE t")), 0U);
  EXPECT_FALSE(session_->holds_client());
}

TEST_F(CommitGuardTest, AWriteBehindTheQuestionIsPutIntoATransactionOfItsOwn) {
  exchange("SELECT pg_advisory_lock(1)", "SELECT 1", 'I');
  (void)ask("SELECT pg_advisory_unlock(1)");
  (void)answer(done("SELECT 1", 'I'));
  (void)answer(rows_of_answer({"f"}));
  EXPECT_EQ(ask("UPDATE t SET a = 1"), (Lines{"own: BEGIN", "Q UPDATE t SET a = 1", kMarkQuestion}));
}

}  // namespace
}  // namespace understudy::proxy
