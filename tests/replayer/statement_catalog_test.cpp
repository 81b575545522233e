// Kinds of statements: what belongs together, what must not, and what hostile texts may cost.
#include "replayer/statement_catalog.h"

#include <gmock/gmock.h>

namespace understudy::replayer {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(StatementCatalogTest, StatementsThatDifferInConstantsAreOneKind) {
  StatementCatalog catalog;
  const StatementId first = catalog.identify("SELECT * FROM t WHERE id = 7 AND name = 'ada'");
  EXPECT_TRUE(StatementCatalog::is_one_kind(first));
  EXPECT_EQ(catalog.identify("SELECT * FROM t WHERE id = 1000000 AND name = 'it''s'"), first);
  EXPECT_EQ(catalog.identify("select *  from t\n where id = -7.5e-3 and name = $$x$$"), first);
  EXPECT_EQ(catalog.text(first), "SELECT * FROM t WHERE id = $1 AND name = $2");
}

TEST(StatementCatalogTest, OtherTablesColumnsAndOperatorsAreOtherKinds) {
  StatementCatalog catalog;
  const StatementId first = catalog.identify("SELECT a FROM t1 WHERE id = 1");
  for (const char* const other :
       {"SELECT a FROM t2 WHERE id = 1", "SELECT b FROM t1 WHERE id = 1", "SELECT a FROM t1 WHERE id > 1",
        "SELECT a FROM t1 WHERE id = 1 OR id = 2", "SELECT a FROM \"T1\" WHERE id = 1"})
    EXPECT_NE(catalog.identify(other), first) << other;
}

TEST(StatementCatalogTest, AnExponentIsNoSubtraction) {
  StatementCatalog catalog;
  const StatementId constant = catalog.identify("SELECT 1e-5");
  EXPECT_NE(catalog.identify("SELECT 1-5"), constant);
  EXPECT_EQ(catalog.identify("SELECT 2E+17"), constant);
}

TEST(StatementCatalogTest, QuotesInQuotedIdentifiersAndTheOtherWayRoundArePairedRight) {
  EXPECT_EQ(StatementCatalog::skeleton(R"(SELECT "it's 5" FROM t WHERE a = 'x')"),
            R"(SELECT "it's 5" FROM t WHERE a = ')");
  EXPECT_EQ(StatementCatalog::skeleton(R"(SELECT 'say "hi' , 5, "c")"), R"(SELECT ' , 0, "c")");
}

TEST(StatementCatalogTest, ParametersAndDigitsInNamesAreNoConstants) {
  EXPECT_EQ(StatementCatalog::skeleton("SELECT c1 FROM t2 WHERE id = $1 AND n = 12.5 LIMIT 3"),
            "SELECT c1 FROM t2 WHERE id = $1 AND n = 0 LIMIT 0");
  EXPECT_EQ(StatementCatalog::skeleton("SELECT größe1 + 1"), "SELECT größe1 + 0");
}

TEST(StatementCatalogTest, TextsThatNeedAParserKeepTheirConstants) {
  for (const char* const text :
       {"SELECT 1 -- 'it", "SELECT /* 5 ' */ 1", R"(SELECT E'\' 5')", "SELECT $a$ ' 5 $a$"})
    EXPECT_EQ(StatementCatalog::skeleton(text), text);
}

TEST(StatementCatalogTest, WhatCannotBeParsedIsStillGrouped) {
  StatementCatalog catalog;
  const StatementId first = catalog.identify("SELEKT 5 FROM t WHERE name = 'a'");
  EXPECT_EQ(catalog.identify("SELEKT 6 FROM t WHERE name = 'b'"), first);
  EXPECT_EQ(catalog.text(first), "SELEKT 5 FROM t WHERE name = 'a'");
  EXPECT_NE(catalog.identify("SELEKT 5 FROM u"), first);
  EXPECT_NE(catalog.identify(""), first);
}

TEST(StatementCatalogTest, BeyondTheBoundKindsShareOneAndKnownOnesStayThemselves) {
  StatementCatalog catalog(3);
  std::vector<StatementId> ids;
  for (std::size_t i = 0; i < 10; ++i)
    ids.push_back(catalog.identify("SELECT * FROM " + std::string(i + 1, 't')));
  for (std::size_t i = 3; i < 10; ++i) EXPECT_EQ(ids[i], StatementCatalog::kOther);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(catalog.identify("SELECT * FROM " + std::string(i + 1, 't')), ids[i]);
}

TEST(StatementCatalogTest, ATextIsOneReadableLineOfBoundedLength) {
  StatementCatalog catalog;
  const std::string& bell = catalog.text(catalog.identify("SELECT\n\t a -- \x1b[31m\x07\n FROM t"));
  EXPECT_EQ(bell, "SELECT a -- \\x1b[31m\\x07 FROM t");
  const std::string& wide = catalog.text(catalog.identify("SELECT 1 AS " + repeated("größe", 200)));
  EXPECT_LE(wide.size(), 510U);
  EXPECT_THAT(wide, Not(HasSubstr("\\x")));
  EXPECT_TRUE(wide.ends_with("..."));
}

TEST(StatementCatalogTest, TextsThatWouldOverflowAParsersStackDoNot) {
  StatementCatalog catalog;
  for (const std::size_t times : {std::size_t{4'000}, std::size_t{100'000}}) {
    (void)catalog.identify("SELECT 1" + repeated("+1", times));
    (void)catalog.identify("SELECT x" + repeated("::a", times));
    (void)catalog.identify("SELECT " + repeated("(", times) + "1");
    (void)catalog.identify("SELECT " + repeated("- ", times) + "1");
    (void)catalog.identify("SELECT 1" + repeated(" UNION SELECT 1", times / 10));
  }
}

TEST(StatementCatalogTest, HugeTextsAreKnownByTheirBeginning) {
  StatementCatalog catalog;
  const StatementId first =
      catalog.identify("INSERT INTO t VALUES (1, 'a')" + repeated(", (2, 'b')", 50'000));
  EXPECT_EQ(catalog.identify("INSERT INTO t VALUES (7, 'x')" + repeated(", (8, 'y')", 60'000)), first);
  EXPECT_NE(catalog.identify("INSERT INTO u VALUES (7, 'x')" + repeated(", (8, 'y')", 60'000)), first);
}

TEST(StatementCatalogTest, ATextEndsAtItsNul) {
  StatementCatalog catalog;
  EXPECT_EQ(catalog.identify(std::string_view("SELECT a FROM t\0garbage", 23)),
            catalog.identify("SELECT a FROM t"));
}

}  // namespace
}  // namespace understudy::replayer
