// understudy show, as a user runs it.
#include <Poco/JSON/Parser.h>
#include <gmock/gmock.h>

#include <fstream>

#include "tests/replayer/support.h"

namespace understudy::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Poco::JSON::Object::Ptr parsed(const std::string& text) {
  return Poco::JSON::Parser().parse(text).extract<Poco::JSON::Object::Ptr>();
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

class ShowTest : public RecordingTest {
 protected:
  ShowTest() {
    begin_segment(1, 1);
    open_session(kA, 1'000'000'000);
    from_server(kA, 1'001'000'000, ready());
    from_client(kA, 1'002'000'000, query("select 1"));
    from_server(kA, 1'003'000'000, row_description({"a"}) + row({"1"}) + complete("SELECT 1") + ready());
    open_session(kB, 2'000'000'000);
    gap(kB, 2'500'000'000, {GapReason::kOverload, 2'400'000'000, 2'500'000'000, 1000, 24, 7});
    close_as(kB, 3'000'000'000, CloseReason::kServerLeft, "end of file");
    close_session(kA, 4'000'000'000);
    seal();
    EXPECT_FALSE(writer_->append_loss({GapReason::kDiskError, 1, 2, 3, 4, 5, "No space left on device"}));
    finish_and_save();
  }
};

TEST_F(ShowTest, ListsSessions) {
  const Outcome outcome = run("show");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, IsEmpty());
  const auto rows = lines(outcome.out);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_THAT(rows[0], HasSubstr("SESSION  OPENED"));
  EXPECT_THAT(
      rows[1],
      testing::ContainsRegex(
          "1\\.1  1970-01-01T00:00:01.000Z +3 s  alice  shop  +till  +192.0.2.7:49152 .*the client left"));
  EXPECT_THAT(rows[2], testing::ContainsRegex("1\\.2 .*1 \\(1 KiB\\)  the server left: end of file"));
}

TEST_F(ShowTest, ListsSessionsAsOneJsonDocument) {
  const auto document = parsed(run("show", {"--json"}).out);
  const auto sessions = document->getArray("sessions");
  ASSERT_EQ(sessions->size(), 2U);
  const auto first = sessions->getObject(0);
  EXPECT_EQ(first->getValue<std::string>("session"), "1.1");
  EXPECT_EQ(first->getValue<int>("requests"), 1);
  EXPECT_EQ(first->getValue<std::int64_t>("duration_ns"), 3'000'000'000);
  EXPECT_EQ(sessions->getObject(1)->getValue<int>("gap_bytes"), 1024);
}

TEST_F(ShowTest, ASessionsMessagesAreALineEach) {
  const Outcome outcome = run("show", {"--session", "1.1"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(
      lines(outcome.out),
      ElementsAre(
          HasSubstr("+0.000000  --      opened  from 192.0.2.7:49152 to 127.0.0.1:5432, user = alice"),
          "     +0.001000  server  ReadyForQuery  idle", "     +0.002000  client  Query  select 1",
          "     +0.003000  server  RowDescription  a 0", "     +0.003000  server  DataRow  '1'",
          "     +0.003000  server  CommandComplete  SELECT 1", "     +0.003000  server  ReadyForQuery  idle",
          "     +3.000000  --      closed  the client left"));
}

TEST_F(ShowTest, ASessionsMessagesAreOneJsonDocument) {
  const auto document = parsed(run("show", {"--session", "1.1", "--json"}).out);
  EXPECT_EQ(document->getArray("items")->size(), 8U);
  EXPECT_EQ(document->getValue<std::string>("hole"), "");
}

TEST_F(ShowTest, AGapIsShownAndWhatComesBehindItToo) {
  const Outcome outcome = run("show", {"--session", "1.2"});
  EXPECT_THAT(outcome.out, HasSubstr("gap  overload: 7 events, 1000 B of the client and 24 B of the server"));
  EXPECT_THAT(outcome.out, HasSubstr("closed  the server left: end of file"));
  EXPECT_THAT(outcome.out, HasSubstr("not shown as messages: they come behind a gap"));
}

TEST_F(ShowTest, LongLinesAreAbridgedUnlessAskedFor) {
  begin_segment(1, 2);
  open_session(kC, 100);
  from_client(kC, 110, query("select '" + std::string(5000, 'x') + "'"));
  seal();
  finish_and_save();
  EXPECT_THAT(lines(run("show", {"--session", "1.3"}).out)[1].size(), testing::Le(240U));
  EXPECT_THAT(lines(run("show", {"--session", "1.3", "--full"}).out)[1].size(), testing::Gt(5000U));
}

TEST_F(ShowTest, TheTableFitsTheTerminalUnlessAskedForAllOfIt) {
  begin_segment(1, 2);
  SessionDescriptor named = descriptor(kC, 100, std::string(40, 'u'));
  named.startup_parameters[1].second = std::string(40, 'd');
  named.startup_parameters[2].second = std::string(40, 'a');
  open_as(named);
  close_as(kC, 110, CloseReason::kServerLeft, std::string(200, 'e'));
  seal();
  finish_and_save();
  for (const char* width : {"200", "150", "100", "80", "40"}) {
    const TerminalColumns terminal(width);
    const auto rows = lines(run("show").out);
    for (const std::string& row : rows) EXPECT_LE(row.size(), std::stoul(width)) << row;
    const std::size_t a_session = rows.size() / 4;
    EXPECT_EQ(a_session > 1, std::string(width) != "200") << "broken only if it must be";
    EXPECT_EQ(rows.size(), a_session * 4);
  }
  const TerminalColumns terminal("100");
  EXPECT_THAT(run("show").out, HasSubstr("aaaaa..."));
  for (const char whole : {'u', 'd', 'a'})
    EXPECT_THAT(run("show", {"--full"}).out, HasSubstr(std::string(40, whole)));
  EXPECT_EQ(lines(run("show", {"--full"}).out).size(), 4U);
}

// The first rows decide how wide columns are: later ones are to have room, and do not have more.
TEST_F(ShowTest, LaterRowsOfALongTableFitToo) {
  begin_segment(1, 2);
  for (std::uint32_t i = 1; i <= 300; ++i) {
    const SessionId session{1, 100 + i};
    open_as(descriptor(session, 5'000'000'000 + i, i < 290 ? "u" : std::string(20, 'u')));
    close_session(session, 5'000'000'400);
  }
  seal();
  finish_and_save();
  EXPECT_THAT(run("show").out, HasSubstr(std::string(20, 'u')));
  const TerminalColumns terminal("100");
  const Outcome outcome = run("show");
  EXPECT_EQ(lines(outcome.out).size(), 2 * 303U);
  for (const std::string& row : lines(outcome.out)) EXPECT_LE(row.size(), 100U) << row;
}

TEST_F(ShowTest, StatisticsAreWrapped) {
  begin_segment(1, 2);
  open_session(kC, 100);
  from_client(kC, 110,
              parse("", "x") + bind("", "") + describe('P', "") + execute("") + close('P', "") + sync() +
                  copy_data("") + copy_done() + function_call(1) + terminate());
  seal();
  finish_and_save();
  const TerminalColumns terminal("80");
  const std::string text = run("show", {"--stats"}).out;
  for (const std::string& line : lines(text)) EXPECT_LE(line.size(), 80U) << line;
  for (const char* expected : {"Query 1", "Parse 1", "FunctionCall 1", "Terminate 1"})
    EXPECT_THAT(text, HasSubstr(expected));
  EXPECT_THAT(text, HasSubstr(",\n" + std::string(28, ' '))) << "under the first of them";
}

TEST_F(ShowTest, TimesAndLimitsNarrowTheView) {
  EXPECT_THAT(lines(run("show", {"--limit", "1"}).out), ElementsAre(HasSubstr("SESSION"), HasSubstr("1.1")));
  EXPECT_THAT(lines(run("show", {"--user", "nobody"}).out), ElementsAre(HasSubstr("SESSION")));
  EXPECT_EQ(lines(run("show", {"--session", "1.1", "--from", "2ms", "--until", "3ms"}).out).size(), 1U);
  EXPECT_EQ(lines(run("show", {"--session", "1.1", "--until", "1970-01-01T00:00:01.0015Z"}).out).size(), 2U);
  EXPECT_EQ(lines(run("show", {"--session", "1.1", "--limit", "3"}).out).size(), 3U);
}

TEST_F(ShowTest, StatisticsSayWhatWasSaidAndWhatIsMissing) {
  const Outcome outcome = run("show", {"--stats"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* expected :
       {"sessions                  2", "requests                  1, answered with 0 errors",
        "gaps, overload            1 session, 7 events, 1 KiB (1 gap event)",
        "lost, disk error          3 sessions, 4 events, 5 B (1 loss record)", "Query 1", "DataRow 1"})
    EXPECT_THAT(outcome.out, HasSubstr(expected));
  const auto json = parsed(run("show", {"--stats", "--json"}).out);
  EXPECT_EQ(json->getObject("missing")->getObject("overload")->getValue<int>("gap_bytes"), 1024);
  EXPECT_EQ(json->getObject("missing")->getObject("disk error")->getValue<int>("loss_sessions"), 3);
  EXPECT_EQ(json->getObject("messages")->getObject("client")->getValue<int>("Query"), 1);
  EXPECT_EQ(json->getValue<int>("sessions_closed"), 2);
}

TEST_F(ShowTest, WhatIsNotReadAsMessagesIsTold) {
  begin_segment(1, 2);
  open_session(kC, 5'000'000'000);
  gap(kC, 5'100'000'000, {GapReason::kCaptureLoss, 5'000'000'000, 5'100'000'000, 10, 20, 3});
  from_client(kC, 5'200'000'000, query("select 2"));
  gap(kC, 5'300'000'000, {GapReason::kDiskError, 5'200'000'000, 5'300'000'000, 10, 20, 3});
  from_client(kC, 5'400'000'000, query("select 3"));
  seal();
  finish_and_save();
  const Outcome outcome = run("show");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("14 B of 1 session could not be read as messages"));
  EXPECT_THAT(run("show", {"--stats"}).out, HasSubstr("not read as messages      14 B, behind gaps"));
  const auto json = parsed(run("show", {"--stats", "--json"}).out);
  EXPECT_EQ(json->getValue<int>("requests"), 2);
  EXPECT_EQ(json->getValue<int>("bytes_not_read"), 14);
  const auto session = parsed(run("show", {"--json"}).out)->getArray("sessions")->getObject(2);
  EXPECT_EQ(session->getValue<int>("requests"), 1);
  EXPECT_EQ(session->getValue<int>("bytes_not_read"), 14);
  EXPECT_EQ(parsed(run("show", {"--top", "--json"}).out)->getValue<int>("bytes_not_read"), 14);
}

TEST_F(ShowTest, WhatCarriesMarksIsNoSession) {
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) std::filesystem::remove(entry);
  begin_segment(1, 1);
  event(SessionId{}, 90, EventKind::kMark, "before");
  open_session(kA, 100);
  event(SessionId{}, 110, EventKind::kMark, "after");
  close_session(kA, 120);
  seal();
  finish_and_save();
  EXPECT_THAT(run("show", {"--stats"}).out, HasSubstr("sessions                  1\n"));
  EXPECT_EQ(parsed(run("show", {"--stats", "--json"}).out)->getValue<int>("sessions"), 1);
  EXPECT_THAT(run("verify").out, HasSubstr("1 session, 1 chunk, 4 events"));
  EXPECT_THAT(run("show", {"--marks"}).out, HasSubstr("before"));
}

TEST_F(ShowTest, AnUncleanSegmentIsReadAndSaidSo) {
  begin_segment(2, 1);
  open_session({2, 1}, 100);
  seal();
  save();  // no index, no footer
  EXPECT_THAT(run("show").out, HasSubstr("2.1"));
  const std::string text = run("show", {"--stats"}).out;
  EXPECT_THAT(text, HasSubstr("unclean segments          1"));
  EXPECT_THAT(text, HasSubstr("lost, disk error")) << "of the others";
  std::filesystem::remove(directory_ / "000001-000001.transcript");
  EXPECT_THAT(run("show", {"--stats"}).out,
              HasSubstr("left out by the recorder  not known: 1 segment was not closed"));
}

TEST_F(ShowTest, StatisticsOfNothingSayNothingMore) {
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) std::filesystem::remove(entry);
  std::ofstream(directory_ / "000001-000001.transcript").flush();
  const Outcome outcome = run("show", {"--stats"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, testing::StartsWith("Recording that was only just begun\n"));
  EXPECT_THAT(outcome.out, HasSubstr("nothing recorded"));
  for (const char* pointless : {"compression", "messages: \n", "1970"})
    EXPECT_THAT(outcome.out, Not(HasSubstr(pointless)));
  EXPECT_FALSE(parsed(run("show", {"--stats", "--json"}).out)->has("from"));
}

TEST_F(ShowTest, DamageIsToldByFileAndOffset) {
  begin_segment(1, 2);
  open_session(kC, 100);
  seal();
  finish();
  flip_byte(chunk_ends_[0] - 1);
  save();
  const Outcome outcome = run("show");
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err,
              testing::ContainsRegex("000001-000002.transcript, offset [0-9]+: chunk body: checksum"));
  EXPECT_THAT(outcome.err, HasSubstr("1 session whose opening is lost to damage is not listed"));
  EXPECT_EQ(run("show", {"--stats"}).code, 3);
}

TEST_F(ShowTest, ADamagedHeaderIsToldByFileAndOffset) {
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) std::filesystem::remove(entry);
  begin_segment(1, 1);
  open_session(kC, 100);
  close_session(kC, 110);
  seal();
  finish();
  flip_byte(60);
  save();
  for (const std::vector<std::string>& options : {std::vector<std::string>{}, {"--stats"}}) {
    const Outcome outcome = run("show", options);
    EXPECT_EQ(outcome.code, 3);
    EXPECT_THAT(outcome.err, HasSubstr("000001-000001.transcript, offset 0: damaged header; "));
  }
  const std::string text = run("show", {"--stats"}).out;
  EXPECT_THAT(text, testing::StartsWith("Recording whose id is not known: its header is damaged\n"));
  EXPECT_THAT(text, HasSubstr("sessions                  1"));
}

TEST_F(ShowTest, AConditionThatHoldsForNothingIsToldAndIsNoFault) {
  for (const std::vector<std::string>& view : {std::vector<std::string>{}, {"--top"}}) {
    std::vector<std::string> options = view;
    options.insert(options.end(), {"--where", "user = nobody"});
    const Outcome outcome = run("show", options);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.err, "understudy show: --where: nothing matched\n");
    options.back() = "user = alice";
    EXPECT_THAT(run("show", options).err, IsEmpty());
  }
}

TEST_F(ShowTest, BadUsageIsSaidAndGives2) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"--session", "17"}, "RUN.NUMBER"},
      {{"--from", "lunch"}, "--from \"lunch\""},
      {{"--limit", "0"}, "--limit 0"},
      {{"--limit", "many"}, "--limit \"many\" is not a whole number, such as 20"},
      {{"--limit", "-1"}, "--limit \"-1\" is not a whole number"},
      {{"--stats", "--user", "x"}, "--stats and --user"},
      {{"--session", "1.1", "--client", "x"}, "--session and --client"},
      {{"--nonsense"}, "nonsense"},
      {{"another"}, "one RECORDING"},
  };
  for (const auto& [options, expected] : cases) {
    const Outcome outcome = run("show", options);
    EXPECT_EQ(outcome.code, 2) << expected;
    EXPECT_THAT(outcome.err, HasSubstr(expected));
    EXPECT_THAT(outcome.err, HasSubstr("See understudy show --help."));
  }
  EXPECT_EQ(run_command({"show"}).code, 2);
}

TEST_F(ShowTest, WhatIsNotThereIsSaidAndGives1) {
  EXPECT_EQ(run("show", {"--session", "9.9"}).code, 1);
  EXPECT_THAT(run("show", {"--session", "9.9"}).err, HasSubstr("no session 9.9 in it"));
  const Outcome missing = run_command({"show", path() + "/nowhere"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("nowhere: no such file"));
}

TEST_F(ShowTest, HelpSaysWhatTheFirstColumnCountsFrom) {
  EXPECT_THAT(run_command({"show", "--help"}).out,
              HasSubstr("first column of --session is seconds since that session opened"));
}

TEST_F(ShowTest, EveryCommandsHelpNamesItsExitCodes) {
  for (const char* command : {"show", "verify", "export"}) {
    const Outcome outcome = run_command({command, "--help"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("Exit codes: 0"));
    EXPECT_THAT(outcome.out, HasSubstr("understudy " + std::string(command) + " RECORDING"));
  }
}

}  // namespace
}  // namespace understudy::test
