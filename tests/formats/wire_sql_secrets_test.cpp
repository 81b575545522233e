#include "formats/wire/sql_secrets.h"

#include <gtest/gtest.h>

#include <random>

namespace understudy::wire {
namespace {

// The text with 'x' for every byte found, scanned in pieces that end where `cuts` says.
std::string hidden(std::string text, const std::vector<std::size_t>& cuts = {}) {
  SqlSecretScanner scanner;
  std::vector<SecretRange> found;
  std::size_t at = 0;
  const std::string original = text;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t end = i < cuts.size() ? cuts[i] : original.size();
    scanner.scan(as_bytes(std::string_view(original).substr(at, end - at)), at, found);
    at = end;
  }
  for (const SecretRange& range : found) {
    EXPECT_LT(range.from, range.to);
    EXPECT_LE(range.to, text.size());
    for (std::size_t i = range.from; i < range.to; ++i) text[i] = 'x';
  }
  return text;
}

struct Case {
  const char* sql;
  const char* shown;
};

// In each, the secret is s3cret, or what the second line hides.
const Case kSecrets[] = {
    {"CREATE ROLE a LOGIN PASSWORD 's3cret'", "CREATE ROLE a LOGIN PASSWORD 'xxxxxx'"},
    {"alter user a encrypted password\n\t's3cret' valid until '2030-01-01'",
     "alter user a encrypted password\n\t'xxxxxx' valid until '2030-01-01'"},
    {"ALTER ROLE a PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$U3Q=:U3Y='",
     "ALTER ROLE a PASSWORD 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"},
    {"ALTER ROLE a PASSWORD/* it is */'s3cret'", "ALTER ROLE a PASSWORD/* it is */'xxxxxx'"},
    {"ALTER ROLE a PASSWORD -- it's\n 's3cret'", "ALTER ROLE a PASSWORD -- it's\n 'xxxxxx'"},
    {"ALTER ROLE a PASSWORD 's3''cret'", "ALTER ROLE a PASSWORD 'xx''xxxx'"},
    {"ALTER ROLE a PASSWORD E's3\\'cret'", "ALTER ROLE a PASSWORD E'xx\\xxxxx'"},
    {"ALTER ROLE a PASSWORD U&'s3\\0063ret'", "ALTER ROLE a PASSWORD U&'xxxxxxxxxx'"},
    {"ALTER ROLE a PASSWORD $$s3cret$$", "ALTER ROLE a PASSWORD $$xxxxxx$$"},
    {"ALTER ROLE a PASSWORD $q$s3$cret$q$; SELECT 'b'", "ALTER ROLE a PASSWORD $q$xxxxxxx$q$; SELECT 'b'"},
    {"ALTER ROLE a PASSWORD 's3'\n'cret' CONNECTION LIMIT 3",
     "ALTER ROLE a PASSWORD 'xx'\n'xxxx' CONNECTION LIMIT 3"},
    {"ALTER ROLE a PASSWORD 's3cret", "ALTER ROLE a PASSWORD 'xxxxxx"},  // not closed
    {"CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', password 's3cret')",
     "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', password 'xxxxxx')"},
    {"ALTER USER MAPPING FOR a SERVER s OPTIONS (SET \"password\" 's3cret', ADD sslpassword 's3cret')",
     "ALTER USER MAPPING FOR a SERVER s OPTIONS (SET \"password\" 'xxxxxx', ADD sslpassword 'xxxxxx')"},
    {"CREATE SUBSCRIPTION s CONNECTION 'host=h password=s3cret dbname=d' PUBLICATION p",
     "CREATE SUBSCRIPTION s CONNECTION 'host=h password=xxxxxx dbname=d' PUBLICATION p"},
    {"CREATE SUBSCRIPTION s CONNECTION 'password = ''s3 cret'' host=h' PUBLICATION p",
     "CREATE SUBSCRIPTION s CONNECTION 'password = ''xxxxxxx'' host=h' PUBLICATION p"},
    {"SELECT * FROM dblink('x=1 password=s3cret', 'SELECT 1') AS t(n int)",
     "SELECT * FROM dblink('x=1 password=xxxxxx', 'SELECT 1') AS t(n int)"},
    {"SELECT dblink_connect('c', 'postgresql://a:s3cret@h:5432/d?sslmode=require')",
     "SELECT dblink_connect('c', 'postgresql://a:xxxxxx@h:5432/d?sslmode=require')"},
    {"SELECT dblink_connect('postgres://h:5432/d?user=a&password=s3cret&port=1')",
     "SELECT dblink_connect('postgres://h:5432/d?user=a&password=xxxxxx&port=1')"},
    {"ALTER SYSTEM SET primary_conninfo = 'user=a password=s3cret'",
     "ALTER SYSTEM SET primary_conninfo = 'user=a password=xxxxxx'"},
    {"DO $$ BEGIN CREATE ROLE a PASSWORD 's3cret'; END $$",
     "DO $$ BEGIN CREATE ROLE a PASSWORD 'xxxxxx'; END $$"},
    {"DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ''s3cret'' LOGIN'; END $$",
     "DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ''xxxxxx'' LOGIN'; END $$"},
    {"SELECT 'EXECUTE ''CREATE ROLE a PASSWORD ''''s3cret'''' LOGIN'''",
     "SELECT 'EXECUTE ''CREATE ROLE a PASSWORD ''''xxxxxx'''' LOGIN'''"},
    {"SELECT 'ALTER ROLE a PASSWORD ' || quote_literal('s3cret') || ' LOGIN'",
     "SELECT 'ALTER ROLE a PASSWORD ' || quote_literal('xxxxxx') || ' LOGIN'"},
    {"SELECT format('ALTER ROLE %I PASSWORD %L', 'a', 's3cret')",
     "SELECT format('ALTER ROLE %I PASSWORD %L', 'x', 'xxxxxx')"},
    {"SELECT 1; ALTER ROLE a PASSWORD 's3cret'; SELECT 'two'",
     "SELECT 1; ALTER ROLE a PASSWORD 'xxxxxx'; SELECT 'two'"},
};

// Connection strings, however they are written: in dollars, in pieces, put together.
const Case kConnectionStrings[] = {
    {"select dblink_connect($$host=h user=a password=s3cret dbname=d$$);",
     "select dblink_connect($$host=h user=a password=xxxxxx dbname=d$$);"},
    {"select dblink_connect($q$host=h password='s3cret'$q$, 'b')",
     "select dblink_connect($q$host=h password='xxxxxx'$q$, 'b')"},
    {"select dblink_connect($q$host=h password=s3$cret$q$, 'b')",
     "select dblink_connect($q$host=h password=xxxxxxx$q$, 'b')"},
    {"create subscription s connection $$host=h password='s3 cret'$$ publication p with (connect = false)",
     "create subscription s connection $$host=h password='xxxxxxx'$$ publication p with (connect = false)"},
    {"select dblink_connect($$postgresql://a:s3cret@h:5432/d$$)",
     "select dblink_connect($$postgresql://a:xxxxxx@h:5432/d$$)"},
    {"select dblink_connect($$postgres://h:5432/d?password=s3cret$$)",
     "select dblink_connect($$postgres://h:5432/d?password=xxxxxx$$)"},
    {"select dblink_connect('postgresql://a:s3?cr%40et@h')",
     "select dblink_connect('postgresql://a:xxxxxxxxxx@h')"},
    {"select dblink_connect('postgresql://a:s3''cret@h')",
     "select dblink_connect('postgresql://a:xx''xxxx@h')"},
    {"select dblink_connect('postgresql://a:s3cr/et@h')",
     "select dblink_connect('postgresql://a:xxxxxxx@h')"},
    {"select dblink_connect('postgresql://a:' || 's3cret@h:5/d')",
     "select dblink_connect('postgresql://a:' || 'xxxxxx@h:5/d')"},
    {"select dblink_connect('postgresql://a:s3' || 'cret@h')",
     "select dblink_connect('postgresql://a:xx' || 'xxxx@h')"},
    {"select dblink_connect('postgresql://' || u || ':' || 's3cret' || '@h')",
     "select dblink_connect('postgresql://' || u || ':' || 'xxxxxx' || '@h')"},
    {"select dblink_connect('host=h password=s3\\ cret port=1')",
     "select dblink_connect('host=h password=xxxxxxxx port=1')"},
    {"select dblink_connect('host=h password=s3&cret port=1')",
     "select dblink_connect('host=h password=xxxxxxx port=1')"},
    {"select dblink_connect('host=h password=''s3\\''cret'' port=1')",
     "select dblink_connect('host=h password=''xx\\''xxxx'' port=1')"},
    {"select dblink_connect(E'host=h\\npassword=s3cret')",
     "select dblink_connect(E'host=h\\npassword=xxxxxx')"},
    {"select dblink_connect('host=h password=' || 's3cret')",
     "select dblink_connect('host=h password=' || 'xxxxxx')"},
    {"select dblink_connect('host=h password=' || $$s3cret$$ || ' dbname=d', 'b')",
     "select dblink_connect('host=h password=' || $$xxxxxx$$ || ' dbname=d', 'b')"},
    {"select dblink_connect('host=h password=s3' || 'cret' || ' dbname=d')",
     "select dblink_connect('host=h password=xx' || 'xxxx' || ' dbname=d')"},
    {"select dblink_connect('host=h password=s3'\n'cret dbname=d')",
     "select dblink_connect('host=h password=xx'\n'xxxx dbname=d')"},
    {"select dblink_connect('host=h pass'\n 'word=s3cret dbname=d')",
     "select dblink_connect('host=h pass'\n 'word=xxxxxx dbname=d')"},
    {"select dblink_connect('host=h pass' || E'word' || '=' || 's3cret dbname=d')",
     "select dblink_connect('host=h pass' || E'word' || '=' || 'xxxxxx dbname=d')"},
    {"select dblink_connect('host=h password=' || ('s3' || 'cret') || ' dbname=d')",
     "select dblink_connect('host=h password=' || ('xx' || 'xxxx') || ' dbname=d')"},
    {"select dblink_connect('host=h password=' || quote_literal('s3cret') || ' dbname=d')",
     "select dblink_connect('host=h password=' || quote_literal('xxxxxx') || ' dbname=d')"},
    {"select dblink_connect('password=' || case when a = 'b' then text 's3cret' else 's3' end || ' port=1')",
     "select dblink_connect('password=' || case when a = 'x' then text 'xxxxxx' else 'xx' end || ' port=1')"},
    {"select dblink_connect(('host=h' || ' password=') || 's3cret')",
     "select dblink_connect(('host=h' || ' password=') || 'xxxxxx')"},
    {"select dblink_connect(concat('host=h password=', 's3cret', ' dbname=d'))",
     "select dblink_connect(concat('host=h password=', 'xxxxxx', ' dbname=d'))"},
    {"select dblink_connect(concat_ws(' ', 'host=h', 'password=s3cret', 'dbname=d'))",
     "select dblink_connect(concat_ws(' ', 'host=h', 'password=xxxxxx', 'dbname=d'))"},
    {"select dblink_connect(made_of('host=h password=', 's3cret', 'd'), 'b')",
     "select dblink_connect(made_of('host=h password=', 'xxxxxx', 'x'), 'b')"},
    {"select dblink_connect(format('host=h password=%s','s3cret'))",
     "select dblink_connect(format('host=h password=%s','xxxxxx'))"},
    {"select dblink_connect(format($$host=h password='%2$s' dbname=d$$, 'd', $q$s3cret$q$))",
     "select dblink_connect(format($$host=h password='%2$s' dbname=d$$, 'x', $q$xxxxxx$q$))"},
    {"select dblink_connect(format('postgresql://%s:%s@h', 'a', 's3cret'))",
     "select dblink_connect(format('postgresql://%s:%s@h', 'x', 'xxxxxx'))"},
    {"DO $$ BEGIN EXECUTE format('create subscription s connection ''password=%s'' publication p', "
     "'s3cret'); END $$",
     "DO $$ BEGIN EXECUTE format('create subscription s connection ''password=%s'' publication p', "
     "'xxxxxx'); END $$"},
    {"DO $$ BEGIN EXECUTE 'create subscription s connection ''password=' || 's3cret' || ''' publication p'; "
     "END $$",
     "DO $$ BEGIN EXECUTE 'create subscription s connection ''password=' || 'xxxxxx' || ''' publication p'; "
     "END $$"},
    {"DO $$ BEGIN PERFORM dblink_connect($q$password=s3cret$q$); END $$; select 'b'",
     "DO $$ BEGIN PERFORM dblink_connect($q$password=xxxxxx$q$); END $$; select 'b'"},
    {"EXECUTE format('ALTER ROLE a PASSWORD ''%s''', 's3cret')",
     "EXECUTE format('ALTER ROLE a PASSWORD ''%s''', 'xxxxxx')"},
    {"EXECUTE format('ALTER ROLE a PASSWORD %1$L', 's3cret')",
     "EXECUTE format('ALTER ROLE a PASSWORD %1$L', 'xxxxxx')"},
    {"EXECUTE 'ALTER ROLE a PASSWORD $p$s3cret$p$ LOGIN'",
     "EXECUTE 'ALTER ROLE a PASSWORD $p$xxxxxx$p$ LOGIN'"},
    {"EXECUTE 'ALTER ROLE a PASSWORD ''s3' || 'cret' || ''' LOGIN'",
     "EXECUTE 'ALTER ROLE a PASSWORD ''xx' || 'xxxx' || ''' LOGIN'"},
    {"EXECUTE 'ALTER ROLE a PASSWORD ' || '''s3cret'' LOGIN'",
     "EXECUTE 'ALTER ROLE a PASSWORD ' || '''xxxxxx'' LOGIN'"},
    {"EXECUTE 'ALTER ROLE a PASSWORD ' || quote_literal('s3' || 'cret') || ' LOGIN'",
     "EXECUTE 'ALTER ROLE a PASSWORD ' || quote_literal('xx' || 'xxxx') || ' LOGIN'"},
    {"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'h', connstr $$password=s3cret port=1$$)",
     "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'h', connstr $$password=xxxxxx port=1$$)"},
    {"SELECT it's wrong, PASSWORD 's3cret'", "SELECT it's wrong, PASSWORD 'xxxxxx'"},
    {"select dblink_connect('host=h' || chr(32) || 'password=s3cret')",
     "select dblink_connect('host=h' || chr(32) || 'password=xxxxxx')"},
    {"select dblink_connect(replace('password=', '@', 's3cret'))",
     "select dblink_connect(replace('password=', 'x', 'xxxxxx'))"},
    {"select dblink_connect('host=h password=' operator(pg_catalog.||) 's3cret')",
     "select dblink_connect('host=h password=' operator(pg_catalog.||) 'xxxxxx')"},
    {"select dblink_connect(case when a then 'password=' else 's3' end || 's3cret')",
     "select dblink_connect(case when a then 'password=' else 'xx' end || 'xxxxxx')"},
    {"select dblink_connect(format('%s=%s', 'password', 's3cret'))",
     "select dblink_connect(format('%s=%s', 'password', 'xxxxxx'))"},
};

// What ends a password's literal, and what follows it, stays.
const Case kBehindPasswords[] = {
    {"create function f() returns void as $$ alter role a password 's3cret' $$ language sql;",
     "create function f() returns void as $$ alter role a password 'xxxxxx' $$ language sql;"},
    {"create function f() returns void as $f$alter role a password 's3cret'$f$ language sql; create table "
     "t(a int);"
     " insert into t values ('b')",
     "create function f() returns void as $f$alter role a password 'xxxxxx'$f$ language sql; create table "
     "t(a int);"
     " insert into t values ('b')"},
    {"DO $a$ BEGIN EXECUTE $b$alter role a password $$s3cret$$$b$; END $a$; select $$b$$",
     "DO $a$ BEGIN EXECUTE $b$alter role a password $$xxxxxx$$$b$; END $a$; select $$b$$"},
    {"create function f() as 'alter role a password ''s3cret''' language 'sql'; select 'b'",
     "create function f() as 'alter role a password ''xxxxxx''' language 'sql'; select 'b'"},
    {"do $$ begin perform 1; -- it's\n alter role a password 's3cret' /* ' */ $$; select 'b', $$b$$",
     "do $$ begin perform 1; -- it's\n alter role a password 'xxxxxx' /* ' */ $$; select 'b', $$b$$"},
    {"select dblink_connect('host=h password=s3cret') from t where a = 'b'",
     "select dblink_connect('host=h password=xxxxxx') from t where a = 'b'"},
};

const char* const kNone[] = {
    "SELECT 1",
    "",
    "'",
    "$",
    "\"",
    "SELECT 'password'",
    "INSERT INTO t VALUES ('password', 'abc')",
    "SET password_encryption = 'md5'",
    "ALTER ROLE a PASSWORD NULL VALID UNTIL '2030-01-01'",
    "UPDATE users SET password = 'theirs' WHERE id = 1",
    "SELECT password, 'x' FROM t",
    "SELECT 'a=1&password=theirs'",
    "SELECT 'postgresql://h:5432/d'",
    "SELECT 'http://a:b@c'",
    "SELECT $1 || 'password' WHERE a = 'b'",
    "/* PASSWORD */ SELECT 'a'",
    "-- PASSWORD\nSELECT 'a'",
    "SELECT $$ it's $$, 'a'",
    "SELECT E'\\'PASSWORD', 'a'",
    "SELECT 'my password is' || 'b'",
    "CREATE SUBSCRIPTION s CONNECTION 'host=h dbname=d' PUBLICATION p",
    "SELECT * FROM t WHERE a LIKE '%password%' AND b = 'c'",
    "DO 'BEGIN PERFORM ''password'', a; END'",
    "SELECT dblink_connect('postgresql://h:5432'), 'b'",
    "SELECT dblink_connect($$postgresql://h:5432,i:5433$$, 'b')",
    "SELECT dblink_connect('postgresql://[::1]:5432/d')",
    "SELECT dblink_connect('host=h password=' || $1 || ' dbname=d') FROM t WHERE a = 'b'",
    "SELECT dblink_connect('host=h password=' || p) FROM t WHERE a = 'b'",
    "CREATE FUNCTION dblink_f() AS $$ BEGIN UPDATE t SET password = p, a = 'b'; END $$ LANGUAGE 'plpgsql'",
    "DO $$ BEGIN EXECUTE format('ALTER ROLE a PASSWORD %L', p); END $$ LANGUAGE 'plpgsql'",
    "EXECUTE 'ALTER ROLE a PASSWORD ' || quote_literal(p) || ' VALID UNTIL ''2030-01-01'''",
    "SELECT '$q$ password $q$', 'b'",
};

// Functions that a text goes through before the password follows it.
const Case kCalls[] = {
    {"select dblink_connect('c', CAST('host=h password=' AS text) || 's3cret')",
     "select dblink_connect('c', CAST('host=h password=' AS text) || 'xxxxxx')"},
    {"select dblink_connect(CAST('host=h password=' AS text) || CAST('s3cret' AS text) || ' port=1')",
     "select dblink_connect(CAST('host=h password=' AS text) || CAST('xxxxxx' AS text) || ' port=1')"},
    {"select dblink_connect(rtrim('host=h password='::text, ' ') || 's3cret'), 'b'",
     "select dblink_connect(rtrim('host=h password='::text, 'x') || 'xxxxxx'), 'b'"},
    {"select dblink_connect(overlay('host=h password=xxxxx' placing 's3cret' from 17)), 'b'",
     "select dblink_connect(overlay('host=h password=xxxxx' placing 'xxxxxx' from 17)), 'b'"},
    {"DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ' || chr(39) || 's3cret' || chr(39) || ' VALID UNTIL "
     "''2030'''; END $$; select 'b'",
     "DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ' || chr(39) || 'xxxxxx' || chr(39) || ' VALID UNTIL "
     "''2030'''; END $$; select 'b'"},
    {"EXECUTE concat('ALTER ROLE a PASSWORD ', pg_catalog.chr( 39 ), 's3', 'cret', chr(39))",
     "EXECUTE concat('ALTER ROLE a PASSWORD ', pg_catalog.chr( 39 ), 'xx', 'xxxx', chr(39))"},
};
const char* const kCallsOfOthers[] = {
    "SELECT CAST('a' AS text) AS password, 'b', CAST('password' AS text) || 'c'",
    "SELECT overlay('abc' placing 'd' from 2), 'b'",
    "SELECT made_of('host=h password=', a) FROM t WHERE b = 'c'",
    "SELECT dblink_connect(rtrim('host=h port=', ' ') || '5432'), 'b'",
    "EXECUTE 'ALTER ROLE a PASSWORD ' || chr(39) || p || chr(39) || ' VALID UNTIL ''2030'''",
    "EXECUTE 'ALTER ROLE a PASSWORD ' || chr(10) || ' LOGIN'",
};

TEST(SqlSecrets, AreFoundBehindCalls) {
  for (const Case& each : kCalls) EXPECT_EQ(hidden(each.sql), each.shown);
  for (const char* const sql : kCallsOfOthers) EXPECT_EQ(hidden(sql), sql);
}

// What keeps a quote from closing, and what is not seen at once: escapes that go on, comments' ends.
const Case kQuoting[] = {
    // with standard_conforming_strings off
    {"ALTER ROLE a PASSWORD 'back\\'s3cret'", "ALTER ROLE a PASSWORD 'xxxxx'xxxxxx'"},
    {"ALTER ROLE a PASSWORD 'b\\'a''s3\\'s3' VALID UNTIL '2030'",
     "ALTER ROLE a PASSWORD 'xx'x''xxx'xx' VALID UNTIL '2030'"},
    {"ALTER ROLE a PASSWORD 'b\\' s3cret' LOGIN", "ALTER ROLE a PASSWORD 'xx'xxxxxxx'xxxxxx"},
    {"select dblink_connect('host=h password=it\\'s3cret'), 'b'",
     "select dblink_connect('host=h password=xxx'xxxxxx'), 'b'"},
    // and on
    {"ALTER ROLE a PASSWORD 's3cret\\'; select 'b'", "ALTER ROLE a PASSWORD 'xxxxxxx'; select 'b'"},
    {"ALTER ROLE a PASSWORD 's3cret\\' VALID UNTIL '2030'",
     "ALTER ROLE a PASSWORD 'xxxxxxx' VALID UNTIL '2030'"},
    {"ALTER ROLE a PASSWORD 'b\\'; ALTER ROLE b PASSWORD 's3cret'; select 'c'",
     "ALTER ROLE a PASSWORD 'xx'; ALTER ROLE b PASSWORD 'xxxxxx'; select 'c'"},
    {"ALTER ROLE a PASSWORD 'b\\'; ALTER ROLE b PASSWORD $$s3cret$$; select 'c'",
     "ALTER ROLE a PASSWORD 'xx'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx$$xxxxxxxxx'c'"},
    {"DO $$ BEGIN ALTER ROLE a PASSWORD 's3cret\\'; END $$; select 'b'",
     "DO $$ BEGIN ALTER ROLE a PASSWORD 'xxxxxxx'; END $$; select 'b'"},
    {"ALTER ROLE a PASSWORD E'b'\n's\\'s3cret'; select 'b'",
     "ALTER ROLE a PASSWORD E'x'\n'x\\xxxxxxx'; select 'b'"},
    {"-- it's\rALTER ROLE a PASSWORD 's3cret'", "-- it's\rALTER ROLE a PASSWORD 'xxxxxx'"},
    {"ALTER ROLE a PASSWORD -- it's\r's3cret'", "ALTER ROLE a PASSWORD -- it's\r'xxxxxx'"},
};

// Of no use to the server, and passwords all the same.
const Case kMistakes[] = {
    {"ALTER ROLE a PASSWORD 'it's3cret'", "ALTER ROLE a PASSWORD 'xx'xxxxxx'"},
    {"CREATE USER a PASSWORD \"s3cret\" LOGIN", "CREATE USER a PASSWORD \"xxxxxx\" LOGIN"},
    {"ALTER ROLE a PASSWORD s3cret; select 'b'", "ALTER ROLE a PASSWORD xxxxxx; select 'b'"},
    {"ALTER USER a PASSWORD 2-s3cret! LOGIN", "ALTER USER a PASSWORD xxxxxxxxx LOGIN"},
    {"ALTER ROLE a PASSWORD = 's3cret'", "ALTER ROLE a PASSWORD = 'xxxxxx'"},
    {"ALTER ROLE a PASSWORD = s3cret", "ALTER ROLE a PASSWORD = xxxxxx"},
    {"ALTER ROLE a PASSWORD ('s3cret') LOGIN", "ALTER ROLE a PASSWORD ('xxxxxx') LOGIN"},
};

// Seldom written, and no mistakes.
const Case kUnusual[] = {
    {"ALTER ROLE a PASSWORD 's3'VALID UNTIL '2030'", "ALTER ROLE a PASSWORD 'xx'VALID UNTIL '2030'"},
    {"ALTER ROLE a PASSWORD NULL; select 'b'", "ALTER ROLE a PASSWORD NULL; select 'b'"},
    {"SELECT 'ALTER USER a PASSWORD changed', 'b'", "SELECT 'ALTER USER a PASSWORD changed', 'b'"},
    {"EXECUTE 'ALTER ROLE a PASSWORD ''s3''' || p || ' VALID UNTIL ''2030'''",
     "EXECUTE 'ALTER ROLE a PASSWORD ''xx''' || p || ' VALID UNTIL ''2030'''"},
    {"ALTER ROLE password LOGIN", "ALTER ROLE password LOGIN"},
    {"ALTER ROLE a RENAME TO password;", "ALTER ROLE a RENAME TO password;"},
    {"ALTER ROLE a SET my.password = 'theirs'", "ALTER ROLE a SET my.password = 'theirs'"},
    {"CREATE TABLE t (password text, b text DEFAULT 'b')",
     "CREATE TABLE t (password text, b text DEFAULT 'b')"},
    {"SELECT password FROM t WHERE password IS NULL", "SELECT password FROM t WHERE password IS NULL"},
};

TEST(SqlSecrets, EndWhereTheirQuotesDoAsTheServerReadsThem) {
  using namespace std::string_literals;
  for (const Case& each : kQuoting) EXPECT_EQ(hidden(each.sql), each.shown);
  EXPECT_EQ(hidden("ALTER ROLE a PASSWORD NULL\0"s), "ALTER ROLE a PASSWORD NULL\0"s);
  EXPECT_EQ(hidden("ALTER ROLE a PASSWORD 's3cret\\' LOGIN\0"s), "ALTER ROLE a PASSWORD 'xxxxxxx' LOGIN\0"s);
}

TEST(SqlSecrets, AreFoundWhereTheirQuotesAreMissingOrWrong) {
  for (const Case& each : kMistakes) EXPECT_EQ(hidden(each.sql), each.shown);
  for (const Case& each : kUnusual) EXPECT_EQ(hidden(each.sql), each.shown);
}

TEST(SqlSecrets, ADollarTagMayBeOfAnyLength) {
  for (const std::size_t length : {1U, 64U, 65U, 1023U, 1024U, 1025U, 100'000U}) {
    const std::string tag = "$" + std::string(length, 't') + "$";
    EXPECT_EQ(hidden("ALTER ROLE a PASSWORD " + tag + "s3cret" + tag + "; select 'b'"),
              "ALTER ROLE a PASSWORD " + tag + "xxxxxx" + tag + "; select 'b'")
        << length;
  }
}

TEST(SqlSecrets, AreFoundAndNothingElseIs) {
  for (const Case& each : kSecrets) {
    EXPECT_EQ(hidden(each.sql), each.shown);
    EXPECT_TRUE(may_hold_secrets(as_bytes(std::string_view(each.sql)))) << each.sql;
  }
  for (const char* const sql : kNone) EXPECT_EQ(hidden(sql), sql);
}

TEST(SqlSecrets, ConnectionStringsAreFoundHoweverTheyAreQuotedAndPutTogether) {
  for (const Case& each : kConnectionStrings) {
    EXPECT_EQ(hidden(each.sql), each.shown);
    EXPECT_TRUE(may_hold_secrets(as_bytes(std::string_view(each.sql)))) << each.sql;
  }
}

TEST(SqlSecrets, WhatFollowsAPasswordStays) {
  for (const Case& each : kBehindPasswords) EXPECT_EQ(hidden(each.sql), each.shown);
}

TEST(SqlSecrets, OfLiteralsInLiteralsTheDeepestAreHiddenWhole) {
  std::string sql;
  for (char tag = 'a'; tag < 'z'; ++tag) sql += std::string("$") + tag + "$ ";
  const std::string shown = hidden(sql + "password=s3cret");
  EXPECT_EQ(shown.size(), sql.size() + 15);
  EXPECT_EQ(shown.find("s3"), std::string::npos);
  EXPECT_EQ(hidden(std::string(100'000, '(') + "PASSWORD 's3cret'").find("s3"), std::string::npos);
}

TEST(SqlSecrets, OrdinaryTextIsPassedOverUnscanned) {
  for (const char* const sql : {"SELECT 1", "", "w", "passw", "SELECT * FROM works WHERE w = 'word'"})
    EXPECT_FALSE(may_hold_secrets(as_bytes(std::string_view(sql)))) << sql;
}

// Where a piece ends in a URI's port or in a closing tag, more is hidden than need be.
template <std::size_t kCount>
void expect_no_less_is_hidden(const Case (&cases)[kCount]) {
  for (const Case& each : cases) {
    const std::string whole = each.shown;
    const std::string sql = each.sql;
    for (std::size_t cut = 0; cut <= sql.size(); ++cut) {
      const std::string cut_up = hidden(sql, {cut});
      EXPECT_EQ(cut_up.find("s3"), std::string::npos) << cut_up;
      for (std::size_t i = 0; i < sql.size(); ++i) {
        if (whole[i] == sql[i]) continue;
        EXPECT_NE(cut_up[i], sql[i]) << cut_up << " cut at " << cut << ": " << i;
      }
      // In doubt at a port, a closing tag, a place of format().
      if (sql.find_first_of("$%\\") != std::string::npos || sql.find("://") != std::string::npos) continue;
      EXPECT_EQ(cut_up, whole) << cut;
    }
  }
}

TEST(SqlSecrets, WhereverATextIsCutNoLessIsHidden) {
  expect_no_less_is_hidden(kSecrets);
  expect_no_less_is_hidden(kConnectionStrings);
  expect_no_less_is_hidden(kBehindPasswords);
  expect_no_less_is_hidden(kQuoting);
  expect_no_less_is_hidden(kMistakes);
  expect_no_less_is_hidden(kCalls);
}

TEST(SqlSecrets, AZeroByteEndsAText) {
  using namespace std::string_literals;
  EXPECT_EQ(hidden("stmt\0ALTER ROLE a PASSWORD 's3cret'\0\0\0"s),
            "stmt\0ALTER ROLE a PASSWORD 'xxxxxx'\0\0\0"s);
  EXPECT_EQ(hidden("PASSWORD\0'a'"s), "PASSWORD\0'a'"s);
  EXPECT_EQ(hidden("'\0ALTER ROLE a PASSWORD 's3cret'"s), "'\0ALTER ROLE a PASSWORD 'xxxxxx'"s);
}

TEST(SqlSecrets, WhateverComesItIsReadToItsEnd) {
  std::mt19937 random(20261128);
  constexpr std::string_view kPieces[] = {
      "'",        "\"", "$",  "$a$",   "password", " ",     "\\",
      "--",       "\n", "/*", "*/",    "e",        "=",     "://",
      "postgres", ":",  "@",  "%",     ";",        "x",     "U&",
      "||",       "(",  ")",  ",",     "concat",   "host=", "%s",
      "$$",       "''", "\r", "cast(", "chr(39)",  "null",  "alter role a password "};
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (auto n = random() % 30; n > 0; --n) text += kPieces[random() % std::size(kPieces)];
    const std::string whole = hidden(text);
    const std::size_t cut = random() % (text.size() + 1);
    const std::string cut_up = hidden(text, {cut});
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (whole[i] == text[i]) continue;
      ASSERT_NE(cut_up[i], text[i]) << text << " cut at " << cut << ": " << i;
    }
  }
}

}  // namespace
}  // namespace understudy::wire
