// What the cache of traits answers, and what it keeps.
#include <gtest/gtest.h>

#include "proxy/statement_traits.h"

namespace understudy::proxy {
namespace {

using K = EffectKind;

TEST(StatementTraitsCache, AnswersAsWithoutIt) {
  StatementTraitsCache cache;
  const std::string long_text = "SELECT '" + std::string(5000, 'x') + "'";
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(cache.of("BEGIN").statements.at(0).kind, K::kBegin);
    EXPECT_EQ(cache.of("SET a.b = 'c'").statements.at(0).text, "SET a.b = 'c'");
    EXPECT_TRUE(cache.of(long_text).statements.at(0).read_safe);
    EXPECT_FALSE(cache.of("no sql").understood);
  }
}

TEST(StatementTraitsCache, TakesForAnotherNothingThatNumbersMakeAnother) {
  StatementTraitsCache cache;
  const auto ask = [&](const std::string& sql) {
    (void)cache.of("");
    const StatementTraits got = cache.of(sql);
    const StatementTraits expected = classify_statement(sql);
    EXPECT_EQ(got.statements, expected.statements) << sql;
    EXPECT_EQ(got.understood, expected.understood) << sql;
    EXPECT_EQ(got.wrappable, expected.wrappable) << sql;
    EXPECT_EQ(got.may_copy, expected.may_copy) << sql;
  };
  for (int round = 0; round < 3; ++round) {
    for (const char* number :
         {"1", "22", "4294967296", "99999999999999999999", "0x1F", "1e5", "1_000", "5a"}) {
      for (const char* before : {"SELECT ", "SET a.b = ", "SELECT set_config('a.b', '", "FETCH ", "RELEASE s",
                                 "SELECT lo_creat(", "SELECT md", "SELECT E'\\", "SELECT $", "SELECT \"",
                                 "SELECT 1::float(", "INSERT INTO t VALUES (", "SELECT pg_advisory_lock("}) {
        for (const char* after : {"", ")", "', false)", "'", "\" FROM t", "(1)"})
          ask(std::string(before) + number + after);
      }
    }
  }
}

TEST(StatementTraitsCache, JudgesATextThatComesBackTwiceAtMost) {
  StatementTraitsCache cache;
  const std::string longer = "SELECT a FROM t WHERE b IN ('" + std::string(50'000, 'x') + "')";
  for (int round = 0; round < 10; ++round) {
    for (const auto& sql : {std::string("SELECT a FROM t WHERE b = ") + std::to_string(round),
                            std::string("UPDATE t SET a = $1 WHERE b = $2"), longer}) {
      EXPECT_EQ(cache.of(sql).statements, classify_statement(sql).statements);
    }
  }
  EXPECT_EQ(cache.judgements(), 6U);
}

TEST(StatementTraitsCache, JudgesTheLastTextOnceHoweverLongItIs) {
  StatementTraitsCache cache;
  const std::string longest = "SELECT '" + std::string(200'000, 'x') + "'";
  for (int round = 0; round < 10; ++round) EXPECT_TRUE(cache.of(longest).statements.at(0).read_safe);
  EXPECT_EQ(cache.judgements(), 1U);
}

TEST(StatementTraitsCache, ForgetsRatherThanKeepMoreThanItsBytes) {
  StatementTraitsCache cache;
  const auto text = [](int number) {
    return "SELECT '" + std::string(60'000, static_cast<char>('a' + number % 26)) + "', x" +
           std::to_string(number);
  };
  constexpr int kTexts = 1000;  // 60 MB
  for (int number = 0; number < kTexts; ++number) {
    (void)cache.of(text(number));
    (void)cache.of("SELECT between" + std::to_string(number));
    (void)cache.of(text(number));  // seen twice: kept
  }
  const std::uint64_t before = cache.judgements();
  (void)cache.of(text(kTexts - 1));
  EXPECT_EQ(cache.judgements(), before);  // the last is kept
  (void)cache.of(text(0));
  EXPECT_EQ(cache.judgements(), before + 1);  // the first was forgotten
}

TEST(StatementTraitsCache, ForgetsRatherThanGrows) {
  StatementTraitsCache cache;
  for (int i = 0; i < 10'000; ++i)
    EXPECT_TRUE(cache.of("SELECT " + std::to_string(i)).statements.at(0).read_safe);
  EXPECT_EQ(cache.of("COMMIT").statements.at(0).kind, K::kCommit);
}

}  // namespace
}  // namespace understudy::proxy
