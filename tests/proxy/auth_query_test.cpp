// What an answer to auth_query is taken for; one test a hazard.
#include "proxy/auth_query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

using testing::HasSubstr;

QueryAnswer answer(QueryRow row, std::size_t rows = 1) { return {std::move(row), rows, {}, {}}; }

TEST(AuthQueryTest, ASecretIsWhatTheDatabaseHas) {
  const auto found = read_auth_answer("ada", answer({"ada", "md5" + std::string(32, '0')}));
  ASSERT_TRUE(found.secret);
  EXPECT_EQ(found.secret->md5, "md5" + std::string(32, '0'));
  EXPECT_EQ(found.wrong, "");
}

TEST(AuthQueryTest, NoRowAndNoSecretIsNobody) {
  for (const QueryAnswer& nobody : {answer({}, 0), answer({"ada", std::nullopt}), answer({"ada", ""})}) {
    const auto found = read_auth_answer("ada", nobody);
    EXPECT_FALSE(found.secret);
    EXPECT_EQ(found.wrong, "");
  }
}

TEST(AuthQueryTest, AnAnswerThatCannotBeMeantLetsNobodyIn) {
  const auto wrong = [](const QueryAnswer& said) {
    const auto found = read_auth_answer("ada", said);
    EXPECT_FALSE(found.secret);
    return found.wrong;
  };
  EXPECT_THAT(wrong(answer({"ada", "x"}, 2)), HasSubstr("more than one"));
  EXPECT_THAT(wrong(answer({"ada"})), HasSubstr("no row of"));
  EXPECT_THAT(wrong(answer({})), HasSubstr("no row of"));
  EXPECT_THAT(wrong(answer({"eve", "x"})), HasSubstr("another user"));
  EXPECT_THAT(wrong(answer({std::nullopt, "x"})), HasSubstr("another user"));
  EXPECT_THAT(wrong(answer({"ada", std::string(5000, 'x')})), HasSubstr("too long"));
}

}  // namespace
}  // namespace understudy::proxy
