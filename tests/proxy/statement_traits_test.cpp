// Texts that look like one thing and are another: each table is a hazard.
#include "proxy/statement_traits.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace understudy::proxy {
namespace {

using K = EffectKind;

StatementEffect only(std::string_view sql) {
  const StatementTraits traits = classify_statement(sql);
  EXPECT_TRUE(traits.understood) << sql;
  EXPECT_EQ(traits.statements.size(), 1U) << sql;
  return traits.statements.empty() ? StatementEffect{} : traits.statements.front();
}

// What it does, without where it may be asked and whose code it runs: those have tests of their own.
StatementEffect deeds(StatementEffect effect) {
  effect.on_replica = effect.opaque = effect.tells_change = false;
  effect.releases = effect.unseen = 0;
  effect.sought.clear();
  return effect;
}

struct Expected {
  const char* sql;
  K kind;
  const char* name = "";
};

template <std::size_t N>
void expect_effects(const Expected (&table)[N]) {
  for (const Expected& row : table) {
    const StatementEffect effect = only(row.sql);
    EXPECT_EQ(static_cast<int>(effect.kind), static_cast<int>(row.kind)) << row.sql;
    EXPECT_EQ(effect.name, row.name) << row.sql;
  }
}

// --- Reads ---

TEST(StatementTraits, ReadsMayBeRunAgain) {
  for (const char* sql : {
           "SELECT 1",
           "select * from t where a = $1 and b in (1, 2) order by c limit 3;",
           "SELECT count(*), max(a), coalesce(b, 0), lower(c) FROM \"T\" GROUP BY b, c HAVING (count(*) > 1)",
           "SELECT x::varchar(10), y::numeric(10, 2) FROM t",
           "SELECT now(), current_timestamp, pg_catalog.version()",
           "SELECT extract(year FROM a), trim(both FROM b), substring(c FROM 1 FOR 2), x AT TIME ZONE 'UTC' "
           "FROM t",
           "WITH a AS (SELECT 1), b AS (TABLE t) SELECT * FROM a, b",
           "(SELECT 1) UNION ALL (SELECT 2)",
           "SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t",
           "SELECT * FROM generate_series(1, 3) AS g (x), LATERAL (SELECT x) y",
           "SELECT CASE WHEN EXISTS (SELECT 1 FROM t) THEN 'into' ELSE 'for update' END",
           "SELECT 'nextval(' || $$ ; DELETE FROM t $$ || E'it\\'s; nextval(1)' || \"a;b\" FROM t",
           "SELECT 1 /* ; delete /* nested */ from t */ -- ; delete from t",
           "-- first\n/* then */ SELECT 1",
           "SELECT 1, -1, 1.5e-3, .5, a[1], b.c.d, 'it''s' FROM b",
           "VALUES (1), (2)",
           "TABLE t",
           "SHOW search_path",
           "SHOW ALL",
           "EXPLAIN SELECT * FROM t",
           "EXPLAIN (VERBOSE, FORMAT json) SELECT * FROM t",
           "COPY t TO STDOUT",
           "COPY (SELECT a FROM t WHERE b = 1) TO STDOUT WITH (FORMAT csv)",
           "DECLARE c CURSOR FOR SELECT * FROM t",
           "FETCH 10 FROM c",
           "MOVE 1 IN c",
           "CLOSE c",
           "CLOSE ALL",
           "SELECT xmlelement(name a, b) FROM t GROUP BY ROLLUP (a)",
       }) {
    const StatementEffect effect = only(sql);
    EXPECT_EQ(deeds(effect), (StatementEffect{.read_safe = true})) << sql;
    EXPECT_FALSE(effect.opaque) << sql;
  }
}

TEST(StatementTraits, WhatCallsVolatileFunctionsIsNotRunAgainAndWritesNothing) {
  for (const char* sql : {
           "SELECT random()",
           "SELECT a FROM t WHERE b < clock_timestamp()",
           "SELECT currval('s')",
           "SELECT lastval()",
           "SELECT pg_sleep(1)",
           "SELECT pg_advisory_xact_lock(1)",
           "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
           "SELECT pg_advisory_unlock_all()",
           "SELECT pg_backend_pid()",
           "SELECT * FROM t TABLESAMPLE system (10)",
           "COPY (SELECT random()) TO STDOUT",
           "DECLARE c CURSOR FOR SELECT random()",
           "EXPLAIN SELECT nextval('s')",
           "EXPLAIN INSERT INTO t VALUES (1)",
       }) {
    EXPECT_EQ(deeds(only(sql)), StatementEffect{}) << sql;
  }
}

TEST(StatementTraits, WhatMayWriteIsNotTakenForARead) {
  for (const char* sql : {
           "INSERT INTO t (a, b) VALUES (1, 'x;y') RETURNING a",
           "INSERT INTO \"t\" (\"a\") VALUES (nextval('s'))",
           "UPDATE t SET a = $1 WHERE b = 2;",
           "DELETE FROM t USING u WHERE t.a = u.a",
           "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
           "WITH d AS (DELETE FROM t RETURNING a) SELECT a FROM d",
           "SELECT * FROM (WITH d AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a FROM d) x",
           "SELECT a FROM t FOR UPDATE",
           "SELECT a FROM t FOR KEY SHARE SKIP LOCKED",
           "SELECT a INTO u FROM t",
           "SELECT nextval('s')",
           "SELECT setval('s', 1)",
           "SELECT nextval /* ( */ ('s')",
           "SELECT \"nextval\"('s')",
           "SELECT pg_catalog.nextval('s')",
           "SELECT mine(1)",
           "SELECT count(mine(a)) FROM t",
           "SELECT other.count(a) FROM t",
           "SELECT a.b.now()",
           "SELECT join(1), over(2)",
           "SELECT ('s'::regclass).nextval",
           "SELECT * FROM mine(1) AS m",
           "SELECT lo_create(0), lo_get(1)",
           "SELECT txid_current()",
           "SELECT pg_notify('a', 'b')",
           "SELECT query_to_xml('delete from t', true, true, '')",
           "EXPLAIN ANALYZE DELETE FROM t",
           "EXPLAIN (ANALYZE) SELECT mine()",
           "COPY t FROM STDIN",
           "COPY t TO '/tmp/t'",
           "COPY t TO PROGRAM 'cat'",
           "COPY (DELETE FROM t RETURNING a) TO STDOUT",
           "CREATE TABLE t (a int)",
           "CREATE TABLE u AS SELECT * FROM t",
           "DROP TABLE t",
           "TRUNCATE t",
           "ALTER SYSTEM SET work_mem = '1MB'",
           "ALTER ROLE r SET work_mem = '1MB'",
           "VACUUM t",
           "CREATE DATABASE d",
           "REFRESH MATERIALIZED VIEW v",
           "LOCK TABLE t",
           "NOTIFY c, 'x'",
           "CALL p(1)",
           "DO $$ BEGIN PERFORM set_config('a.b', 'c', false); END $$",
           "EXECUTE p(1)",
           "COMMIT PREPARED 'x'",
           "ROLLBACK PREPARED 'x'",
           "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = public, pg_temp AS 'SELECT 1'",
       }) {
    EXPECT_EQ(deeds(only(sql)), (StatementEffect{.may_write = true})) << sql;
  }
}

// --- Transactions ---

TEST(StatementTraits, TransactionControlIsToldApart) {
  expect_effects({{"BEGIN", K::kBegin},
                  {"begin work;", K::kBegin},
                  {"/* hi */ START TRANSACTION", K::kBegin},
                  {"BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", K::kBegin},
                  {"COMMIT", K::kCommit},
                  {"END TRANSACTION", K::kCommit},
                  {"ROLLBACK", K::kRollback},
                  {"abort work", K::kRollback},
                  {"SAVEPOINT Sp1", K::kSavepoint, "sp1"},
                  {"SAVEPOINT \"Sp 1\"", K::kSavepoint, "Sp 1"},
                  {"RELEASE a", K::kRelease, "a"},
                  {"RELEASE SAVEPOINT a", K::kRelease, "a"},
                  {"RELEASE savepoint", K::kRelease, "savepoint"},
                  {"ROLLBACK TO A", K::kRollbackTo, "a"},
                  {"ROLLBACK WORK TO SAVEPOINT a", K::kRollbackTo, "a"},
                  {"PREPARE TRANSACTION 'x'", K::kPrepareTransaction}});
  EXPECT_TRUE(only("BEGIN").read_safe);
  EXPECT_TRUE(only("ROLLBACK TO a").read_safe);
  EXPECT_TRUE(only("PREPARE TRANSACTION 'x'").may_write);
}

TEST(StatementTraits, ChainIsSeen) {
  EXPECT_FALSE(only("COMMIT AND NO CHAIN").chain);
  EXPECT_TRUE(only("COMMIT AND CHAIN").chain);
  EXPECT_TRUE(only("ROLLBACK WORK AND CHAIN").chain);
  EXPECT_EQ(only("ROLLBACK AND CHAIN").kind, K::kRollback);
}

TEST(StatementTraits, ALongSavepointIsCutAsTheServerCutsIt) {
  EXPECT_EQ(only("SAVEPOINT " + std::string(70, 'A')).name, std::string(63, 'a'));
}

// --- Settings ---

TEST(StatementTraits, SettingsAreKnownByOneName) {
  expect_effects(
      {{"SET search_path TO a, b", K::kSet, "search_path"},
       {"set Work_Mem = '1MB'", K::kSet, "work_mem"},
       {"SET \"DateStyle\" = 'ISO'", K::kSet, "datestyle"},
       {"SET SESSION my.setting = 'x'", K::kSet, "my.setting"},
       {"SET TIME ZONE 'UTC'", K::kSet, "timezone"},
       {"SET NAMES 'utf8'", K::kSet, "client_encoding"},
       {"SET ROLE r", K::kSet, "role"},
       {"SET SCHEMA 'a'", K::kSet, "search_path"},
       {"SET SESSION AUTHORIZATION r", K::kSet, "session_authorization"},
       {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", K::kSet, "default_transaction_read_only"},
       {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE", K::kSet,
        "transaction_characteristics"},
       {"SET LOCAL work_mem = 1", K::kSetLocal, "work_mem"},
       {"SET LOCAL ROLE r", K::kSetLocal, "role"},
       {"SET LOCAL work_mem TO DEFAULT", K::kSetLocal, "work_mem"},
       {"SET TRANSACTION READ ONLY", K::kSetLocal},
       {"SET transaction_isolation = 'serializable'", K::kSetLocal, "transaction_isolation"},
       {"SET CONSTRAINTS ALL DEFERRED", K::kSetLocal},
       {"SET work_mem TO DEFAULT", K::kReset, "work_mem"},
       {"RESET \"TimeZone\"", K::kReset, "timezone"},
       {"RESET ROLE", K::kReset, "role"},
       {"SET TIME ZONE LOCAL", K::kReset, "timezone"},
       {"RESET SESSION AUTHORIZATION", K::kReset, "session_authorization"},
       {"RESET ALL", K::kResetAll}});
  EXPECT_TRUE(only("SET work_mem = 1").read_safe);
  EXPECT_FALSE(only("SET work_mem = 1").may_write);
}

TEST(StatementTraits, WhatCannotBeRepeatedElsewhereIsNotReadSafe) {
  EXPECT_FALSE(only("SET TRANSACTION SNAPSHOT '00000003-0000001B-1'").read_safe);
  EXPECT_FALSE(only("SET CONSTRAINTS ALL IMMEDIATE").read_safe);
  EXPECT_FALSE(only("PREPARE p AS SELECT 1").read_safe);
  EXPECT_FALSE(only("LISTEN c").read_safe);
}

TEST(StatementTraits, SetConfigIsASettingOnlyWhenItIsAll) {
  constexpr const char* kUnknown = "set_config() with values the proxy cannot know";
  expect_effects({{"SELECT set_config('TimeZone', 'UTC', false)", K::kSet, "timezone"},
                  {"SELECT pg_catalog.set_config('a.b', 'c', FALSE) AS x;", K::kSet, "a.b"},
                  {"SELECT set_config('a.b', 'c', true)", K::kSetLocal, "a.b"},
                  {"SELECT set_config('a.b', $1, true), set_config($2, 'x', true)", K::kSetLocal},
                  {"SELECT set_config('a.b', $1, false)", K::kPin, kUnknown},
                  {"SELECT set_config($1, 'c', false)", K::kPin, kUnknown},
                  {"SELECT set_config('a.b', 'c', $1)", K::kPin, kUnknown},
                  {"SELECT set_config('a.b', NULL, false)", K::kPin, kUnknown},
                  {"SELECT set_config('a.b', 'c', false), 1", K::kPin, kUnknown},
                  {"SELECT set_config('a.b', 'c', false) WHERE false", K::kPin, kUnknown},
                  {"SELECT set_config('a.b', 'c', true), set_config('a.b', 'd', false)", K::kPin, kUnknown},
                  {"SELECT * FROM (SELECT set_config('a.b', 'c', false)) x", K::kPin, kUnknown},
                  {"INSERT INTO t SELECT set_config('a.b', 'c', false)", K::kPin, kUnknown},
                  {"INSERT INTO t SELECT \"set_config\"('a.b', 'c', false)", K::kPin, kUnknown},
                  {"EXPLAIN ANALYZE SELECT set_config('a.b', 'c', false)", K::kPin, kUnknown},
                  {"PREPARE p AS SELECT set_config('a.b', 'c', false)", K::kPin, kUnknown},
                  {"EXPLAIN SELECT set_config('a.b', 'c', false)", K::kNone}});
  EXPECT_EQ(only("SELECT set_config('a.b', 'c', false) ; ").text, "SELECT set_config('a.b', 'c', false)");
  EXPECT_TRUE(only("UPDATE t SET a = set_config('a.b', 'c', true)").may_write);
}

// --- Session objects ---

TEST(StatementTraits, SessionObjectsAreNamed) {
  expect_effects({{"PREPARE P (int) AS SELECT $1", K::kPrepare, "p"},
                  {"PREPARE p AS INSERT INTO t VALUES (1)", K::kPrepare, "p"},
                  {"DEALLOCATE P", K::kDeallocate, "p"},
                  {"DEALLOCATE PREPARE \"P\"", K::kDeallocate, "P"},
                  {"DEALLOCATE ALL", K::kDeallocateAll},
                  {"LISTEN Ch", K::kListen, "ch"},
                  {"UNLISTEN ch", K::kUnlisten, "ch"},
                  {"UNLISTEN *", K::kUnlistenAll},
                  {"DISCARD ALL", K::kDiscardAll},
                  {"DISCARD TEMP", K::kDiscardTemp},
                  {"DISCARD TEMPORARY", K::kDiscardTemp},
                  {"DISCARD PLANS", K::kNone},
                  {"DISCARD SEQUENCES", K::kNone}});
  for (const char* sql :
       {"PREPARE p AS INSERT INTO t VALUES (1)", "LISTEN c", "DISCARD ALL", "DEALLOCATE ALL"})
    EXPECT_FALSE(only(sql).may_write) << sql;
}

TEST(StatementTraits, WhatCannotMoveIsPinnedWithAReason) {
  expect_effects(
      {{"CREATE TEMP TABLE x (a int)", K::kPin, "temporary table \"x\""},
       {"CREATE LOCAL TEMPORARY TABLE x (a int) ON COMMIT DELETE ROWS", K::kPin, "temporary table \"x\""},
       {"CREATE TEMP TABLE IF NOT EXISTS x AS SELECT 1", K::kPin, "temporary table \"x\""},
       {"SELECT 1 INTO TEMP x", K::kPin, "temporary table \"x\""},
       {"SELECT 1 INTO pg_temp.x", K::kPin, "temporary table \"x\""},
       {"CREATE TEMP VIEW x AS SELECT 1", K::kPin, "temporary table \"x\""},
       {"CREATE TEMP SEQUENCE x", K::kPin, "temporary table \"x\""},
       {"CREATE TABLE pg_temp.x (a int)", K::kPin, "object in pg_temp"},
       {"CREATE TABLE pg_temp_3.x AS SELECT 1", K::kPin, "object in pg_temp"},
       {"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", K::kPin, "object in pg_temp"},
       {"CREATE TYPE pg_temp.t AS ENUM ('a')", K::kPin, "object in pg_temp"},
       {"CREATE TYPE pg_temp.t AS (a int)", K::kPin, "object in pg_temp"},
       {"CREATE DOMAIN pg_temp.d AS int", K::kPin, "object in pg_temp"},
       {"SET search_path = pg_temp, public", K::kPin, "search_path that begins with pg_temp"},
       {"SET search_path = public, pg_temp", K::kSet, "search_path"},
       {"SELECT pg_advisory_lock(1)", K::kPin, "session-level advisory lock"},
       {"SELECT pg_try_advisory_lock(1, 2)", K::kPin, "session-level advisory lock"},
       {"SELECT a FROM t WHERE pg_catalog.pg_advisory_lock_shared(a) IS NULL", K::kPin,
        "session-level advisory lock"},
       {"UPDATE t SET a = 1 WHERE pg_try_advisory_lock_shared(b)", K::kPin, "session-level advisory lock"},
       {"WITH l AS (SELECT PG_ADVISORY_LOCK(1)) SELECT 1", K::kPin, "session-level advisory lock"},
       {"PREPARE p AS SELECT pg_advisory_lock($1)", K::kPin, "session-level advisory lock"},
       {"COPY (SELECT pg_advisory_lock(1)) TO STDOUT", K::kPin, "session-level advisory lock"},
       {"CALL p(pg_advisory_lock(1))", K::kPin, "session-level advisory lock"},
       {"EXPLAIN SELECT pg_advisory_lock(1)", K::kNone},
       {"SELECT setseed(0.5)", K::kPin, "setseed()"},
       {"UPDATE pg_settings SET setting = '1' WHERE name = 'x'", K::kPin, "UPDATE of pg_settings"},
       {"DECLARE C CURSOR WITH HOLD FOR SELECT 1", K::kPin, "cursor WITH HOLD \"c\""},
       {"DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", K::kNone},
       {"LOAD 'auto_explain'", K::kPin, "LOAD"}});
  EXPECT_FALSE(only("SELECT pg_advisory_lock(1)").read_safe);
}

// --- Texts ---

TEST(StatementTraits, AnEmptyTextHoldsNothing) {
  for (const char* sql : {"", " \n", ";", " ; ;; ", "-- nothing", "/* nothing */ ;"}) {
    const StatementTraits traits = classify_statement(sql);
    EXPECT_TRUE(traits.understood) << sql;
    EXPECT_TRUE(traits.statements.empty()) << sql;
  }
}

TEST(StatementTraits, EveryStatementOfATextCounts) {
  const auto kinds = [](std::string_view sql) {
    std::vector<K> found;
    for (const StatementEffect& effect : classify_statement(sql).statements) found.push_back(effect.kind);
    return found;
  };
  EXPECT_EQ(kinds("BEGIN; INSERT INTO t VALUES (1); SELECT 1;; COMMIT"),
            (std::vector{K::kBegin, K::kNone, K::kNone, K::kCommit}));
  EXPECT_EQ(kinds("SELECT 1; SET a.b = 'c'"), (std::vector{K::kNone, K::kSet}));
  EXPECT_EQ(kinds("SELECT ';'; LISTEN x; -- ; DISCARD ALL\nUNLISTEN *"),
            (std::vector{K::kNone, K::kListen, K::kUnlistenAll}));
  EXPECT_EQ(kinds("CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM u; DELETE FROM v)"),
            (std::vector{K::kNone}));
  EXPECT_EQ(kinds("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END"),
            (std::vector{K::kNone}));
}

TEST(StatementTraits, ATextIsKeptWithoutItsNeighbours) {
  const StatementTraits traits = classify_statement(
      "SELECT 'é'; ; /* one */ SET a.b = 'x;y' ; -- two\n PREPARE p AS SELECT $1 -- three");
  ASSERT_EQ(traits.statements.size(), 3U);
  EXPECT_EQ(traits.statements[0].text, "");
  EXPECT_EQ(traits.statements[1].text, "SET a.b = 'x;y'");
  EXPECT_EQ(traits.statements[2].text, "PREPARE p AS SELECT $1");
  EXPECT_EQ(only("SET x = U&'d\\0061t' ").kind, K::kSet);  // for the server's own lexer
}

TEST(StatementTraits, AQuoteThatHidesAStatementHidesNothing) {
  struct Row {
    const char* sql;
    std::size_t statements;
  };
  for (const Row& row :
       {Row{"SELECT E'a\\'; SET a.b = 1; --'", 1}, Row{"SELECT 'a\\'; SET a.b = 1; --'", 2},
        Row{"SELECT $a$ $b$; SET a.b = 1 $a$", 1}, Row{"SELECT $$a$$; SET a.b = 1", 2},
        Row{"SELECT a$$b FROM t; SET a.b = 1", 2}, Row{"SELECT E'a'\n'\\'; SET a.b = 1; --'", 1},
        Row{"SELECT 1 + /* /* */ ; */ 2; SET a.b = 1", 2}, Row{"SELECT 1+--;\n2; SET a.b = 1", 2},
        Row{"SELECT U&'\\0027'; SET a.b = 1", 2}, Row{"SELECT \"a\"\";\"; SET a.b = 1", 2},
        Row{"SELECT N'a''; ', B'1', x'F'; SET a.b = 1", 2}}) {
    const StatementTraits traits = classify_statement(row.sql);
    EXPECT_TRUE(traits.understood) << row.sql;
    ASSERT_EQ(traits.statements.size(), row.statements) << row.sql;
    EXPECT_EQ(traits.statements.back().kind, row.statements == 2 ? K::kSet : K::kNone) << row.sql;
  }
}

void expect_careful(std::string_view sql) {
  const StatementTraits traits = classify_statement(sql);
  EXPECT_FALSE(traits.understood) << sql.substr(0, 60);
  ASSERT_EQ(traits.statements.size(), 1U) << sql.substr(0, 60);
  EXPECT_TRUE(traits.statements[0].opaque) << sql.substr(0, 60);
  EXPECT_EQ(deeds(traits.statements[0]), (StatementEffect{.may_write = true})) << sql.substr(0, 60);
}

TEST(StatementTraits, WhatIsNotUnderstoodIsTakenForTheWorst) {
  for (const char* sql : {"SELEKT 1", "SELECT 'open", "SELECT 1 /* open", "SELECT $$ open", "SELECT \"open",
                          "(", "SELECT 1; )", "SELECT f(1", "SET", "SAVEPOINT", "BEGIN x", "ROLLBACK TO",
                          "ABORT TO a", "SELECT\vnextval\v('s')", "SELECT 1into t", "START WORK"})
    expect_careful(sql);
  expect_careful(std::string_view("SELECT 1\0; DELETE FROM t", 24));
  expect_careful("SELECT '" + std::string(1U << 20, 'x') + "'");
}

TEST(StatementTraits, DeepNestingDoesNotOverflowTheStack) {
  const auto repeat = [](std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
  };
  for (const std::size_t times : {100U, 900U, 1600U, 2400U, 20'000U, 100'000U}) {
    for (const std::string& sql :
         {"SELECT f(1)" + repeat("+1", times),
          "SELECT f(1), " + repeat("(", times) + "1" + repeat(")", times),
          "SELECT f(1) WHERE " + repeat("NOT ", times) + "true", "SELECT f(1)" + repeat("::int", times),
          "SELECT f(1)" + repeat(" UNION SELECT 1", times),
          "SELECT f(1) FROM a" + repeat(" CROSS JOIN a", times),
          "SELECT f(1), " + repeat("(SELECT ", times) + "1" + repeat(")", times),
          "SELECT U&'a', f(1)" + repeat("+1", times),
          "SELECT " + repeat("f(1,", times) + "1" + repeat(")", times),
          "SELECT f(1), " + repeat("ARRAY[", times) + "1" + repeat("]", times),
          repeat("/*", times) + repeat("*/", times) + "SELECT f(1)"}) {
      const StatementTraits traits = classify_statement(sql);
      ASSERT_EQ(traits.statements.size(), 1U);
      EXPECT_FALSE(traits.statements[0].read_safe) << sql.substr(0, 60);
    }
  }
  EXPECT_TRUE(classify_statement("SELECT f(1)" + repeat(" + 1", 300)).understood);
}

TEST(StatementTraits, LongListsAreNotDeep) {
  std::string sql = "SELECT f(1) FROM t WHERE a IN (0";
  for (int i = 1; i < 20'000; ++i) sql += ", " + std::to_string(i);
  EXPECT_EQ(only(sql + ")"), (StatementEffect{.may_write = true, .opaque = true}));
}

// Reads what is cut anywhere without running past its end (for AddressSanitizer).
TEST(StatementTraits, EveryTruncationGetsAnAnswer) {
  const std::string whole =
      "/* a /* b */ */ SELECT E'a\\'b', $t$x$t$, \"q\"\"\", 1.5e+3, $1, U&'x', count(*) -- c\n FROM t; SET "
      "a.b = 'c'; "
      "SAVEPOINT s";
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    const std::vector<char> exact(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    const StatementTraits traits = classify_statement({exact.data(), exact.size()});
    EXPECT_TRUE(traits.understood || traits.statements.size() == 1) << length;
  }
}

// What cannot stand in a transaction block must not be put into one.
TEST(StatementTraits, WritesThatMayBePutIntoATransaction) {
  for (const char* sql :
       {"INSERT INTO t VALUES (1)", " update t SET a = 1", "WITH a AS (SELECT 1) DELETE FROM t",
        "SELECT f(1)", "CREATE TABLE t (a int)", "CREATE INDEX i ON t (a)", "ALTER TABLE t ADD b int",
        "TRUNCATE t", "GRANT SELECT ON t TO u", "COMMENT ON TABLE t IS 'x'", "CREATE VIEW v AS SELECT 1",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY v", "INSERT INTO t VALUES (1); SELECT 2; DELETE FROM t",
        "CREATE TABLE t (a int); CREATE INDEX ON t (a);"}) {
    EXPECT_TRUE(classify_statement(sql).wrappable) << sql;
  }
  for (const char* sql : {"SELECT 1",
                          "SELECT 1; SELECT 2",
                          "VACUUM t",
                          "CREATE DATABASE d",
                          "DROP DATABASE d",
                          "CREATE INDEX CONCURRENTLY i ON t (a)",
                          "ALTER TABLE p DETACH PARTITION t CONCURRENTLY",
                          "ALTER SYSTEM SET work_mem = 1",
                          "CREATE TABLESPACE s LOCATION '/x'",
                          "REINDEX TABLE t",
                          "CLUSTER",
                          "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p",
                          "CALL p()",
                          "DO $$ BEGIN END $$",
                          "COMMIT",
                          "COPY t FROM STDIN",
                          "LOCK TABLE t",
                          "CREATE TEMP TABLE t (a int)",
                          "DROP TABLE t",
                          "PREPARE TRANSACTION 'x'",
                          "INSERT INTO t VALUES (1); COMMIT",
                          "INSERT INTO t VALUES (1); VACUUM t",
                          "INSERT INTO t VALUES (1); SET a.b = 1",
                          "BEGIN; INSERT INTO t VALUES (1)",
                          "INSERT INTO t VALUES (1); CALL p()",
                          "no sql"}) {
    EXPECT_FALSE(classify_statement(sql).wrappable) << sql;
  }
}

TEST(StatementTraits, NumbersDoNotMatterWhereNothingOfTheTextIsKept) {
  for (const char* sql : {"SELECT a FROM t WHERE b = 5", "UPDATE t SET a = a + 1.5 WHERE b IN (1, 2)",
                          "INSERT INTO t VALUES (1, '2')", "WITH a AS (SELECT 1) SELECT * FROM a",
                          "SELECT 1; SELECT 2", "SELECT * FROM t1 WHERE c = $1"}) {
    EXPECT_TRUE(classify_statement(sql).any_numbers) << sql;
  }
  for (const char* sql : {"SET work_mem = 5", "SELECT set_config('a.b', '1', false)", "SAVEPOINT s1",
                          "SELECT pg_advisory_lock(1)", "SELECT pg_advisory_unlock(1)",
                          "PREPARE p AS SELECT 1", "DO $$ BEGIN PERFORM 1; END $$", "CALL f(1)",
                          "SELECT 1::float(20) FROM a, lateral (b) c", "LISTEN a1", "SELECT 0x1F"}) {
    EXPECT_FALSE(classify_statement(sql).any_numbers) << sql;
  }
}

}  // namespace
}  // namespace understudy::proxy
