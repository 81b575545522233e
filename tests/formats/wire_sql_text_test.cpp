#include "formats/wire/sql_text.h"

#include <gtest/gtest.h>

namespace understudy::wire {
namespace {

TEST(WireSqlText, QuotesInIdentifiersAreDoubled) {
  EXPECT_EQ(quote_identifier("lines"), "\"lines\"");
  EXPECT_EQ(quote_identifier("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(quote_identifier("it's \\"), "\"it's \\\"");
  EXPECT_EQ(quote_identifier(""), "\"\"");
}

TEST(WireSqlText, QuotesInLiteralsAreDoubled) {
  EXPECT_EQ(quote_literal(""), "''");
  EXPECT_EQ(quote_literal("it's"), "'it''s'");
  EXPECT_EQ(quote_literal("''"), "''''''");
}

TEST(WireSqlText, BackslashesMeanTheSameWhateverTheSetting) {
  EXPECT_EQ(quote_literal("a\\b"), "E'a\\\\b'");
  EXPECT_EQ(quote_literal("\\'; --"), "E'\\\\''; --'");
}

TEST(WireSqlText, TextEndsAtANul) {
  EXPECT_EQ(quote_literal(std::string_view("a\0'\\", 4)), "'a'");
  EXPECT_EQ(quote_identifier(std::string_view("a\0\"", 3)), "\"a\"");
}

}  // namespace
}  // namespace understudy::wire
