#include "replayer/statement_footprints.h"

#include <gtest/gtest.h>

namespace understudy::replayer {
namespace {

using Kind = StatementShape::Kind;

TargetTables shop() {
  TargetTables tables;
  TableFacts item;
  item.integer_columns = {"id", "stock", "price"};
  item.unique_columns = {"id", "code"};
  item.columns = {"id", "code", "stock", "price"};
  tables.add("item", item);
  TableFacts computed = item;
  computed.generates = true;
  tables.add("priced", computed);
  TableFacts log;
  log.integer_columns = {"n"};
  tables.add("log", log);
  TableFacts view;
  view.readable = view.writable = false;
  tables.add("a_view", view);
  TableFacts watched;
  watched.writable = false;
  watched.integer_columns = {"id"};
  tables.add("watched", watched);
  TableFacts lower_unique = item;
  lower_unique.opaque_uniqueness = true;
  tables.add("account", lower_unique);
  return tables;
}

class StatementFootprintsTest : public testing::Test {
 protected:
  const StatementShape& shape(std::string_view sql) {
    last_ = statements_.identify(sql);
    return *last_.shape;
  }
  Kind kind(std::string_view sql) { return shape(sql).kind; }
  // The rows written, if it is understood: whether by key, and by which value.
  std::string written(std::string_view sql) {
    const StatementShape& found = shape(sql);
    if (found.kind != Kind::kRows) return "anything";
    if (found.writes.empty()) return "nothing";
    return describe(found.writes.front());
  }
  std::string read(std::string_view sql) {
    const StatementShape& found = shape(sql);
    if (found.kind != Kind::kRows) return "anything";
    std::string all;
    for (const auto& rows : found.reads) all += (all.empty() ? "" : " and ") + describe(rows);
    return all.empty() ? "nothing" : all;
  }

  // What a text that is not understood is seen to lock.
  std::string locked(std::string_view sql) {
    const StatementShape& found = shape(sql);
    if (found.kind != Kind::kAnything) return "understood";
    std::string all;
    for (const auto& rows : found.writes)
      all += (all.empty() ? "" : ", ") + std::string(rows.shared ? "shared " : "") + describe(rows);
    return all;
  }

  StatementFootprints statements_{shop()};

 private:
  std::string describe(const StatementShape::Rows& rows) const {
    if (rows.column == 0) return rows.adds ? "new rows" : "all rows";
    if (rows.placeholder <= last_.parameters) return "rows of $" + std::to_string(rows.placeholder);
    return "rows of " + last_.constants.at(rows.placeholder - last_.parameters - 1);
  }
  KnownStatement last_;
};

TEST_F(StatementFootprintsTest, AnUpdateByAnIntegerKeyTouchesItsRowsOnly) {
  EXPECT_EQ(written("UPDATE item SET stock = stock - 1 WHERE id = 17"), "rows of 17");
  EXPECT_EQ(written("UPDATE item SET stock = stock - 2 WHERE id = 23"), "rows of 23");
  EXPECT_EQ(written("UPDATE item SET stock = stock - $2 WHERE id = $1"), "rows of $1");
  EXPECT_EQ(written("UPDATE item i SET stock = 0 WHERE i.price > 3 AND i.id = 5"), "rows of 5");
  EXPECT_EQ(written("update public.item set stock = 0 where id = 5 returning *"), "rows of 5");
  EXPECT_EQ(written("DELETE FROM item WHERE id = 5"), "rows of 5");
}

TEST_F(StatementFootprintsTest, AnyOtherConditionMayBeMetByAnyRow) {
  EXPECT_EQ(written("UPDATE item SET stock = 0"), "all rows");
  EXPECT_EQ(written("UPDATE item SET stock = 0 WHERE id > 5"), "all rows");
  EXPECT_EQ(written("UPDATE item SET stock = 0 WHERE id = 5 OR id = 6"), "all rows");
  EXPECT_EQ(written("UPDATE item SET stock = 0 WHERE id + 1 = 5"), "all rows");
  EXPECT_EQ(written("UPDATE item SET stock = 0 WHERE NOT id = 5"), "all rows");
  EXPECT_EQ(written("UPDATE item SET stock = 0 WHERE code = 'x'"),
            "all rows");  // text: equal in which collation?
  EXPECT_EQ(written("DELETE FROM log"), "all rows");
}

TEST_F(StatementFootprintsTest, RowsThatMoveOrMeetInAUniqueIndexAreNotKeptApart) {
  EXPECT_EQ(written("UPDATE item SET id = 6 WHERE id = 5"), "all rows");
  EXPECT_EQ(written("UPDATE item SET code = 'x' WHERE id = 5"), "all rows");
  EXPECT_EQ(written("UPDATE account SET price = 1 WHERE id = 5"), "all rows");
  EXPECT_EQ(written("UPDATE log SET n = n + 1 WHERE n = 5"), "all rows");
  EXPECT_EQ(written("DELETE FROM account WHERE id = 5"), "rows of 5");
}

TEST_F(StatementFootprintsTest, UpdatesDependOnEachOtherByTheColumnsThatTheySetAndLookFor) {
  const auto sets = [this](std::string_view sql) { return shape(sql).writes.front().sets; };
  const auto where = [this](std::string_view sql) { return shape(sql).writes.front().where; };
  const std::uint64_t stock = sets("UPDATE item SET stock = 1");
  const std::uint64_t price = sets("UPDATE item SET price = stock");
  EXPECT_EQ(stock & price, 0U);
  EXPECT_EQ(sets("UPDATE item SET stock = 1, price = 2"), stock | price);
  EXPECT_EQ(where("DELETE FROM item WHERE stock > 1 OR item.price = 2"), stock | price);
  EXPECT_EQ(where("UPDATE item SET price = 1"), 0U);
  EXPECT_EQ(sets("DELETE FROM item"), 0U);
  // The row as one, what every row has, and what is computed of others.
  EXPECT_EQ(where("DELETE FROM item WHERE item IS NULL"), UINT64_MAX);
  EXPECT_EQ(where("DELETE FROM item WHERE ctid = '(0,1)'"), UINT64_MAX);
  EXPECT_EQ(sets("UPDATE priced SET stock = 1"), UINT64_MAX);
}

TEST_F(StatementFootprintsTest, WhoWaitsForRowsThatAreBeingAdded) {
  const auto meets_added = [this](std::string_view sql) { return shape(sql).writes.front().meets_added; };
  EXPECT_TRUE(meets_added("LOCK TABLE item"));
  EXPECT_TRUE(meets_added("TRUNCATE item"));
  EXPECT_TRUE(meets_added("INSERT INTO item VALUES (1) ON CONFLICT (id) DO UPDATE SET stock = 2"));
  EXPECT_TRUE(meets_added("UPDATE item SET code = 7 WHERE id = 1"));
  EXPECT_FALSE(meets_added("UPDATE item SET stock = 7"));
  EXPECT_FALSE(meets_added("DELETE FROM item"));
  EXPECT_FALSE(meets_added("SELECT FROM item FOR UPDATE"));
}

TEST_F(StatementFootprintsTest, InsertsAddRowsAndReadWhatTheySelectFrom) {
  EXPECT_EQ(written("INSERT INTO log VALUES (1), (2)"), "new rows");
  EXPECT_EQ(written("INSERT INTO log SELECT count(*) FROM item"), "new rows");
  EXPECT_EQ(read("INSERT INTO log SELECT count(*) FROM item"), "all rows");
  EXPECT_EQ(written("INSERT INTO log VALUES (1) ON CONFLICT DO NOTHING"), "anything");
}

TEST_F(StatementFootprintsTest, RowsAreAddedFreelyWhereNothingIsUnique) {
  EXPECT_TRUE(shape("INSERT INTO log VALUES (1)").writes.front().freely);
  EXPECT_FALSE(shape("INSERT INTO item (id) VALUES (1)").writes.front().freely);
  EXPECT_FALSE(shape("INSERT INTO account (price) VALUES (1)").writes.front().freely);
  EXPECT_FALSE(shape("DELETE FROM log").writes.front().freely);
}

TEST_F(StatementFootprintsTest, ReadsAreFollowedIntoJoinsAndSubqueries) {
  EXPECT_EQ(read("SELECT price FROM item WHERE id = 17"), "rows of 17");
  EXPECT_EQ(read("SELECT price FROM item WHERE id = $1 ORDER BY 1 LIMIT 5"), "rows of $1");
  EXPECT_EQ(read("SELECT 1"), "nothing");
  EXPECT_EQ(read("SELECT max(n), now() FROM log"), "all rows");
  EXPECT_EQ(read("SELECT * FROM item JOIN log ON n = id WHERE id = 3"), "all rows and all rows");
  EXPECT_EQ(read("SELECT * FROM item WHERE id = 3 AND EXISTS (SELECT FROM log)"), "all rows and all rows");
  EXPECT_EQ(read("UPDATE item SET stock = (SELECT max(n) FROM log) WHERE id = 3"), "all rows");
  EXPECT_EQ(read("SELECT n FROM log UNION SELECT id FROM item"), "all rows and all rows");
}

TEST_F(StatementFootprintsTest, WhatIsNotKnownToBeHarmlessMayTouchAnything) {
  for (const char* sql : {"SELECT nextval('s')",
                          "SELECT my_function(1)",
                          "SELECT other.lower('x')",
                          "SELECT pg_advisory_lock(1)",
                          "SELECT price FROM item FOR UPDATE",
                          "SELECT * INTO copied FROM item",
                          "SELECT * FROM no_such_table",
                          "SELECT * FROM a_view",
                          "SELECT * FROM pg_stat_activity",
                          "WITH x AS (SELECT 1) SELECT * FROM x",
                          "WITH gone AS (DELETE FROM log RETURNING n) SELECT * FROM item",
                          "INSERT INTO watched VALUES (1)",
                          "UPDATE a_view SET n = 1",
                          "COPY log FROM STDIN",
                          "LOCK TABLE log",
                          "TRUNCATE log",
                          "NOTIFY news",
                          "LISTEN news",
                          "PREPARE p AS SELECT 1",
                          "EXECUTE p",
                          "DECLARE c CURSOR FOR SELECT 1",
                          "FETCH 5 FROM c",
                          "CALL p()",
                          "DO $$ BEGIN END $$",
                          "CREATE TABLE x (n int)",
                          "VACUUM",
                          "COMMIT AND CHAIN",
                          "PREPARE TRANSACTION 'x'",
                          "SELECT 1; SELECT 2",
                          "BEGIN; SELECT 1",
                          "no statement at all",
                          "SELECT 'never closed",
                          "EXPLAIN SELECT 1"}) {
    EXPECT_EQ(kind(sql), Kind::kAnything) << sql;
  }
}

TEST_F(StatementFootprintsTest, WhatIsNotUnderstoodIsSeenToLockRows) {
  EXPECT_EQ(locked("SELECT price FROM item WHERE id = 7 FOR UPDATE"), "rows of 7");
  EXPECT_EQ(locked("SELECT price FROM item WHERE id = $1 FOR NO KEY UPDATE NOWAIT"), "rows of $1");
  EXPECT_EQ(locked("SELECT price FROM item WHERE price > 3 LIMIT 1 FOR UPDATE SKIP LOCKED"), "all rows");
  EXPECT_EQ(locked("SELECT * FROM item JOIN log ON n = id WHERE id = 3 FOR UPDATE"), "all rows, all rows");
  EXPECT_EQ(locked("SELECT * FROM (SELECT * FROM item FOR UPDATE) i WHERE id = 3"), "all rows");
  EXPECT_EQ(locked("UPDATE watched SET n = 1 WHERE id = 3"), "all rows");  // and what its triggers write
  EXPECT_EQ(locked("UPDATE item SET stock = my_function(1) WHERE id = 3"), "rows of 3");
  EXPECT_EQ(locked("UPDATE no_such_table SET n = 1 WHERE id = 3"), "all rows");
  EXPECT_EQ(locked("UPDATE item SET stock = 1 FROM a_view WHERE id = 3"), "all rows");
  EXPECT_EQ(locked("WITH gone AS (DELETE FROM item WHERE id = 8 RETURNING id) SELECT * FROM gone"),
            "rows of 8");
  EXPECT_EQ(locked("UPDATE item SET stock = 1 WHERE id = 3; DELETE FROM log"), "rows of 3, all rows");
  EXPECT_EQ(locked("INSERT INTO watched VALUES (1)"), "new rows");
  EXPECT_EQ(locked("INSERT INTO item VALUES (1) ON CONFLICT (id) DO UPDATE SET stock = 1"), "all rows");
  EXPECT_EQ(locked("LOCK TABLE log, item"), "all rows, all rows");
  EXPECT_EQ(locked("TRUNCATE log"), "all rows");
}

TEST_F(StatementFootprintsTest, AdvisoryLocksAreLocksByTheirKeys) {
  EXPECT_EQ(locked("SELECT pg_advisory_lock(42)"), "rows of 42");
  EXPECT_EQ(locked("SELECT pg_catalog.pg_try_advisory_xact_lock($1)"), "rows of $1");
  EXPECT_EQ(locked("SELECT pg_advisory_unlock(42)"), "");
  EXPECT_EQ(locked("SELECT pg_advisory_xact_lock(1, 2)"), "all rows");
  EXPECT_EQ(locked("SELECT pg_advisory_xact_lock(hashtext('x'))"), "all rows");
  EXPECT_NE(shape("SELECT pg_advisory_lock(42)").writes.front().table,
            shape("SELECT price FROM item FOR UPDATE").writes.front().table);
}

TEST_F(StatementFootprintsTest, LocksThatOthersMayHaveAtTheSameTimeAreShared) {
  EXPECT_EQ(locked("SELECT price FROM item WHERE id = 7 FOR SHARE"), "shared rows of 7");
  EXPECT_EQ(locked("SELECT price FROM item FOR KEY SHARE"), "shared all rows");
  EXPECT_EQ(locked("SELECT * FROM item, log FOR UPDATE OF item FOR SHARE OF log"), "all rows, all rows");
  EXPECT_EQ(locked("SELECT pg_try_advisory_xact_lock_shared(4)"), "shared rows of 4");
  EXPECT_EQ(locked("LOCK TABLE log IN ROW EXCLUSIVE MODE"), "shared all rows");
  EXPECT_EQ(locked("LOCK TABLE log IN SHARE ROW EXCLUSIVE MODE"), "all rows");
}

TEST_F(StatementFootprintsTest, WhatLocksNothingThatIsSeenLocksNothing) {
  for (const char* sql : {"SELECT nextval('s')", "SELECT my_function(1)", "SELECT * FROM a_view", "CALL p()",
                          "DO $$ BEGIN UPDATE item SET stock = 1; END $$", "COPY log FROM STDIN", "EXECUTE p",
                          "SELECT 1; SELECT 2"})
    EXPECT_EQ(locked(sql), "") << sql;
}

TEST_F(StatementFootprintsTest, ManyRowsLockedByOneTextAreTheirTables) {
  std::string sql;
  for (int id = 0; id < 1000; ++id) sql += "DELETE FROM item WHERE id = " + std::to_string(id) + ";";
  sql.resize(5000);
  sql.resize(sql.rfind(';') + 1);
  EXPECT_EQ(kind(sql), Kind::kAnything);
  const auto& locks = shape(sql).writes;
  ASSERT_EQ(locks.size(), 17U);
  EXPECT_EQ(locks.back().column, 0U);
}

TEST_F(StatementFootprintsTest, TransactionsAndSettings) {
  EXPECT_EQ(kind("BEGIN"), Kind::kBegin);
  EXPECT_EQ(kind("START TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY"), Kind::kBegin);
  EXPECT_EQ(kind("COMMIT"), Kind::kEnd);
  EXPECT_EQ(kind("END"), Kind::kEnd);
  EXPECT_EQ(kind("ROLLBACK"), Kind::kEnd);
  EXPECT_EQ(kind("SAVEPOINT a"), Kind::kNothing);
  EXPECT_EQ(kind("ROLLBACK TO a"), Kind::kRollbackTo);
  EXPECT_EQ(kind("SET client_encoding = 'UTF8'"), Kind::kNothing);
  EXPECT_EQ(kind("SHOW client_encoding"), Kind::kNothing);
  EXPECT_EQ(kind(""), Kind::kNothing);
  EXPECT_EQ(kind("-- a comment"), Kind::kNothing);
}

TEST_F(StatementFootprintsTest, OtherIsolationLevelsMakeOrderMatterWhereNoStatementShowsIt) {
  EXPECT_EQ(kind("BEGIN ISOLATION LEVEL REPEATABLE READ"), Kind::kOpaque);
  EXPECT_EQ(kind("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), Kind::kOpaque);
  EXPECT_EQ(kind("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"), Kind::kOpaque);
  EXPECT_EQ(kind("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED"),
            Kind::kNothing);
  EXPECT_EQ(kind("SET default_transaction_isolation = 'serializable'"), Kind::kOpaque);
  EXPECT_EQ(kind("SET session_replication_role = replica"), Kind::kOpaque);
}

TEST_F(StatementFootprintsTest, ATableThatMayHaveChangedIsKnownNoMore) {
  EXPECT_EQ(written("UPDATE item SET stock = 0 WHERE id = 5"), "rows of 5");
  EXPECT_EQ(kind("CREATE TRIGGER x BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION f()"),
            Kind::kAnything);
  EXPECT_EQ(written("UPDATE item SET stock = 0 WHERE id = 5"), "anything");
  EXPECT_EQ(written("INSERT INTO log VALUES (1)"), "new rows");
  EXPECT_EQ(kind("INSERT INTO log VALUES (1); DROP TABLE public.log"), Kind::kAnything);
  EXPECT_EQ(written("INSERT INTO log VALUES (1)"), "anything");
}

TEST_F(StatementFootprintsTest, ALongStatementThatIsNoDataMakesAllTablesUnknown) {
  EXPECT_EQ(written("INSERT INTO log VALUES (1)"), "new rows");
  EXPECT_EQ(kind("INSERT INTO log VALUES (1" + std::string(20'000, ' ') + ")"), Kind::kAnything);
  EXPECT_EQ(written("INSERT INTO log VALUES (1)"), "new rows");
  EXPECT_EQ(kind("CREATE FUNCTION f() " + std::string(20'000, ' ')), Kind::kAnything);
  EXPECT_EQ(written("INSERT INTO log VALUES (1)"), "anything");
}

TEST_F(StatementFootprintsTest, DeeplyNestedTextIsTaken) {
  EXPECT_EQ(kind("SELECT " + std::string(4000, '(') + "1" + std::string(4000, ')')), Kind::kRows);
  std::string minus = "SELECT ";
  for (int i = 0; i < 3000; ++i) minus += "- ";
  (void)kind(minus + "1");
}

TEST(IntegerOf, TakesWhatIsPlainlyAnInteger) {
  EXPECT_EQ(integer_of("17"), 17);
  EXPECT_EQ(integer_of("-17"), -17);
  EXPECT_EQ(integer_of("007"), 7);
  for (const char* text : {"", "1.0", "1e3", " 1", "1 ", "x", "0x10", "9223372036854775808", "+1"}) {
    EXPECT_FALSE(integer_of(text)) << text;
  }
}

}  // namespace
}  // namespace understudy::replayer
