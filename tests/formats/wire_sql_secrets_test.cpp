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
};

TEST(SqlSecrets, AreFoundAndNothingElseIs) {
  for (const Case& each : kSecrets) {
    EXPECT_EQ(hidden(each.sql), each.shown);
    EXPECT_TRUE(may_hold_secrets(as_bytes(std::string_view(each.sql)))) << each.sql;
  }
  for (const char* const sql : kNone) EXPECT_EQ(hidden(sql), sql);
}

TEST(SqlSecrets, OrdinaryTextIsPassedOverUnscanned) {
  for (const char* const sql : {"SELECT 1", "", "w", "passw", "SELECT * FROM works WHERE w = 'word'"})
    EXPECT_FALSE(may_hold_secrets(as_bytes(std::string_view(sql)))) << sql;
}

// Where a piece ends in a URI's port or in a closing tag, more is hidden than need be.
TEST(SqlSecrets, WhereverATextIsCutNoLessIsHidden) {
  for (const Case& each : kSecrets) {
    const std::string whole = each.shown;
    const std::string sql = each.sql;
    for (std::size_t cut = 0; cut <= sql.size(); ++cut) {
      const std::string cut_up = hidden(sql, {cut});
      EXPECT_EQ(cut_up.find("s3"), std::string::npos) << cut_up;
      for (std::size_t i = 0; i < sql.size(); ++i) {
        if (whole[i] == sql[i]) continue;
        EXPECT_NE(cut_up[i], sql[i]) << cut_up << " cut at " << cut << ": " << i;
      }
      if (sql.find("://") != std::string::npos || sql.find("PASSWORD $") != std::string::npos) continue;
      EXPECT_EQ(cut_up, whole) << cut;
    }
  }
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
  constexpr std::string_view kPieces[] = {"'",        "\"", "$",  "$a$", "password", " ", "\\",
                                          "--",       "\n", "/*", "*/",  "e",        "=", "://",
                                          "postgres", ":",  "@",  "%",   ";",        "x", "U&"};
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
