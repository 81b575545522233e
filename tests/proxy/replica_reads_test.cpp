// Texts that a replica may or may not answer, and texts that may change a session unseen.
#include "proxy/replica_reads.h"

#include <gtest/gtest.h>

#include "proxy/statement_traits.h"

namespace understudy::proxy {
namespace {

StatementEffect only(std::string_view sql) {
  const StatementTraits traits = classify_statement(sql);
  EXPECT_TRUE(traits.understood) << sql;
  EXPECT_EQ(traits.statements.size(), 1U) << sql;
  return traits.statements.empty() ? StatementEffect{} : traits.statements.front();
}

TEST(ReplicaReads, ReadsOfTablesMayGoToAReplica) {
  for (const char* sql :
       {"SELECT 1", "select * from t where a = $1", "VALUES (1)", "TABLE t", "(SELECT 1) UNION (SELECT 2)",
        "WITH a AS (SELECT 1) SELECT * FROM a", "COPY (SELECT 1) TO STDOUT", "COPY t TO STDOUT",
        "SELECT relname FROM pg_catalog.pg_class", "SELECT last_value(a) OVER (ORDER BY a) FROM t",
        "SELECT version FROM t", "SELECT 'pg_stat_activity', $$ nextval('s') $$",
        "SELECT now(), current_user", "SELECT pg_size_pretty(a), pg_typeof(b) FROM t"}) {
    EXPECT_TRUE(only(sql).on_replica) << sql;
  }
}

TEST(ReplicaReads, WhatTellsOfTheServerOrTheSessionDoesNot) {
  for (const char* sql : {"SHOW work_mem",
                          "SHOW ALL",
                          "EXPLAIN SELECT 1",
                          "SELECT current_setting('port')",
                          "SELECT version()",
                          "SELECT pg_catalog.version()",
                          "SELECT * FROM pg_stat_activity",
                          "SELECT * FROM pg_catalog.pg_settings",
                          "SELECT * FROM \"pg_settings\"",
                          "SELECT * FROM pg_sequences",
                          "SELECT last_value FROM s",
                          "SELECT s.\"last_value\" FROM s",
                          "SELECT is_called FROM s",
                          "SELECT log_cnt FROM s",
                          "SELECT pg_is_in_recovery()",
                          "SELECT random()",
                          "SELECT f()",
                          "SELECT 1 FROM t FOR UPDATE",
                          "SELECT 1 INTO t",
                          "FETCH c",
                          "CLOSE c",
                          "DECLARE c CURSOR FOR SELECT 1",
                          "BEGIN",
                          "COMMIT",
                          "SET a.b = 1",
                          "SELECT set_config('a.b', 'c', true)",
                          "DISCARD PLANS",
                          "WITH a AS (DELETE FROM t RETURNING 1) TABLE a",
                          "SELECT * FROM pg_temp.t",
                          "SELECT pg_stat_get_numscans(1)",
                          "SELECT * FROM t TABLESAMPLE system (1)",
                          "SELECT pg_notify('a', 'b')",
                          "COPY t TO '/tmp/x'",
                          "COPY t FROM STDIN",
                          "SELECT (a).nextval FROM t",
                          "SELECT age(relfrozenxid) FROM pg_class"}) {
    EXPECT_FALSE(only(sql).on_replica) << sql;
  }
  for (const StatementEffect& effect : classify_statement("SELECT 1; SELECT 2").statements) {
    EXPECT_FALSE(effect.on_replica);
  }
}

TEST(ReplicaReads, FunctionsThatAreNotPostgresOwnMayChangeTheSessionUnseen) {
  for (const char* sql :
       {"SELECT f()", "SELECT mine.now()", "CALL p()", "DO 'BEGIN END'", "SELECT * FROM f(1) AS x",
        "INSERT INTO t VALUES (f(1))", "INSERT INTO t (a, b) SELECT f(1), 2", "UPDATE t SET a = f(1)",
        "DELETE FROM t WHERE a = f(1)", "PREPARE a AS SELECT f()", "COPY (SELECT f()) TO STDOUT",
        "EXPLAIN ANALYZE SELECT f()", "MERGE INTO t USING s ON t.a = f(s.a) WHEN MATCHED THEN DO NOTHING"}) {
    EXPECT_TRUE(only(sql).opaque) << sql;
  }
  for (const char* sql :
       {"INSERT INTO t VALUES (1, 'f(1)')", "INSERT INTO t (a, b) VALUES (1, 2)",
        "INSERT INTO s.t (a) VALUES (nextval('q')) ON CONFLICT (a) DO UPDATE SET b = now() RETURNING (a)",
        "UPDATE t SET a = a + 1 WHERE b IN (1, 2)", "SELECT nextval('q')", "SELECT pg_notify('a', 'b')",
        "CREATE TABLE t (a int)", "EXECUTE a", "COPY t FROM STDIN", "LISTEN a", "SELECT random()"}) {
    EXPECT_FALSE(only(sql).opaque) << sql;
  }
}

}  // namespace
}  // namespace understudy::proxy
