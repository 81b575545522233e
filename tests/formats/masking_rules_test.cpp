// Rules files: what each line means, and what is wrong with those that mean nothing.
#include "formats/masking/rules.h"

#include <gtest/gtest.h>

namespace understudy::masking {
namespace {

std::string problem(std::string_view text) {
  try {
    (void)Rules(text, "rules");
  } catch (const RulesError& error) {
    return error.what();
  }
  return "";
}

TEST(MaskingRules, AreReadLineByLine) {
  const Rules rules(
      "# who\ncolumn Email   # of any table\r\n\ncolumn users.\"SSN\" as person\ntype UUID\n"
      "pattern [a-z]+ as [0-9]# as codes\n",
      "rules");
  ASSERT_EQ(rules.all().size(), 4U);
  EXPECT_EQ(rules.for_column({"orders"}, "email")->text(), "column email");
  EXPECT_EQ(rules.for_column({"users"}, "SSN")->family, "person");
  EXPECT_EQ(rules.for_column({"orders"}, "SSN"), nullptr);
  EXPECT_EQ(rules.for_column({}, "SSN")->table, "users");
  EXPECT_EQ(rules.for_type(2950)->line, 5U);
  EXPECT_EQ(rules.for_type(23), nullptr);
  EXPECT_EQ(rules.for_text("xx as 7#")->family, "codes");
  EXPECT_EQ(rules.for_text("XX"), nullptr);
}

// Taken for a part of it, a comment would have the expression found nowhere, and everything pass.
TEST(MaskingRules, ACommentBehindAPatternIsNoPartOfIt) {
  const Rules rules("pattern [a-z.]+@[a-z.]+\t# mails\npattern x[#]y as person # and\n", "rules");
  EXPECT_EQ(rules.all()[0].text(), "pattern [a-z.]+@[a-z.]+");
  EXPECT_EQ(rules.all()[1].text(), "pattern x[#]y as person");
  EXPECT_NE(rules.for_text("a@b.c"), nullptr);
}

TEST(MaskingRules, OfAWholeRowAreThoseThatMayBeOfItsTable) {
  const Rules rules("column users.ssn\n", "rules");
  EXPECT_NE(rules.for_whole_row({"users"}), nullptr);
  EXPECT_EQ(rules.for_whole_row({"orders"}), nullptr);
}

TEST(MaskingRules, TellColumnsOfTables) {
  const Rules rules("column ssn\ntable Users (id,SSN , \"Last Name\")  # in order\ntable o(a)", "rules");
  EXPECT_EQ(rules.all().size(), 1U);
  EXPECT_EQ(rules.tables().at("users"), (std::vector<std::string>{"id", "ssn", "Last Name"}));
  EXPECT_EQ(rules.tables().at("o"), std::vector<std::string>{"a"});
  for (const char* const wrong :
       {"t", "t (", "(a)", "s.t (a)", "t ()", "t (a, a)", "t (a,)  b", "t (a,, b)", "t (a) as f"})
    EXPECT_NE(problem(std::string("column a\ntable ") + wrong).find("line 2"), std::string::npos) << wrong;
  EXPECT_NE(problem("column a\ntable t (a)\ntable T (b)").find("line 3"), std::string::npos);
  EXPECT_NE(problem("table t (a)").find("no rule in it"), std::string::npos);
}

TEST(MaskingRules, ThatMeanNothingAreToldWithFileAndLine) {
  EXPECT_EQ(problem("\n\ncolum a"),
            "rules, line 3: \"colum\" begins no rule; column, type, pattern and table do");
  EXPECT_NE(problem("column"), "");
  EXPECT_NE(problem("column a b"), "");
  EXPECT_NE(problem("column s.t.c"), "");
  EXPECT_NE(problem("column t."), "");
  EXPECT_NE(problem("type frobnicator").find("line 1"), std::string::npos);
  EXPECT_NE(problem("pattern [").find("POSIX"), std::string::npos);
  EXPECT_NE(problem("pattern (a)\\1").find("back-references"), std::string::npos);
  EXPECT_EQ(problem("pattern a\\\\1"), "");
  for (const char* const same : {"\\w+@\\s", "a\\.b", "[.-]x", "[[:digit:]]+", "[]a]\\."})
    EXPECT_EQ(problem(std::string("pattern ") + same), "") << same;
  for (const char* const other : {"\\d+", "a\\b", "[\\w]", "[^]\\d]", "\\<a", "[[:alpha:]\\d]", "[\\]]"})
    EXPECT_NE(problem(std::string("pattern ") + other).find("everywhere"), std::string::npos) << other;
  EXPECT_NE(problem("").find("no rule"), std::string::npos);
}

}  // namespace
}  // namespace understudy::masking
