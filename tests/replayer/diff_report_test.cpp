// The report as a stranger reads it on a terminal: what first, how wide, and nothing a terminal obeys.
#include "replayer/diff_report.h"

#include <gmock/gmock.h>

#include <regex>
#include <sstream>

#include "replayer/readable.h"
#include "tests/replayer/diff_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

namespace backend = wire::backend;

class DiffReportTest : public DiffTest {
 protected:
  std::string report(const DiffReportOptions& options = {}) {
    compare();
    std::ostringstream out;
    print_diff(out, result, {a.recording(), b.recording(), paired_by}, options);
    return out.str();
  }
  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  }
  static void expect_fit_for_a_terminal(const std::string& text, std::size_t columns = 100) {
    for (const std::string& line : lines(text)) {
      EXPECT_LE(line.size(), columns) << line;
      EXPECT_EQ(readable_text(line, 10'000), line) << "control characters or half ones";
    }
  }
  static std::size_t place(const std::string& text, const std::string& what) {
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what << " in\n" << text;
    return at;
  }
};

TEST_F(DiffReportTest, SameIsTheFirstWord) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  both_leave();
  const std::string text = report();
  EXPECT_THAT(text, StartsWith("Same: 1 exchange of 1 session compared, 1 row\n"));
  EXPECT_THAT(text, HasSubstr("B replays A"));
  EXPECT_THAT(text, Not(HasSubstr("Next:")));
  expect_fit_for_a_terminal(text);
}

TEST_F(DiffReportTest, ARecordingThatWasNotClosedIsCalledSo) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  both_leave();
  a.not_closed();
  const std::string text = report();
  EXPECT_THAT(text, StartsWith("Same: "));
  EXPECT_TRUE(result.complete()) << "what is there is the same";
  EXPECT_EQ(text.find("It was not closed"), text.rfind("It was not closed")) << text;
  EXPECT_LT(place(text, "It was not closed"), place(text, "  B  "));
  expect_fit_for_a_terminal(text);
}

TEST_F(DiffReportTest, SameInPartSaysSo) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  a.gap();
  both_leave();
  const std::string text = report();
  EXPECT_THAT(text, StartsWith("Same, as far as it could be compared: 1 exchange"));
  EXPECT_THAT(text, HasSubstr("in 1 session, A: a gap"));
}

TEST_F(DiffReportTest, SummaryThenExamplesBiggestFirstThenLatencyThenWhatNext) {
  both_open();
  asked("SELECT a FROM small", Server().rows({"1"}), Server().rows({"2"}));
  for (int i = 0; i < 3; ++i)
    asked("SELECT a FROM large WHERE id = 7", Server().rows({"1"}), Server().error("42P01", "gone").ready());
  both_leave();
  const std::string text = report();
  EXPECT_THAT(text,
              StartsWith("Different: 4 differences in 4 exchanges\n  4 exchanges of 1 session compared"));
  const std::size_t summary = place(text, "Differences ");
  const std::size_t large = place(text, "1. new error, 3 times\n     SELECT a FROM large WHERE id = $1\n");
  const std::size_t small = place(text, "2. rows, 1 time\n     SELECT a FROM small\n");
  const std::size_t latency = place(text, "Latency, A -> B");
  const std::size_t next = place(text, "understudy show ");
  EXPECT_LT(summary, large);
  EXPECT_LT(large, small);
  EXPECT_LT(small, latency);
  EXPECT_LT(latency, next);
  EXPECT_THAT(text, HasSubstr("     asked  SELECT a FROM large WHERE id = 7\n"));
  EXPECT_THAT(text, HasSubstr("     B      ERROR 42P01: gone\n"));
  EXPECT_THAT(text, HasSubstr("session 1.1 (in B 1.1), exchange 2, "));
  EXPECT_THAT(text, HasSubstr("--session 1.1\n"));
  expect_fit_for_a_terminal(text);
}

TEST_F(DiffReportTest, AStatementWithoutConstantsIsNotPrintedTwice) {
  both_open();
  asked("SELECT a FROM t", Server().rows({"1"}), Server().rows({"2"}));
  both_leave();
  const std::string text = report({.examples = 10, .statements = 0});
  EXPECT_EQ(place(text, "SELECT a FROM t"), text.rfind("SELECT a FROM t"));
}

TEST_F(DiffReportTest, ChangedRowsNameTheColumn) {
  both_open();
  asked("SELECT id, price FROM product",
        Server().columns({"id", "price"}).row({"7", "8.75"}).tag("SELECT 1").ready(),
        Server().columns({"id", "price"}).row({"7", "99.99"}).tag("SELECT 1").ready());
  both_leave();
  EXPECT_THAT(report(), HasSubstr("     rows   1 changed, 0 only in A, 0 only in B\n"
                                  "       in   price\n"
                                  "        A   7 | 8.75\n"
                                  "        B   7 | 99.99\n"));
}

TEST_F(DiffReportTest, ParametersAreShown) {
  both_open();
  both_ask(Client().ask("SELECT a FROM t WHERE id = $1", {"7"}).sync());
  a.answers(Server().prepared().row({"1"}).tag("SELECT 1").ready());
  b.answers(Server().prepared().row({"2"}).tag("SELECT 1").ready());
  both_leave();
  EXPECT_THAT(report(), HasSubstr("     with   '7'\n"));
}

TEST_F(DiffReportTest, AnotherOrderWithoutOrderByIsExplained) {
  both_open();
  asked("SELECT a FROM t", Server().rows({"1", "2"}), Server().rows({"2", "1"}));
  asked("SELECT a FROM u order by a", Server().rows({"1", "2"}), Server().rows({"2", "1"}));
  both_leave();
  const std::string text = report();
  const std::size_t hint = place(text, "It has no ORDER BY");
  EXPECT_EQ(hint, text.rfind("It has no ORDER BY"));
  EXPECT_LT(hint, place(text, "SELECT a FROM u order by a"));
}

TEST_F(DiffReportTest, NoLineIsTooWideAndNothingCommandsTheTerminal) {
  std::string horrid =
      "\x1b]0;owned\x07\xc2\x9b"
      "31m";
  for (int i = 0; i < 100; ++i) horrid += "größer漢🐘\n\t\xff";
  a.session(1, {.user = horrid, .settings = {{"x", horrid}}});
  b.session(1, replaying(a, 1, {.user = horrid, .settings = {{"x", "y"}}}));
  const std::string sql = "SELECT '" + horrid + "' AS \"" + horrid + "\" FROM \"" + horrid + "\"";
  const auto answer = [&](const std::string& cell) {
    return Server().columns({horrid, "b"}).row({horrid, cell}).row({horrid + cell, cell}).tag(horrid).ready();
  };
  asked(sql, answer("1" + horrid), answer("2" + horrid));
  asked(sql, answer("1"), Server().error("12\x1b[", horrid, "ERR\x07").ready());
  asked("SET x", Server().notice(horrid).tag("SET").ready(), Server().tag("SET").ready());
  both_ask(Client().ask(sql, {horrid, horrid}).sync());
  a.answers(Server().prepared().tag("SELECT 1").ready());
  b.answers(Server().prepared().tag(horrid).ready());
  a.answers(Server().notification(horrid, horrid));
  both_leave();
  b.session(2, replaying(a, 77, {.user = horrid, .database = horrid}));
  const std::string text = report({.examples = 100, .statements = 100});
  expect_fit_for_a_terminal(text);
  for (const std::size_t columns : {80, 132}) {
    std::ostringstream out;
    print_diff(out, result, {a.recording(), b.recording(), paired_by},
               {.examples = 100, .statements = 100, .columns = columns});
    expect_fit_for_a_terminal(out.str(), columns);
  }
  EXPECT_THAT(text, HasSubstr("größer"));
}

TEST_F(DiffReportTest, LatencyIsOfBothSides) {
  both_open();
  a.asks(Client().query("SELECT 1")).after(5 * kMillisecond).answers(Server().rows({"1"}));
  b.asks(Client().query("SELECT 1")).after(9 * kMillisecond).answers(Server().rows({"1"}));
  both_leave();
  const std::string text = report();
  EXPECT_THAT(text, HasSubstr("5 ms -> 9 ms"));
  EXPECT_THAT(text, HasSubstr("(all statements)"));
}

TEST_F(DiffReportTest, LatencyHasAColumnForEachPercentile) {
  both_open();
  for (int n = 1; n <= 100; ++n) {
    a.asks(Client().query("SELECT 1")).after(n <= 90 ? 1000 : n * 1000).answers(Server().rows({"1"}));
    b.asks(Client().query("SELECT 1")).after(1000).answers(Server().rows({"1"}));
  }
  both_leave();
  const std::string text = report();
  EXPECT_THAT(text, HasSubstr("calls"));
  EXPECT_TRUE(std::regex_search(
      text, std::regex(" 100 +1 us -> 1 us +9[567]\\S* us -> 1 us +(99|10)\\S* us -> 1 us")))
      << text;
}

TEST_F(DiffReportTest, WithoutExamplesNothingIsSaidOfTheFirst) {
  both_open();
  asked("SELECT a FROM t", Server().rows({"1"}), Server().rows({"2"}));
  both_leave();
  EXPECT_THAT(report({.examples = 0}), Not(HasSubstr("Next:")));
}

TEST_F(DiffReportTest, SessionsLeftOutOnPurposeMayBeIgnoredWhichIsSaid) {
  both_open();
  both_leave();
  a.session(2).leaves();
  const std::string text = report();
  EXPECT_LT(place(text, "sessions only A has"), place(text, "--ignore-unpaired"));
  expect_fit_for_a_terminal(text);
}

TEST_F(DiffReportTest, IgnoredSessionsAreNotToBeIgnoredAgain) {
  both_open();
  both_leave();
  a.session(2).leaves();
  compare(true);
  std::ostringstream out;
  print_diff(out, result, {a.recording(), b.recording(), paired_by}, {});
  EXPECT_THAT(out.str(), HasSubstr("sessions only A has"));
  EXPECT_THAT(out.str(), Not(HasSubstr("--ignore-unpaired")));
}

TEST_F(DiffReportTest, NothingRecordedHasNoDate) {
  const std::string text = report();
  EXPECT_THAT(text, StartsWith("Nothing was compared\n"));
  EXPECT_THAT(text, HasSubstr("nothing recorded"));
  EXPECT_THAT(text, Not(HasSubstr("1970")));
}

TEST_F(DiffReportTest, OptionsLimitExamplesAndStatements) {
  both_open();
  for (int i = 0; i < 5; ++i)
    asked("SELECT a FROM t" + std::to_string(i), Server().rows({"1"}), Server().rows({"2"}));
  both_leave();
  const std::string text = report({.examples = 2, .statements = 3});
  EXPECT_THAT(text, HasSubstr("(2 of 5; --examples N shows more)"));
  EXPECT_THAT(text, Not(HasSubstr("  3. rows")));
  EXPECT_THAT(text, HasSubstr("of the 3 of 5 statements"));
}

}  // namespace
}  // namespace understudy::replayer
