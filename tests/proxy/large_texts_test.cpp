// Texts that would take long to be parsed: what is parsed of them, what is told by words alone, and what is
// not told at all. A worker serves nobody else meanwhile, so the rule is tested, and no clock.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "proxy/statement_traits.h"

namespace understudy::proxy {
namespace {

using K = EffectKind;

std::string times(std::size_t count, std::string_view text) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

// The one effect of a text that is not taken apart.
StatementEffect unread(std::string_view sql) {
  const StatementTraits traits = classify_statement(sql);
  EXPECT_FALSE(traits.understood) << sql.substr(0, 60);
  EXPECT_EQ(traits.statements.size(), 1U) << sql.substr(0, 60);
  if (traits.statements.empty()) return {};
  EXPECT_TRUE(traits.statements.front().may_write);
  EXPECT_FALSE(traits.statements.front().read_safe);
  return traits.statements.front();
}

constexpr std::uint8_t kAll = kHeldAnything | kUnseenSettings;

TEST(LargeTexts, ManyStatementsAreNotTakenApart) {
  EXPECT_EQ(unread(times(50'000, "set work_mem='1MB'; ")).unseen, kAll);
  EXPECT_EQ(unread(times(50'000, "select 1; ") + "set role postgres").unseen, kAll);
  EXPECT_EQ(unread(times(50'000, "select 1; ")).unseen, 0);
  EXPECT_EQ(unread(times(250'000, "end;")).unseen, 0);
  EXPECT_EQ(unread(times(1'000'000, ";")).unseen, 0);
}

TEST(LargeTexts, WhatMakesTheirSumLargeIsToldByWordsAndTheOthersAreParsed) {
  const StatementTraits traits =
      classify_statement(times(1000, "select 1; ") + "set role postgres; " + times(1000, "select a from t;"));
  EXPECT_TRUE(traits.understood);
  ASSERT_EQ(traits.statements.size(), 2001U);
  EXPECT_EQ(traits.statements[1000].kind, K::kSet);
  EXPECT_EQ(traits.statements[1000].name, "role");
  EXPECT_EQ(traits.statements[1000].text, "set role postgres");
  EXPECT_TRUE(traits.statements[0].read_safe);
  EXPECT_TRUE(traits.statements[2000].read_safe);
}

TEST(LargeTexts, SoManyAreParsedAndNoMore) {
  const StatementTraits traits = classify_statement(times(1000, "set work_mem = '1MB'; "));
  EXPECT_TRUE(traits.understood);
  ASSERT_EQ(traits.statements.size(), 1000U);
  const auto parsed = std::count_if(traits.statements.begin(), traits.statements.end(),
                                    [](const StatementEffect& effect) { return effect.kind == K::kSet; });
  EXPECT_GT(parsed, 100);
  EXPECT_LT(parsed, 250);
  EXPECT_EQ(traits.statements.back().unseen, kAll) << "what was not parsed may have changed anything";
  EXPECT_EQ(classify_statement(times(150, "set work_mem = '1MB'; ")).statements.back().kind, K::kSet);
}

TEST(LargeTexts, ALongLiteralIsStillParsed) {
  const StatementTraits traits =
      classify_statement("insert into t values (mine(1), '" + std::string(500'000, 'x') + "')");
  EXPECT_TRUE(traits.understood && traits.wrappable);
  EXPECT_EQ(traits.statements.at(0), (StatementEffect{.may_write = true, .opaque = true}));
}

TEST(LargeTexts, ALongListIsToldAsTheParserTellsIt) {
  const auto insert = [](std::string_view value, std::size_t rows) {
    return classify_statement("insert into t (a, temp) values (1, 2)" +
                              times(rows, ", (" + std::string(value) + ", 'x')"));
  };
  for (const std::size_t rows : {100U, 20'000U}) {
    for (const char* own : {"1", "now()", "nextval('s')"}) {
      const StatementTraits traits = insert(own, rows);
      EXPECT_TRUE(traits.understood && traits.wrappable) << own << rows;
      EXPECT_EQ(traits.statements.at(0), (StatementEffect{.may_write = true})) << own << rows;
    }
    const StatementTraits traits = insert("mine()", rows);
    EXPECT_TRUE(traits.understood && traits.wrappable) << rows;
    EXPECT_EQ(traits.statements.at(0), (StatementEffect{.may_write = true, .opaque = true})) << rows;
  }
}

TEST(LargeTexts, WhatNamesTheSessionsStateIsNotTakenForAPlainWrite) {
  const std::string list = times(3000, ", 1");
  EXPECT_EQ(classify_statement("select set_config('a.b', 'c', false)" + list).statements.at(0).unseen, kAll);
  EXPECT_EQ(classify_statement("select f(1)" + list + " into temp x").statements.at(0).unseen, kAll);
  EXPECT_EQ(classify_statement("select \"pg_advisory_lock\"(1)" + list).statements.at(0).unseen, kAll);
  EXPECT_EQ(classify_statement("insert into pg_temp.t select f(1)" + list).statements.at(0).unseen, kAll);
  EXPECT_EQ(classify_statement("create temp table t as select f(1)" + list).statements.at(0).unseen, kAll);
  EXPECT_EQ(classify_statement("call f(1" + list + ")").statements.at(0).unseen, kAll);
  EXPECT_EQ(classify_statement("select setseed(0.5)" + list).statements.at(0).name, "setseed()");
  EXPECT_EQ(classify_statement("prepare p as select f(1)" + list).statements.at(0).kind, K::kPin);
  EXPECT_EQ(classify_statement("create table t as select f(1)" + list).statements.at(0).unseen, 0);
  EXPECT_FALSE(
      classify_statement("insert into t values (set_config('a.b', 'c', false)" + list + ")").wrappable);
}

TEST(LargeTexts, StatementsWithinOthersArePartsOfThem) {
  const std::string rules =
      times(300, "create rule r as on insert to t do also (delete from u; update v set a = 1); ");
  EXPECT_EQ(unread(rules).kind, K::kNone);
  const std::string function =
      "create function f() returns int begin atomic " + times(1000, "select 1; ") + " end";
  EXPECT_EQ(unread(function).kind, K::kNone);
}

TEST(LargeTexts, DataMayStillFollow) {
  EXPECT_TRUE(classify_statement(times(50'000, "set a.b = 1; ") + "copy t from stdin").may_copy);
}

}  // namespace
}  // namespace understudy::proxy
