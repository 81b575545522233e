// Text made to fit: counted in characters, cut between them, wrapped without a loss.
#include "replayer/text_width.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace understudy::replayer {
namespace {

TEST(TextWidth, LinesAreCutByCharactersNotBytes) {
  EXPECT_EQ(fitted("äöüäöü", 6), "äöüäöü");
  EXPECT_EQ(fitted("äöüäöüä", 6), "äöü...");
  EXPECT_EQ(fitted("abc", 2), "...");
  EXPECT_EQ(columns_of("äöü"), 3U);
}

TEST(TextWidth, TextIsWrappedAtBlanksAndIndented) {
  EXPECT_EQ(wrapped("one two three", 20, 2), "one two three");
  EXPECT_EQ(wrapped("one two three", 13, 2), "one two three");
  EXPECT_EQ(wrapped("one two three", 12, 2), "one two\n  three");
  EXPECT_EQ(wrapped("one two three four", 7, 2), "one two\n  three\n  four");
  EXPECT_EQ(wrapped("  a   b  c", 8, 4), "  a   b\n    c") << "blanks within a line stay, at its end they go";
  EXPECT_EQ(wrapped("größer größer", 6, 0), "größer\ngrößer");
  EXPECT_EQ(wrapped("", 6, 2), "");
}

TEST(TextWidth, ANameAndItsCountStayTogether) {
  EXPECT_EQ(wrapped("Query 12, Parse 3, Bind 3", 12, 0), "Query 12,\nParse 3,\nBind 3");
  EXPECT_EQ(wrapped("traffic in 131.5 KiB or so", 14, 0), "traffic\nin 131.5 KiB\nor so");
}

TEST(TextWidth, AWordThatIsTooLongIsLeftWhole) {
  EXPECT_EQ(wrapped("a /a/long/path b", 6, 1), "a\n /a/long/path\n b");
  EXPECT_EQ(wrapped("/a/long/path", 6, 1), "/a/long/path");
}

TEST(TextWidth, TheEnvironmentSaysHowWideATerminalIs) {
  const auto with = [](const char* columns) {
    ::setenv("COLUMNS", columns, 1);
    return output_columns(100);
  };
  EXPECT_EQ(with("80"), 80U);
  EXPECT_EQ(with("3"), 40U) << "nothing would fit";
  ::unsetenv("COLUMNS");
}

}  // namespace
}  // namespace understudy::replayer
