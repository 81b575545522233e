// What is masked in a text of SQL, and what its results are of. Tokens are letters and digits for letters and
// digits, so a test tells what changed by what stayed.
#include <gtest/gtest.h>

#include "replayer/mask/value_masker.h"

namespace understudy::replayer {
namespace {

const masking::Rules& rules() {
  static const masking::Rules rules("column email\ncolumn users.ssn as person\ncolumn code\npattern secret",
                                    "rules");
  return rules;
}

// The text with every string and number that was changed written as ?.
std::string masked(const std::string& sql, const masking::Rules& by = rules()) {
  ValueMasker masker(by, "0123456789abcdef");
  std::string text = sql;
  const auto values = masker.read(sql);
  masker.mask_statement(std::span<Byte>(reinterpret_cast<Byte*>(text.data()), text.size()), *values, {});
  EXPECT_EQ(text.size(), sql.size());
  std::string out;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    if (text[i] == sql[i]) {
      out += sql[i];
    } else if (out.empty() || out.back() != '?') {
      out += '?';
    }
  }
  return out;
}

TEST(MaskStatement, ConstantsOfMaskedColumnsOnly) {
  EXPECT_EQ(masked("SELECT id FROM users WHERE email = 'qqqq' AND name = 'qqqq' LIMIT 7"),
            "SELECT id FROM users WHERE email = '?' AND name = 'qqqq' LIMIT 7");
  EXPECT_EQ(masked("SELECT id FROM users u WHERE u.ssn IN ('qqq', 'qqq') OR id = 77"),
            "SELECT id FROM users u WHERE u.ssn IN ('?', '?') OR id = 77");
  EXPECT_EQ(masked("SELECT id FROM orders o WHERE o.ssn = 'qqq'"),
            "SELECT id FROM orders o WHERE o.ssn = 'qqq'");
  EXPECT_EQ(masked("SELECT id FROM t WHERE code BETWEEN 55555 AND -55555"),
            "SELECT id FROM t WHERE code BETWEEN ? AND -?");
  EXPECT_EQ(masked("SELECT id FROM t WHERE lower(email) = lower('QQQQ')"),
            "SELECT id FROM t WHERE lower(email) = lower('?')");
}

// Each level is read once, not again from those above.
TEST(MaskStatement, ConstantsInExpressionsNestedHundredsDeep) {
  const std::string deep = "SELECT " + std::string(400, '+') + "id FROM users WHERE email = ";
  EXPECT_EQ(masked(deep + "'qqqq'"), deep + "'?'");
}

TEST(MaskStatement, ValuesByTheColumnsTheyGoTo) {
  EXPECT_EQ(masked("INSERT INTO users (id, email, n) VALUES (77, 'qqqq', 'qqqq'), (77, 'qqqq', DEFAULT)"),
            "INSERT INTO users (id, email, n) VALUES (77, '?', 'qqqq'), (77, '?', DEFAULT)");
  EXPECT_EQ(masked("INSERT INTO users VALUES ('qqqq')"), "INSERT INTO users VALUES ('?')");
  EXPECT_EQ(masked("UPDATE users SET email = 'qqqq', n = 'qqqq' WHERE id = 77"),
            "UPDATE users SET email = '?', n = 'qqqq' WHERE id = 77");
  EXPECT_EQ(masked("INSERT INTO t (id) VALUES (77) ON CONFLICT (id) DO UPDATE SET email = 'qqqq'"),
            "INSERT INTO t (id) VALUES (77) ON CONFLICT (id) DO UPDATE SET email = '?'");
}

TEST(MaskStatement, ColumnsBesideAConstantDoNotTakeItFromTheMaskedOne) {
  EXPECT_EQ(masked("UPDATE users SET email = CASE WHEN id = 1 THEN 'qqqq' ELSE nick END"),
            "UPDATE users SET email = CASE WHEN id = 1 THEN '?' ELSE nick END");
  EXPECT_EQ(masked("UPDATE users SET email = coalesce(nick, 'qqqq')"),
            "UPDATE users SET email = coalesce(nick, '?')");
  EXPECT_EQ(masked("SELECT 1 FROM users WHERE email = coalesce(nick, 'qqqq')"),
            "SELECT 1 FROM users WHERE email = coalesce(nick, '?')");
  EXPECT_EQ(masked("SELECT 1 FROM users WHERE nick = coalesce(name, 'qqqq')"),
            "SELECT 1 FROM users WHERE nick = coalesce(name, 'qqqq')");
}

TEST(MaskStatement, WhatASubqueryAnswersWithGoesWhereItStands) {
  EXPECT_EQ(masked("UPDATE t SET code = (SELECT 55555 FROM u WHERE id = 77 LIMIT 7)"),
            "UPDATE t SET code = (SELECT ? FROM u WHERE id = 77 LIMIT 7)");
  EXPECT_EQ(masked("SELECT 1 FROM t WHERE code IN (SELECT 55555)"),
            "SELECT 1 FROM t WHERE code IN (SELECT ?)");
  EXPECT_EQ(masked("SELECT 1 FROM t WHERE id IN (SELECT 77 WHERE n = 77) AND EXISTS (SELECT 77)"),
            "SELECT 1 FROM t WHERE id IN (SELECT 77 WHERE n = 77) AND EXISTS (SELECT 77)");
}

TEST(MaskStatement, ListsOfValuesByTheirNames) {
  EXPECT_EQ(
      masked("UPDATE t SET code = v.b FROM (VALUES (77, 55555, 'qqqq')) AS v (id, b, c) WHERE t.id = v.id"),
      "UPDATE t SET code = v.b FROM (VALUES (77, ?, 'qqqq')) AS v (id, b, c) WHERE t.id = v.id");
  EXPECT_EQ(masked("WITH v (id, code) AS (VALUES (77, 55555)) SELECT v.id FROM v"),
            "WITH v (id, code) AS (VALUES (77, ?)) SELECT v.id FROM v");
  EXPECT_EQ(masked("INSERT INTO t (id, code) SELECT * FROM (VALUES (7777, 55555)) AS v"),
            "INSERT INTO t (id, code) SELECT * FROM (VALUES (?, ?)) AS v");
}

TEST(MaskStatement, LiteralsHoweverTheyAreWritten) {
  EXPECT_EQ(masked("SELECT 1 FROM t WHERE email = $a$qqqq$a$"), "SELECT 1 FROM t WHERE email = $a$?$a$");
  EXPECT_EQ(masked("SELECT 1 FROM t WHERE email = E'q''q\\\\q'"),
            "SELECT 1 FROM t WHERE email = E'?''?\\\\?'");
  EXPECT_EQ(masked("SELECT 1 FROM t WHERE email = 'secret'::text"),
            "SELECT 1 FROM t WHERE email = '?'::text");
  EXPECT_EQ(masked("SELECT 'a secret' /* kept */"), "SELECT '? ?' /* kept */");
  EXPECT_EQ(masked("SELECT 1 /* secret */"), "SELECT 1 ? ? ?");
}

TEST(MaskStatement, WhatIsNotUnderstoodIsOverwritten) {
  for (const char* const sql :
       {"SELEKT 'qqqq'", "DO $$ BEGIN PERFORM 'qqqq'; END $$", "SELECT U&'qqqq' FROM t"}) {
    const std::string text = masked(sql);
    EXPECT_EQ(text.find("qqqq"), std::string::npos) << text;
  }
}

// Which of a statement's results are masked: * for those.
std::string results(const std::string& sql) {
  const StatementValues values = read_statement_values(sql, rules());
  EXPECT_TRUE(values.understood) << sql;
  const ResultShape& shape = values.results.front();
  std::string out = shape.by_position ? "" : "by name";
  for (const masking::Rule* const rule : shape.columns) out += rule == nullptr ? "-" : "*";
  for (const auto& [label, rule] : shape.labels) out += " " + label;
  return out;
}

TEST(MaskStatement, ResultsAreFollowedThroughNamesAndExpressions) {
  EXPECT_EQ(results("SELECT id, email, upper(email), email || 'x' AS y FROM t"), "-*** email upper y");
  EXPECT_EQ(results("SELECT count(email), count(*), EXISTS (SELECT 1 FROM t WHERE email = 'x') FROM t"),
            "---");
  EXPECT_EQ(results("SELECT e FROM (SELECT email AS e FROM t) x"), "* e");
  EXPECT_EQ(results("WITH w (a) AS (SELECT email FROM t) SELECT a FROM w"), "* a email");
  EXPECT_EQ(results("SELECT t FROM t"), "* t");
  EXPECT_EQ(results("SELECT * FROM t"), "by name");
  EXPECT_EQ(results("SELECT (u).* FROM users u").substr(0, 7), "by name");
  EXPECT_EQ(results("SELECT id FROM t UNION SELECT email FROM t"), "* email");
  EXPECT_EQ(results("INSERT INTO t (email) VALUES ('x') RETURNING id, email AS e"), "-* e");
  EXPECT_EQ(results("SELECT (SELECT email FROM t LIMIT 1) FROM u"), "* email");
  EXPECT_EQ(results("SELECT ssn FROM orders"), "-");
}

TEST(MaskStatement, FunctionsInFromOverAMaskedColumn) {
  EXPECT_EQ(results("SELECT p FROM users u, unnest(u.email) AS p").substr(0, 1), "*");
  EXPECT_EQ(
      results("SELECT id, x.b FROM users u CROSS JOIN LATERAL unnest(u.email) WITH ORDINALITY AS x (a, b)")
          .substr(0, 2),
      "-*");
  EXPECT_EQ(results("SELECT id, value FROM users u, jsonb_each_text(u.email)").substr(0, 2), "-*");
  EXPECT_EQ(results("SELECT string_to_table FROM users u, string_to_table(u.email, ',')").substr(0, 1), "*");
  EXPECT_EQ(results("SELECT f.whatever FROM users u, own(u.email) f").substr(0, 1), "*");
  EXPECT_EQ(results("SELECT whatever, u.id FROM users u, own(u.email)").substr(0, 2), "*-");
  EXPECT_EQ(
      results("SELECT p FROM (SELECT email AS e FROM t) s, unnest(string_to_array(s.e, ',')) p").substr(0, 1),
      "*");
  EXPECT_EQ(results("SELECT id, p FROM users u, unnest(u.nicks) AS p"), "--");
  const StatementValues all = read_statement_values("SELECT * FROM users u, own(u.email)", rules());
  EXPECT_NE(all.results.front().any, nullptr);
}

TEST(MaskStatement, ColumnsThatATableOrAQuerysSecondNameRenames) {
  EXPECT_EQ(results("SELECT b FROM users AS u (a, b)").substr(0, 1), "*");
  EXPECT_EQ(results("WITH w AS (SELECT email AS e FROM t) SELECT x.e AS f FROM w AS x").substr(0, 1), "*");
}

TEST(MaskStatement, WholeRowsOfJoinsAndOfWhatWasChanged) {
  EXPECT_EQ(results("SELECT j FROM (users JOIN orders USING (id)) AS j").substr(0, 1), "*");
  EXPECT_EQ(results("SELECT row_to_json(j) FROM (users JOIN orders USING (id)) AS j").substr(0, 1), "*");
  EXPECT_EQ(results("SELECT b FROM (users JOIN orders USING (id)) AS j (a, b)").substr(0, 1), "*");
  EXPECT_EQ(results("SELECT k FROM users JOIN orders USING (email) AS k").substr(0, 1), "*");
  EXPECT_EQ(results("UPDATE users SET n = 1 RETURNING old, to_jsonb(new)").substr(0, 2), "**");
  const masking::Rules one("column users.ssn", "rules");
  const StatementValues values =
      read_statement_values("SELECT o, u, u.id FROM orders o JOIN users u USING (id)", one);
  ASSERT_EQ(values.results.front().columns.size(), 3U);
  EXPECT_EQ(values.results.front().columns[0], nullptr);
  EXPECT_NE(values.results.front().columns[1], nullptr);
  EXPECT_EQ(values.results.front().columns[2], nullptr);
}

TEST(MaskStatement, AnswersByPlaceThroughValuesAndUnions) {
  for (const char* const sql :
       {"SELECT x.a FROM users u, LATERAL (VALUES (u.id), (u.email)) AS x (a)",
        "SELECT column1 FROM users u, LATERAL (VALUES (u.email)) AS x",
        "SELECT n FROM (SELECT id AS n FROM t UNION SELECT email FROM t) AS s",
        "SELECT s.n FROM (SELECT * FROM v UNION SELECT email FROM t) AS s",
        "SELECT s.n FROM (VALUES (1)) AS w (k), LATERAL (VALUES (w.k, t.email)) AS s (k, n), t",
        "WITH w AS (SELECT 1 AS n UNION ALL SELECT email FROM t) SELECT n FROM w",
        "SELECT (VALUES (u.email)) FROM users u",
        "SELECT (SELECT u.id UNION SELECT u.email) AS n FROM users u", "VALUES ((SELECT email FROM t))"})
    EXPECT_EQ(results(sql).substr(0, 1), "*") << sql;
  EXPECT_EQ(
      results("SELECT x.a, x.b FROM users u, LATERAL (VALUES (u.id, u.email)) AS x (a, b)").substr(0, 2),
      "-*");
  EXPECT_EQ(results("SELECT a FROM (SELECT id AS a, email AS b FROM t UNION SELECT id, email FROM t) s")
                .substr(0, 1),
            "-");
  EXPECT_EQ(results("VALUES (1, 'x')"), "--");
}

TEST(MaskStatement, ValuesThatReachAMaskedColumnByAnotherName) {
  const std::pair<const char*, const char*> kTexts[] = {
      {"WITH v AS (SELECT 55555 AS x, 77 AS y) INSERT INTO t (code, id) SELECT x, y FROM v",
       "WITH v AS (SELECT ? AS x, 77 AS y) INSERT INTO t (code, id) SELECT x, y FROM v"},
      {"WITH a AS (SELECT 55555 AS x), b AS (SELECT x AS y FROM a) INSERT INTO t (code) SELECT y FROM b",
       "WITH a AS (SELECT ? AS x), b AS (SELECT x AS y FROM a) INSERT INTO t (code) SELECT y FROM b"},
      {"WITH v (i, x) AS (SELECT 77, 55555) UPDATE t SET code = v.x FROM v WHERE t.id = v.i",
       "WITH v (i, x) AS (SELECT 77, ?) UPDATE t SET code = v.x FROM v WHERE t.id = v.i"},
      {"UPDATE t SET code = s.x FROM (SELECT coalesce(n, 55555) AS x, 77 AS k FROM o WHERE m = 77) AS s",
       "UPDATE t SET code = s.x FROM (SELECT coalesce(n, ?) AS x, 77 AS k FROM o WHERE m = 77) AS s"},
      {"SELECT 1 FROM t WHERE code IN (SELECT x FROM (SELECT 55555 AS x UNION SELECT 55555) AS s)",
       "SELECT 1 FROM t WHERE code IN (SELECT x FROM (SELECT ? AS x UNION SELECT ?) AS s)"},
      {"SELECT 1 FROM t WHERE code = (SELECT x FROM (SELECT 55555 AS x, 77 AS k) AS s WHERE k = 77)",
       "SELECT 1 FROM t WHERE code = (SELECT x FROM (SELECT ? AS x, 77 AS k) AS s WHERE k = 77)"},
      {"INSERT INTO t (id, code) SELECT 77, x FROM unnest(ARRAY[55555, 55555]) AS x",
       "INSERT INTO t (id, code) SELECT 77, x FROM unnest(ARRAY[?, ?]) AS x"},
      {"INSERT INTO t (code) SELECT y FROM (VALUES (55555, 77)) AS v (y, z)",
       "INSERT INTO t (code) SELECT y FROM (VALUES (?, 77)) AS v (y, z)"},
      {"MERGE INTO t USING (SELECT 55555 AS x, 77 AS k) AS s ON t.id = s.k WHEN NOT MATCHED THEN INSERT "
       "(code) "
       "VALUES (s.x)",
       "MERGE INTO t USING (SELECT ? AS x, 77 AS k) AS s ON t.id = s.k WHEN NOT MATCHED THEN INSERT (code) "
       "VALUES (s.x)"},
      {"UPDATE o SET n = 77 RETURNING 55555 AS code, 77", "UPDATE o SET n = 77 RETURNING ? AS code, 77"},
      {"SELECT (SELECT 55555 AS code)", "SELECT (SELECT ? AS code)"},
      {"SELECT 55555 AS code, 77 AS id FROM o", "SELECT ? AS code, 77 AS id FROM o"},
      {"WITH v AS (SELECT 77 AS x) INSERT INTO t (id) SELECT x FROM v",
       "WITH v AS (SELECT 77 AS x) INSERT INTO t (id) SELECT x FROM v"},
      {"SELECT s.n FROM (SELECT 77 AS n) AS s JOIN t ON t.id = s.n WHERE t.code = 55555",
       "SELECT s.n FROM (SELECT 77 AS n) AS s JOIN t ON t.id = s.n WHERE t.code = ?"}};
  for (const auto& [sql, expected] : kTexts) EXPECT_EQ(masked(sql), expected);
}

TEST(MaskStatement, AnswersOfWhatReachesAMaskedColumn) {
  EXPECT_EQ(
      results("SELECT s.n, s.k FROM (SELECT m AS n, k FROM o) AS s JOIN t ON t.code = s.n").substr(0, 2),
      "*-");
  // A text of no column is masked as one of the column at hand, and so is what is answered of it.
  EXPECT_EQ(results("SELECT 'qqqq' AS p, 77, n || 'x', date_trunc('day', made) FROM t WHERE email = 'qqqq'")
                .substr(0, 4),
            "*---");
  EXPECT_EQ(results("SELECT $1, $2::int, upper($3::text) FROM t WHERE email = $4").substr(0, 3), "*-*");
  EXPECT_EQ(results("SELECT p FROM (SELECT 'qqqq' AS p) s, t WHERE email = 'qqqq'").substr(0, 1), "*");
  EXPECT_EQ(results("SELECT nextval('t_id_seq'), 'qqqq' FROM t WHERE id = 7"), "--");
}

TEST(MaskStatement, WhatReadsTablesByOtherWays) {
  EXPECT_EQ(results("SELECT query_to_xml('SELECT email FROM t', true, true, '') AS q, 7").substr(0, 2), "*-");
  for (const char* const call :
       {"crosstab('SELECT n, email FROM t')", "crosstab2('SELECT n, email FROM t')",
        "crosstab3('SELECT n, email FROM t')", "crosstab4('SELECT n, email FROM t')",
        "crosstab_float8_5_cols('SELECT n, email FROM t')", "connectby('t', 'email', 'parent', 'start', 0)",
        "xpath_table('id', 'email', 't', '/a', 'true')"}) {
    EXPECT_EQ(results("SELECT f.b AS v, category_1 FROM " + std::string(call) + " AS f").substr(0, 1), "*")
        << call;
    EXPECT_EQ(results("SELECT v FROM " + std::string(call) + " AS f (k text, v text)").substr(0, 1), "*")
        << call;
  }
  EXPECT_EQ(results("SELECT dblink_build_sql_insert('t', '1', 1, '{7}', '{7}'), 7").substr(0, 2), "*-");
  EXPECT_EQ(results("SELECT f.w FROM ts_stat('SELECT v FROM t') AS f (w, n)").substr(0, 1), "*");
  EXPECT_EQ(results("SELECT tablename, s.most_common_vals::text AS v FROM pg_stats s").substr(0, 2), "-*");
  EXPECT_EQ(results("INSERT INTO copies (mail, n) SELECT email, id FROM t RETURNING mail, n").substr(0, 2),
            "*-");
  EXPECT_EQ(results("INSERT INTO c (a) VALUES ((SELECT email FROM t)) RETURNING a, n").substr(0, 2), "*-");
  EXPECT_EQ(results("INSERT INTO c (a, n) VALUES ('x', 7) RETURNING a, n"), "--");
  EXPECT_EQ(results("SELECT s FROM pg_stats AS s").substr(0, 1), "*");
  const std::string elements = "SELECT * FROM json_array_elements_text('[]') AS z JOIN t ON email = z";
  EXPECT_NE(results(elements).find(" value"), std::string::npos);
  const StatementValues all =
      read_statement_values("INSERT INTO copies SELECT email FROM t RETURNING *", rules());
  EXPECT_NE(all.results.front().any, nullptr);
}

TEST(MaskStatement, WhatChangesPagesAndOtherSessionsStatementsSay) {
  for (const char* const function :
       {"pg_logical_slot_get_changes", "pg_logical_slot_peek_changes", "pg_logical_slot_get_binary_changes",
        "pg_logical_slot_peek_binary_changes"}) {
    const std::string call = std::string(function) + "('slot', NULL, NULL)";
    EXPECT_EQ(results("SELECT data, 7 FROM " + call).substr(0, 2), "*-") << call;
    EXPECT_EQ(results("SELECT c.data FROM " + call + " AS c").substr(0, 1), "*") << call;
    EXPECT_EQ(results("SELECT x FROM " + call + " AS c (l, i, x)").substr(0, 1), "*") << call;
    EXPECT_EQ(results("SELECT encode(c.data, 'escape') AS d FROM " + call + " AS c").substr(0, 1), "*")
        << call;
    EXPECT_EQ(results("SELECT " + call + ", (" + call + ").data").substr(0, 2), "**") << call;
    EXPECT_NE(read_statement_values("SELECT * FROM " + call, rules()).results.front().any, nullptr) << call;
  }
  EXPECT_EQ(results("SELECT t_attrs FROM heap_page_item_attrs(get_raw_page('t', 0), 't')").substr(0, 1), "*");
  EXPECT_EQ(results("SELECT pid, state, query FROM pg_stat_activity").substr(0, 3), "--*");
  EXPECT_EQ(
      results("SELECT a.query AS q, a FROM pg_stat_activity a JOIN orders o ON o.pid = a.pid").substr(0, 2),
      "**");
  EXPECT_NE(results("SELECT * FROM pg_stat_activity").find(" query"), std::string::npos);
  EXPECT_EQ(results("SELECT calls, substr(query, 1, 9) FROM pg_stat_statements").substr(0, 2), "-*");
  EXPECT_EQ(results("SELECT name, statement FROM pg_prepared_statements").substr(0, 2), "-*");
  EXPECT_EQ(results("SELECT current_query(), query FROM orders").substr(0, 2), "*-");
  EXPECT_EQ(results("SELECT own.count(email), count(email) FROM t").substr(0, 2), "*-");
}

TEST(MaskStatement, NamesThatTheServerGivesToExpressions) {
  const std::pair<const char*, const char*> kNames[] = {
      {"ARRAY[ssn]", "\"array\""},
      {"ARRAY(SELECT ssn FROM users)", "\"array\""},
      {"ROW(ssn, 1)", "\"row\""},
      {"nullif(ssn, '')", "\"nullif\""},
      {"CASE WHEN id = 1 THEN ssn ELSE note END", "note"},
      {"CASE WHEN id = 1 THEN ssn ELSE 'none' END", "\"case\""},
      {"(CASE WHEN id = 1 THEN ssn END)::text", "text"},
      {"(ssn || '')::text::varchar", "\"varchar\""},
      {"(ssn || 'x') COLLATE \"C\"", "\"?column?\""},
      {"upper(ssn) COLLATE \"C\"", "upper"},
      {"(users).ssn[1]", "ssn"},
      {"(SELECT upper(ssn) UNION SELECT note)", "upper"},
      {"(VALUES (ssn))", "column1"},
      {"greatest(ssn, note)", "\"greatest\""},
      {"xmlforest(ssn AS n)", "\"xmlforest\""}};
  for (const auto& [expression, name] : kNames)
    EXPECT_EQ(results("SELECT " + std::string(name) + " FROM (SELECT " + expression + " FROM users) s")
                  .substr(0, 1),
              "*")
        << expression;
  EXPECT_EQ(
      results("SELECT note FROM (SELECT CASE WHEN ssn = '1' THEN 1 END, note FROM users) s").substr(0, 1),
      "-");
}

TEST(MaskStatement, FieldsOfCompositesAndArgumentsByName) {
  EXPECT_EQ(masked("UPDATE p SET who.email = 'qqqq', who.n = 'qqqq' WHERE id = 77"),
            "UPDATE p SET who.email = '?', who.n = 'qqqq' WHERE id = 77");
  EXPECT_EQ(masked("SELECT 1 FROM p WHERE (who).email = 'qqqq' AND (who).n = 'qqqq'"),
            "SELECT 1 FROM p WHERE (who).email = '?' AND (who).n = 'qqqq'");
  EXPECT_EQ(masked("INSERT INTO p (who.n, who.email) VALUES ('qqqq', 'qqqq')"),
            "INSERT INTO p (who.n, who.email) VALUES ('qqqq', '?')");
  EXPECT_EQ(masked("SELECT f(id => 77, email => 'qqqq', n => 'qqqq')"),
            "SELECT f(id => 77, email => '?', n => 'qqqq')");
  EXPECT_EQ(masked("SELECT * FROM f(code := 55555, id := 77)"), "SELECT * FROM f(code := ?, id := 77)");
  EXPECT_EQ(masked("SELECT 1 FROM t WHERE email = f(a => 'qqqq')"),
            "SELECT 1 FROM t WHERE email = f(a => '?')");
  EXPECT_EQ(results("SELECT f(email => 'x'), upper((who).email) AS e, (who).n FROM p").substr(0, 3), "**-");
  EXPECT_EQ(masked("WITH v AS (SELECT 55555 AS c) SELECT 1 FROM t, v WHERE code = (v).c"),
            "WITH v AS (SELECT ? AS c) SELECT 1 FROM t, v WHERE code = (v).c");
}

TEST(MaskStatement, ColumnsOfAFunctionsRowsAreOfWhicheverTable) {
  EXPECT_EQ(results("SELECT o.id, g.ssn, f.n FROM orders o, get_user(o.owner) g, f() f").substr(0, 3), "-*-");
  EXPECT_EQ(results("SELECT ssn FROM orders, generate_series(1, 9)"), "-");
}

TEST(MaskStatement, PatternsInACopysProgram) {
  EXPECT_EQ(masked("COPY o TO PROGRAM 'send secret' (FORMAT csv, DELIMITER 'q', NULL 'q')"),
            "COPY o TO PROGRAM '? ?' (FORMAT csv, DELIMITER 'q', NULL 'q')");
}

TEST(MaskStatement, WhatIsComparedWithASubquerysAnswer) {
  EXPECT_EQ(masked("SELECT 1 WHERE (SELECT max(code) FROM t) > 55555 AND (SELECT n FROM o) = 77"),
            "SELECT 1 WHERE (SELECT max(code) FROM t) > ? AND (SELECT n FROM o) = 77");
  EXPECT_EQ(masked("SELECT 55555 IN (SELECT code FROM t), 77 IN (SELECT id FROM t)"),
            "SELECT ? IN (SELECT code FROM t), 77 IN (SELECT id FROM t)");
  EXPECT_EQ(masked("SELECT 1 WHERE (77, 55555) IN (SELECT id, code FROM t)"),
            "SELECT 1 WHERE (77, ?) IN (SELECT id, code FROM t)");
  EXPECT_EQ(masked("SELECT 1 WHERE 55555 = ANY (ARRAY(SELECT code FROM t))"),
            "SELECT 1 WHERE ? = ANY (ARRAY(SELECT code FROM t))");
  EXPECT_EQ(masked("SELECT CASE (SELECT code FROM t) WHEN 55555 THEN NULL END"),
            "SELECT CASE (SELECT code FROM t) WHEN ? THEN NULL END");
  EXPECT_EQ(masked("SELECT 1 WHERE (SELECT code FROM t) IN (VALUES (55555))"),
            "SELECT 1 WHERE (SELECT code FROM t) IN (VALUES (?))");
  EXPECT_EQ(
      read_statement_values("SELECT 1 WHERE $1 < (SELECT code FROM t)", rules()).parameters[0].rule->name,
      "code");
}

TEST(MaskStatement, WhatIsUnitedWithAMaskedColumn) {
  EXPECT_EQ(masked("SELECT 55555, 77 INTERSECT SELECT code, id FROM t"),
            "SELECT ?, 77 INTERSECT SELECT code, id FROM t");
  EXPECT_EQ(masked("SELECT id FROM t WHERE EXISTS (SELECT 55555 EXCEPT SELECT code)"),
            "SELECT id FROM t WHERE EXISTS (SELECT ? EXCEPT SELECT code)");
}

TEST(MaskStatement, ValuesBehindAStarMayGoToTheMaskedColumn) {
  EXPECT_EQ(masked("INSERT INTO t (id, n, email) SELECT o.*, 'qqqq' FROM o"),
            "INSERT INTO t (id, n, email) SELECT o.*, '?' FROM o");
  EXPECT_EQ(masked("INSERT INTO t (id, n, code) SELECT (o.p).*, 55555 FROM o"),
            "INSERT INTO t (id, n, code) SELECT (o.p).*, ? FROM o");
  EXPECT_EQ(masked("INSERT INTO t (id, n) SELECT o.*, 'qqqq' FROM o"),
            "INSERT INTO t (id, n) SELECT o.*, 'qqqq' FROM o");
}

TEST(MaskStatement, PatternsAreLookedForInWhatAnEscapedStringSays) {
  for (const char* const sql :
       {"SELECT E'sec\\x72et'", "SELECT e'sec\\162et'", "SELECT E'sec\\u0072et'", "SELECT E's\\ecret'"})
    EXPECT_EQ(masked(sql).find("sec"), std::string::npos) << masked(sql);
  EXPECT_EQ(masked("SELECT E'a\\nb', E'\\x72'"), "SELECT E'a\\nb', E'\\x72'");
}

TEST(MaskStatement, QualifiedColumnsOfATableThatMaskedValuesGoTo) {
  for (const char* const sql :
       {"INSERT INTO orders AS o (note, n) SELECT ssn, id FROM users RETURNING o.note AS x, o.n AS y",
        "INSERT INTO orders (note, n) VALUES ((SELECT ssn FROM users), 7) RETURNING orders.note AS x, n",
        "UPDATE orders SET note = u.ssn FROM users u RETURNING orders.note AS x, orders.n AS y",
        "UPDATE orders o SET (note, n) = (SELECT u.ssn, 7 FROM users u) RETURNING upper(o.note), o.k",
        "INSERT INTO orders AS o (note) SELECT ssn FROM users RETURNING row_to_json(o) AS x, o.n",
        "INSERT INTO orders AS o (k) SELECT 7 ON CONFLICT (k) DO UPDATE SET note = (SELECT ssn FROM users) "
        "RETURNING o.note AS x, o.k",
        "SELECT u.b AS x, orders.b FROM users AS u (a, b), orders"})
    EXPECT_EQ(results(sql).substr(0, 2), "*-") << sql;
  EXPECT_EQ(results("INSERT INTO orders AS o SELECT ssn FROM users RETURNING o.note AS x").substr(0, 1), "*");
  EXPECT_EQ(results("SELECT u.ssn AS note, upper(o.note), o FROM users u, orders o").substr(0, 2), "*-");
  EXPECT_EQ(masked("SELECT u.ssn AS note FROM users u, orders o WHERE o.note = 'qqqq'"),
            "SELECT u.ssn AS note FROM users u, orders o WHERE o.note = 'qqqq'");
}

TEST(MaskStatement, ANameOfTwoTablesIsOfBoth) {
  EXPECT_EQ(
      masked("SELECT upper(u.ssn) FROM users u WHERE u.ssn = 'qqqq' AND id IN (SELECT u.id FROM orders u)"),
      "SELECT upper(u.ssn) FROM users u WHERE u.ssn = '?' AND id IN (SELECT u.id FROM orders u)");
  EXPECT_EQ(results("SELECT upper(u.ssn) FROM users u WHERE id IN (SELECT u.id FROM orders u)").substr(0, 1),
            "*");
}

TEST(MaskStatement, HarmlessStatementsStayAndCommentsGetTokens) {
  for (const char* const sql :
       {"CREATE ROLE qqqq", "GRANT qqqq TO rrrr", "ALTER ROLE qqqq SET search_path = 'qqqq'",
        "DROP ROLE qqqq", "ALTER TABLE t OWNER TO qqqq", "ANALYZE users"})
    EXPECT_EQ(masked(sql), sql);
  EXPECT_EQ(masked("COMMENT ON COLUMN users.id IS 'qqqq'"), "COMMENT ON COLUMN users.id IS '?'");
  EXPECT_EQ(masked("COMMENT ON TABLE users IS NULL"), "COMMENT ON TABLE users IS NULL");
}

TEST(MaskStatement, DefinitionsStayButForTheValuesOfMaskedColumns) {
  for (const char* const sql :
       {"CREATE POLICY p ON orders USING (tenant = current_setting('app.tenant')::int AND state <> 'qqqq')",
        "CREATE POLICY p ON users USING (email = current_setting('app.mail'))",
        "CREATE TRIGGER r AFTER UPDATE OF email ON users FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE RULE r AS ON DELETE TO orders DO INSTEAD UPDATE orders SET gone = 'qqqq' WHERE id = old.id",
        "ALTER TYPE mood ADD VALUE 'qqqq'", "CREATE DOMAIN d AS varchar(20) NOT NULL",
        "CREATE EVENT TRIGGER e ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION f()",
        "CREATE AGGREGATE s (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')",
        "CREATE TABLE t (id int DEFAULT nextval('t_id_seq'), email varchar(20) NOT NULL, n text DEFAULT "
        "'qqqq')"})
    EXPECT_EQ(masked(sql), sql);
  EXPECT_EQ(masked("CREATE POLICY p ON users USING (email = 'qqqq') WITH CHECK (code > 55555)"),
            "CREATE POLICY p ON users USING (email = '?') WITH CHECK (code > ?)");
  EXPECT_EQ(masked("ALTER POLICY p ON users USING (email = 'qqqq')"),
            "ALTER POLICY p ON users USING (email = '?')");
  EXPECT_EQ(
      masked("CREATE TRIGGER r BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.email = 'qqqq') EXECUTE "
             "FUNCTION f('qqqq')"),
      "CREATE TRIGGER r BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.email = '?') EXECUTE FUNCTION f('?')");
  EXPECT_EQ(
      masked("CREATE TRIGGER r AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION f('qqqq', n, 55555)"),
      "CREATE TRIGGER r AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION f('?', n, ?)");
  EXPECT_EQ(
      masked(
          "CREATE RULE r AS ON INSERT TO v DO INSTEAD INSERT INTO users (n, email) VALUES ('qqqq', 'qqqq')"),
      "CREATE RULE r AS ON INSERT TO v DO INSTEAD INSERT INTO users (n, email) VALUES ('qqqq', '?')");
  EXPECT_EQ(
      masked("CREATE DOMAIN d AS varchar(20) DEFAULT 'qqqq' CHECK (VALUE IN ('qqqq') OR VALUE > 55555)"),
      "CREATE DOMAIN d AS varchar(20) DEFAULT '?' CHECK (VALUE IN ('?') OR VALUE > ?)");
  EXPECT_EQ(masked("ALTER DOMAIN d SET DEFAULT 55555"), "ALTER DOMAIN d SET DEFAULT ?");
  EXPECT_EQ(masked("SECURITY LABEL FOR x ON COLUMN users.id IS 'qqqq'"),
            "SECURITY LABEL FOR x ON COLUMN users.id IS '?'");
  EXPECT_EQ(masked("CREATE TABLE t (email text DEFAULT 'qqqq', n text DEFAULT 'qqqq')"),
            "CREATE TABLE t (email text DEFAULT '?', n text DEFAULT 'qqqq')");
  EXPECT_EQ(masked("ALTER TABLE t ALTER email SET DEFAULT 'qqqq', ALTER n SET DEFAULT 'qqqq'"),
            "ALTER TABLE t ALTER email SET DEFAULT '?', ALTER n SET DEFAULT 'qqqq'");
  EXPECT_EQ(masked("ALTER TABLE t ALTER email TYPE varchar(20) USING 'qqqq', ALTER n TYPE text USING 'qqqq'"),
            "ALTER TABLE t ALTER email TYPE varchar(20) USING '?', ALTER n TYPE text USING 'qqqq'");
}

TEST(MaskStatement, ArgumentsOfATriggerWhateverElseIsInTheText) {
  const std::string first = "CREATE TRIGGER a AFTER INSERT ON users EXECUTE FUNCTION f('";
  const std::string second = "; CREATE TRIGGER b AFTER INSERT ON orders EXECUTE FUNCTION f('";
  const std::string copy = "; COPY orders (id) FROM STDIN WITH (DELIMITER 'q')";
  // A rule of one table: with any other column's, the second trigger's table may have it too.
  const masking::Rules one("column users.ssn", "rules");
  const auto by_one = [&](const std::string& sql) { return masked(sql, one); };
  EXPECT_EQ(by_one(first + "qqqq')" + second + "qqqq', 77)"), first + "?')" + second + "qqqq', 77)");
  EXPECT_EQ(by_one(first + "qqqq', 55555)" + copy), first + "?', ?)" + copy);
  EXPECT_EQ(by_one("COPY users (ssn) TO STDOUT (NULL 'q'); " + first + "qqqq')"),
            "COPY users (ssn) TO STDOUT (NULL 'q'); " + first + "?')");
  EXPECT_EQ(by_one("COMMENT ON TABLE orders IS 'qqqq'" + copy), "COMMENT ON TABLE orders IS '?'" + copy);
  EXPECT_EQ(by_one("CREATE SCHEMA s CREATE TRIGGER a AFTER INSERT ON users EXECUTE FUNCTION f('qqqq') "
                   "CREATE TRIGGER b AFTER INSERT ON orders EXECUTE FUNCTION f()"),
            "CREATE SCHEMA s CREATE TRIGGER a AFTER INSERT ON users EXECUTE FUNCTION f('?') "
            "CREATE TRIGGER b AFTER INSERT ON orders EXECUTE FUNCTION f()");
}

TEST(MaskStatement, ParametersByTheColumnsTheyAreComparedWith) {
  const StatementValues values =
      read_statement_values("UPDATE users SET email = $2 WHERE id = $1 AND ssn = $3::varchar", rules());
  ASSERT_EQ(values.parameters.size(), 3U);
  EXPECT_EQ(values.parameters[0].rule, nullptr);
  EXPECT_EQ(values.parameters[1].rule->name, "email");
  EXPECT_EQ(values.parameters[2].rule->family, "person");
  EXPECT_EQ(values.parameters[2].cast_oid, 1043U);
}

}  // namespace
}  // namespace understudy::replayer
