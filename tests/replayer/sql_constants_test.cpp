#include "replayer/sql_constants.h"

#include <gtest/gtest.h>

namespace understudy::replayer {
namespace {

std::string skeleton(std::string_view sql) {
  const auto split = split_constants(sql);
  return split ? split->skeleton : "(needs a parser)";
}
std::vector<std::string_view> constants(std::string_view sql) {
  const auto split = split_constants(sql);
  return split ? split->constants : std::vector<std::string_view>{"(needs a parser)"};
}
using Constants = std::vector<std::string_view>;

TEST(SqlConstants, NumbersAndStringsBecomePlaceholders) {
  EXPECT_EQ(skeleton("UPDATE t SET a = a + 17 WHERE b = 'x' AND c = 1.5e3"),
            "UPDATE t SET a = a + $1 WHERE b = $2 AND c = $3");
  EXPECT_EQ(constants("UPDATE t SET a = a + 17 WHERE b = 'x' AND c = 1.5e3"),
            (Constants{"17", "x", "1.5e3"}));
}

TEST(SqlConstants, PlaceholdersAreNumberedOnFromTheTextsOwnParameters) {
  const auto split = split_constants("SELECT $2, 5 FROM t WHERE a = $1");
  ASSERT_TRUE(split);
  EXPECT_EQ(split->parameters, 2U);
  EXPECT_EQ(split->skeleton, "SELECT $2, $3 FROM t WHERE a = $1");
}

TEST(SqlConstants, DigitsInNamesStay) {
  EXPECT_EQ(skeleton("SELECT a1, _2, \"3 4\", x$5 FROM t6"), "SELECT a1, _2, \"3 4\", x$5 FROM t6");
}

TEST(SqlConstants, TextsThatDifferInTheirConstantsAreAlike) {
  EXPECT_EQ(skeleton("SELECT * FROM t WHERE id = 1 AND name = ''"),
            skeleton("SELECT * FROM t WHERE id = 23456 AND name = 'it''s 5 o''clock -- or so'"));
}

TEST(SqlConstants, QuotesInsideStringsAreDoubled) {
  EXPECT_EQ(constants("SELECT 'it''s', ''''"), (Constants{"it''s", "''"}));
}

TEST(SqlConstants, CommentsAreLeftOutHoweverTheyNest) {
  EXPECT_EQ(skeleton("SELECT 1 -- 'two\n, 3"), "SELECT $1 \n, $2");
  EXPECT_EQ(skeleton("/* request 17 /* nested '*/ 'x' */SELECT 1"), " SELECT $1");
  EXPECT_EQ(skeleton("SELECT 1 --"), "SELECT $1 ");
}

TEST(SqlConstants, MinusIsNoPartOfANumber) { EXPECT_EQ(skeleton("SELECT a-1, -2"), "SELECT a-$1, -$2"); }

TEST(SqlConstants, WhatTakesAParserIsLeftToIt) {
  for (const char* sql :
       {"SELECT E'a\\'b'", "SELECT 'a\\'", "SELECT $$ a 'b $$", "DO $x$ BEGIN END $x$", "SELECT 'open",
        "SELECT \"open", "/* open", "SELECT B'0101'", "SELECT DATE'2026-01-01'", "SELECT $"}) {
    EXPECT_EQ(skeleton(sql), "(needs a parser)") << sql;
  }
}

TEST(SqlConstants, EveryTruncationOfAStatementIsTaken) {
  const std::string sql = "SELECT /* a */ 'b''c', \"d\", 1.5e-3, $12 -- f\n FROM t WHERE x = -.5";
  for (std::size_t length = 0; length <= sql.size(); ++length) {
    (void)split_constants(std::string_view(sql).substr(0, length));
  }
}

TEST(SqlConstants, AParameterNumberBeyondReasonIsNoReasonToOverflow) {
  const auto split = split_constants("SELECT $99999999999999999999, 1, $4294967295");
  ASSERT_TRUE(split);
  EXPECT_LE(split->parameters, 65'535U);
}

}  // namespace
}  // namespace understudy::replayer
