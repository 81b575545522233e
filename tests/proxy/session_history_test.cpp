#include "proxy/session_history.h"

#include <gtest/gtest.h>

#include "formats/wire/frontend_builders.h"
#include "formats/wire/frontend_messages.h"

namespace understudy::proxy {
namespace {

// A session whose statements all succeed, and what would make another like it: one line a message.
class SessionHistoryTest : public ::testing::Test {
 protected:
  void run(std::string_view sql) {
    for (const StatementEffect& effect : classify_statement(sql).statements) history_.completed(effect);
  }
  void parse(std::string_view name, std::string_view sql) {
    ByteBuffer message;
    wire::append_parse(message, name, sql);
    history_.parsed(name, message, std::string(sql));
  }
  // As at the end of a request outside of a transaction.
  void rest() { history_.keep(); }

  [[nodiscard]] std::vector<std::string> restored(unsigned* answers = nullptr) const {
    ByteBuffer bytes;
    const SessionHistory::Answers due = history_.restore(bytes);
    if (answers != nullptr) *answers = due.due;
    std::vector<std::string> lines;
    for (ByteView left = bytes; !left.empty();) {
      const std::size_t size = std::size_t{load_be32(left.data() + 1)} + 1;
      const ByteView payload = left.subspan(5, size - 5);
      const char type = static_cast<char>(left.front());
      if (type == 'Q') lines.emplace_back(wire::Query::decode(payload)->sql);
      if (type == 'P') {
        const auto parse = wire::Parse::decode(payload);
        lines.push_back("parse " + std::string(parse->statement) + ": " + std::string(parse->sql));
      }
      if (type == 'S') lines.emplace_back("sync");
      left = left.subspan(size);
    }
    return lines;
  }
  using Lines = std::vector<std::string>;

  SessionHistory history_;
};

TEST_F(SessionHistoryTest, ASettingSetAgainIsSaidOnce) {
  run("SET work_mem = '1MB'");
  run("SET search_path TO shop");
  run("SET work_mem = '2MB'");
  rest();
  EXPECT_EQ(restored(), (Lines{"SET search_path TO shop", "SET work_mem = '2MB'"}));
}

TEST_F(SessionHistoryTest, ARolledBackSettingVanishes) {
  run("SET work_mem = '1MB'");
  rest();
  run("BEGIN; SET work_mem = '2MB'; SET timezone = 'UTC'; ROLLBACK");
  rest();
  EXPECT_EQ(restored(), Lines{"SET work_mem = '1MB'"});
}

TEST_F(SessionHistoryTest, SetLocalEndsWithItsTransaction) {
  run("BEGIN; SET LOCAL work_mem = '2MB'; SET timezone = 'UTC'; COMMIT");
  rest();
  EXPECT_EQ(restored(), Lines{"SET timezone = 'UTC'"});
}

TEST_F(SessionHistoryTest, ASavepointUndoesWhatCameAfterItOnly) {
  run("BEGIN; SET a.b = '1'; SAVEPOINT s; SET a.c = '2'; SAVEPOINT s; SET a.d = '3'; ROLLBACK TO s");
  run("SET a.e = '4'; RELEASE s; ROLLBACK TO s; COMMIT");
  rest();
  EXPECT_EQ(restored(), Lines{"SET a.b = '1'"});
}

TEST_F(SessionHistoryTest, AReleasedSavepointKeepsWhatCameAfterIt) {
  run("BEGIN; SAVEPOINT s; SET a.c = '2'; RELEASE s; COMMIT");
  rest();
  EXPECT_EQ(restored(), Lines{"SET a.c = '2'"});
}

TEST_F(SessionHistoryTest, WhatWasCommittedInTheSameRequestOutlivesALaterRollback) {
  run("BEGIN; SET a.b = '1'; COMMIT; BEGIN; SET a.b = '2'; ROLLBACK");
  rest();
  EXPECT_EQ(restored(), Lines{"SET a.b = '1'"});
}

TEST_F(SessionHistoryTest, ResetForgets) {
  run("SET a.b = '1'");
  run("SET a.c = '1'");
  run("RESET a.b");
  rest();
  EXPECT_EQ(restored(), Lines{"SET a.c = '1'"});
  run("RESET ALL");
  rest();
  EXPECT_EQ(restored(), Lines{});
}

TEST_F(SessionHistoryTest, ResetAllKeepsTheRole) {
  run("SET ROLE clerk");
  run("SET a.c = '1'");
  run("RESET ALL");
  rest();
  EXPECT_EQ(restored(), Lines{"SET ROLE clerk"});
}

TEST_F(SessionHistoryTest, ANewUserHasNoRole) {
  run("SET ROLE clerk");
  run("SET SESSION AUTHORIZATION ada");
  rest();
  EXPECT_EQ(restored(), Lines{"SET SESSION AUTHORIZATION ada"});
}

TEST_F(SessionHistoryTest, TheFirstUserHasNoRoleEither) {
  run("SET SESSION AUTHORIZATION ada");
  run("SET ROLE clerk");
  run("RESET SESSION AUTHORIZATION");
  rest();
  EXPECT_EQ(restored(), Lines{});
}

TEST_F(SessionHistoryTest, PreparedStatementsDoNotObeyTransactions) {
  run("BEGIN");
  parse("one", "SELECT 1");
  run("PREPARE two AS SELECT 2");
  run("SET a.b = '1'");
  history_.rolled_back();
  rest();
  unsigned answers = 0;
  EXPECT_EQ(restored(&answers), (Lines{"PREPARE two AS SELECT 2", "parse one: SELECT 1", "sync"}));
  EXPECT_EQ(answers, 2U);
}

TEST_F(SessionHistoryTest, DeallocatedAndClosedStatementsAreForgotten) {
  parse("one", "SELECT 1");
  parse("two", "SELECT 2");
  run("PREPARE three AS SELECT 3");
  history_.closed("one");
  run("DEALLOCATE three");
  rest();
  EXPECT_EQ(restored(), (Lines{"parse two: SELECT 2", "sync"}));
  run("DEALLOCATE ALL");
  rest();
  EXPECT_EQ(restored(), Lines{});
}

TEST_F(SessionHistoryTest, OfUnnamedStatementsTheLastCounts) {
  parse("", "SELECT 1");
  parse("", "SELECT 2");
  ASSERT_NE(history_.prepared(""), nullptr);
  EXPECT_EQ(*history_.prepared(""), "SELECT 2");
  rest();
  parse("", "SELECT 3");
  rest();
  EXPECT_EQ(restored(), (Lines{"parse : SELECT 3", "sync"}));
}

TEST_F(SessionHistoryTest, ListenObeysTransactions) {
  run("LISTEN news");
  rest();
  run("BEGIN; LISTEN \"Odd\"\"name\"; UNLISTEN news; ROLLBACK");
  rest();
  EXPECT_EQ(restored(), Lines{"LISTEN \"news\""});
  run("LISTEN \"Odd\"\"name\"");
  run("UNLISTEN news");
  rest();
  EXPECT_EQ(restored(), Lines{"LISTEN \"Odd\"\"name\""});
  run("UNLISTEN *");
  rest();
  EXPECT_EQ(restored(), Lines{});
}

TEST_F(SessionHistoryTest, DiscardAllLeavesNothing) {
  run("SET a.b = '1'");
  parse("one", "SELECT 1");
  run("LISTEN news");
  run("CREATE TEMP TABLE t (a int)");
  rest();
  EXPECT_NE(history_.pinned(), "");
  run("DISCARD ALL");
  rest();
  EXPECT_EQ(restored(), Lines{});
  EXPECT_EQ(history_.pinned(), "");
}

TEST_F(SessionHistoryTest, ATemporaryTableThatWasRolledBackPinsNothing) {
  run("BEGIN; CREATE TEMP TABLE t (a int); ROLLBACK");
  rest();
  EXPECT_EQ(history_.pinned(), "");
}

TEST_F(SessionHistoryTest, WhatARollbackTakesAlongPinsNothing) {
  run("BEGIN; CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ROLLBACK");
  run("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; ROLLBACK");
  run("BEGIN; SAVEPOINT s; SELECT 1 INTO TEMP t; ROLLBACK TO s; COMMIT");
  rest();
  EXPECT_EQ(history_.pinned(), "");
  EXPECT_EQ(history_.held(), 0);
}

TEST_F(SessionHistoryTest, ATemporaryTableThatEndsWithItsTransactionPinsNothing) {
  run("BEGIN; CREATE TEMP TABLE t (a int) ON COMMIT DROP; CREATE TEMP TABLE u ON COMMIT DROP AS SELECT 1");
  run("COMMIT");
  rest();
  EXPECT_EQ(history_.pinned(), "");
}

TEST_F(SessionHistoryTest, OfWhatPinsTheRestIsNamedWhenAPartIsGone) {
  run("CREATE TEMP TABLE t (a int)");
  run("SELECT pg_advisory_lock(1)");
  rest();
  EXPECT_EQ(history_.held(), kHeldTemporary | kHeldLock);
  history_.let_go(kHeldTemporary);
  EXPECT_EQ(history_.pinned(), "session-level advisory lock");
  history_.let_go(kHeldLock);
  EXPECT_EQ(history_.pinned(), "");
}

TEST_F(SessionHistoryTest, WhatNobodyCanBeAskedAboutPinsForGood) {
  run("CREATE TEMP TABLE t (a int)");
  run("PREPARE p AS SELECT pg_advisory_lock($1)");  // EXECUTE does not show it
  rest();
  history_.let_go(kHeldTemporary | kHeldLock | kHeldCursor);
  EXPECT_EQ(history_.pinned(), "session-level advisory lock");
}

TEST_F(SessionHistoryTest, AnAdvisoryLockOutlivesARollback) {
  run("BEGIN; SELECT pg_advisory_lock(1); ROLLBACK");
  rest();
  EXPECT_NE(history_.pinned(), "");
}

TEST_F(SessionHistoryTest, WhatIsUndoneIsAsIfItHadNotBeen) {
  run("SET a.b = '1'");
  rest();
  run("BEGIN; SET a.b = '2'");
  parse("one", "SELECT 1");
  history_.undo();
  rest();
  EXPECT_EQ(restored(), Lines{"SET a.b = '1'"});
  EXPECT_EQ(history_.prepared("one"), nullptr);
}

}  // namespace
}  // namespace understudy::proxy
