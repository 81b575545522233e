// stderr logs with every kind of prefix, given or told from the lines; whole and harmed.

#include "formats/logs/log_line_prefix.h"
#include "formats/logs/prefix_detection.h"
#include "formats/logs/stderr_log.h"
#include "tests/formats/log_fixture.h"

namespace understudy::logs {
namespace {

MakeParser with_prefix(const std::string& prefix) {
  return [prefix](LogHandler& handler) { return std::make_unique<StderrLog>(handler, prefix); };
}

struct Fields {
  std::string user, database, application, client, process, session, sqlstate;
};

// What a server would write for a session.
std::string written(const std::string& prefix, const Fields& of, bool of_session = true) {
  std::string out;
  for (std::size_t at = 0; at < prefix.size(); ++at) {
    if (prefix[at] != '%') {
      out += prefix[at];
      continue;
    }
    switch (prefix[++at]) {
      case 'm':
        out += "2026-11-24 13:31:07.123 UTC";
        break;
      case 't':
        out += "2026-11-24 13:31:07 UTC";
        break;
      case 'n':
        out += "1795527067.123";
        break;
      case 's':
        out += "2026-11-24 13:31:04 UTC";
        break;
      case 'u':
        out += of.user;
        break;
      case 'd':
        out += of.database;
        break;
      case 'a':
        out += of.application;
        break;
      case 'h':
        out += of.client.substr(0, of.client.find('('));
        break;
      case 'r':
        out += of.client;
        break;
      case 'p':
        out += of.process;
        break;
      case 'c':
        out += of.session;
        break;
      case 'e':
        out += of.sqlstate;
        break;
      case 'l':
        out += "17";
        break;
      case 'v':
        out += "3/456";
        break;
      case 'x':
      case 'Q':
        out += "0";
        break;
      case 'i':
        out += "SELECT";
        break;
      case 'b':
        out += of_session ? "client backend" : "checkpointer";
        break;
      case 'q':
        if (!of_session) return out;
        break;
      default:
        break;
    }
  }
  return out;
}

constexpr const char* kPrefixes[] = {"%m [%p] ",
                                     "%m [%p] %q%u@%d ",
                                     "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
                                     "%m|%u|%d|%c|",
                                     "%t:%r:%u@%d:[%p]:",
                                     "%n %c %u %d %a ",
                                     "%m %p %q[user=%u,db=%d,app=%a] ",
                                     "[%p] %m <%u@%d> %e: ",
                                     "%m [%p]: %l client=%r,user=%u,db=%d,vxid=%v,xid=%x,sqlstate=%e ",
                                     "%c;%m;%d;%u;%r;",
                                     "%m %b[%p] %v %q%a ",
                                     "%t-%c-",
                                     "%m-%c-"};

Fields alice() { return {"alice", "shop", "web app", "127.0.0.1(50000)", "6699", "67440000.1a2b", "00000"}; }

TEST(LogLinePrefixTest, ReadsWhatItWasWrittenWith) {
  const Fields of = alice();
  for (const char* const text : kPrefixes) {
    const LogLinePrefix prefix(text);
    LogRecord record;
    const std::string line = written(text, of) + "LOG:  statement: select 'ERROR:  x'";
    const auto message = prefix.read(line, record);
    ASSERT_TRUE(message) << text;
    EXPECT_EQ(*message, "statement: select 'ERROR:  x'") << text;
    EXPECT_EQ(record.severity, "LOG");
    if (prefix.has('u')) {
      EXPECT_EQ(record.user, "alice") << text;
    }
    if (prefix.has('d')) {
      EXPECT_EQ(record.database, "shop") << text;
    }
    if (prefix.has('a')) {
      EXPECT_EQ(record.application, "web app") << text;
    }
    if (prefix.has('p')) {
      EXPECT_EQ(record.process, "6699") << text;
    }
    if (prefix.has('c')) {
      EXPECT_EQ(record.session, "67440000.1a2b") << text;
    }
    if (prefix.has('r')) {
      EXPECT_EQ(record.client, "127.0.0.1(50000)") << text;
    }
  }
}

TEST(LogLinePrefixTest, NamesMayHoldWhatFollowsThem) {
  const LogLinePrefix prefix("%m [%p] %u@%d %a ");
  LogRecord record;
  const auto message =
      prefix.read("2026-11-24 13:31:07.123 UTC [7] a@b@shop one LOG:  two ERROR:  division by zero", record);
  ASSERT_TRUE(message);
  EXPECT_EQ(record.user, "a");  // the first way to read it
  EXPECT_EQ(record.database, "b@shop");
  EXPECT_EQ(*message, "two ERROR:  division by zero");
}

TEST(LogLinePrefixTest, PaddedFields) {
  const LogLinePrefix prefix("%m %8p %-10u|%d ");
  LogRecord record;
  ASSERT_TRUE(prefix.read("2026-11-24 13:31:07.123 UTC     6699 alice     |shop LOG:  x", record));
  EXPECT_EQ(record.process, "6699");
  EXPECT_EQ(record.user, "alice");
}

TEST(LogLinePrefixTest, AHostileLineEnds) {
  const LogLinePrefix prefix("%u%d%a%h%u%d%a%h ");
  LogRecord record;
  EXPECT_FALSE(prefix.read(std::string(100'000, ' '), record));
  EXPECT_FALSE(prefix.read(std::string(100'000, 'x') + "LOG: ", record));
}

std::vector<std::string> sample(const char* prefix) {
  const Fields of = alice();
  Fields other = of;
  other.user = "bob-2";
  other.database = "stock";
  other.client = "[local]";
  other.process = "71";
  other.session = "67440010.47";
  const Fields nobody{"", "", "", "", "50", "67430000.32", "00000"};
  std::vector<std::string> lines = {written(prefix, nobody, false) + "LOG:  checkpoint starting: time"};
  for (const Fields& one : {of, other}) {
    lines.push_back(written(prefix, one) + "LOG:  connection authorized: user=" + one.user +
                    " database=" + one.database + " application_name=x");
    for (int n = 0; n < 5; ++n) lines.push_back(written(prefix, one) + "LOG:  statement: select 1");
    lines.push_back("\tfrom t");
    lines.push_back(written(prefix, one) + "ERROR:  relation \"x\" does not exist");
    lines.push_back(written(prefix, one) + "STATEMENT:  select 1");
  }
  return lines;
}

TEST(PrefixDetectionTest, TellsWhatMattersFromTheLines) {
  for (const char* const text : kPrefixes) {
    const std::string found = detect_prefix(sample(text));
    ASSERT_FALSE(found.empty()) << text;
    const LogLinePrefix prefix(found);
    const LogLinePrefix wanted(text);
    std::size_t unread = 0;
    for (const std::string& line : sample(text)) {
      LogRecord record;
      LogRecord expected;
      if (line.front() == '\t') continue;
      if (!prefix.read(line, record)) {
        ++unread;
        continue;
      }
      ASSERT_TRUE(wanted.read(line, expected));
      EXPECT_EQ(record.user, expected.user) << text << " as " << found;
      EXPECT_EQ(record.database, expected.database) << text << " as " << found;
      EXPECT_EQ(record.process, expected.process) << text << " as " << found;
      EXPECT_EQ(record.session, expected.session) << text << " as " << found;
      EXPECT_EQ(record.message, expected.message);
    }
    EXPECT_LE(unread, 1U) << text << " as " << found;  // of no session
  }
}

// Lines of a server with Azure's prefix, then of one with pgBadger's.
TEST(PrefixDetectionTest, DashesAndConstantsAreThePrefixsOwn) {
  for (const char* const zone : {"GMT", "-03", "+0530"}) {
    const std::string time = "2026-11-29 19:24:30 " + std::string(zone);
    EXPECT_EQ(detect_prefix(std::vector<std::string>{
                  time + "-6b0c7bee.517c-LOG:  connection authorized: user=ann database=shop",
                  time + "-6b0c7bee.517c-LOG:  statement: select 2",
                  time + "-6b0c7bf0.5180-ERROR:  division by zero"}),
              "%t-%c-")
        << zone;
  }
  EXPECT_EQ(detect_prefix(std::vector<std::string>{
                "2026-11-29 19:24:30 UTC [7]: [1-1] user=ann,db=shop LOG:  statement: select 1",
                "2026-11-29 19:24:30 UTC [7]: [2-1] user=ann,db=shop LOG:  statement: select 2"}),
            "%t [%p]: [%l-1] user=%u,db=%d ");
}

TEST(PrefixDetectionTest, SessionsMustBeToldApart) {
  EXPECT_EQ(detect_prefix(std::vector<std::string>{"2026-11-24 13:31:07.123 UTC LOG:  x"}), "");
  EXPECT_EQ(detect_prefix(std::vector<std::string>{"Nov 24 13:31:07 host kernel: x", ""}), "");
  EXPECT_EQ(detect_prefix({}), "");
}

// Many candidates, and each can be read into most lines in very many ways, none of which fits.
TEST(PrefixDetectionTest, LinesMadeToTakeLongDoNot) {
  const auto line = [](int fields, const char* end) {
    std::string out = "2026-11-24 13:31:07.123 UTC [7] ";
    for (int n = 0; n < fields; ++n) out += "u=a ";
    return out + end;
  };
  std::vector<std::string> lines;
  for (int n = 0; n < 1900; ++n) lines.push_back(line(90, "LOX:  x"));
  for (int n = 3; n < 63; ++n) lines.push_back(line(n, "LOG:  x"));
  // Were it to try every way to read them, it would not come to an end.
  EXPECT_TRUE(detect_prefix(lines).starts_with("%m [%p] u=%u u=%u u=%u "));
}

// What is told of a prefix does not hang on how long the line behind it is.
TEST(LogLinePrefixTest, ALongLineTakesNoLongerThanItsPrefix) {
  const LogLinePrefix prefix("%a@%u@%d %m ");
  std::string line = "x@";
  for (int n = 0; n < 400; ++n) line += "y@";
  LogRecord record;
  std::uint64_t work = 0;
  EXPECT_FALSE(prefix.read(line, record, work));
  EXPECT_GT(work, 400U);
  line.append(std::size_t{32} << 20, 'z');
  std::uint64_t work_of_long = 0;
  EXPECT_FALSE(prefix.read(line, record, work_of_long));
  EXPECT_EQ(work_of_long, work);
}

TEST(StderrLogTest, AdditionsAndFurtherLines) {
  const std::string prefix = "2026-11-24 13:31:07.123 UTC [7] ";
  const std::string text = prefix + "LOG:  execute s: select $1,\n\t2\n\t\n" + prefix +
                           "DETAIL:  parameters: $1 = 'two\n\tlines'\n" + prefix + "ERROR:  bad\n" + prefix +
                           "DETAIL:  d\n" + prefix + "HINT:  h\n" + prefix + "CONTEXT:  c\n\tc2\n" + prefix +
                           "LOCATION:  f, x.c:1\n\tignored\n" + prefix + "STATEMENT:  select $1,\n\t2\n";
  for (const char* const given : {"%m [%p] ", ""}) {
    const Collector read = read_log(with_prefix(given), text);
    ASSERT_EQ(read.records.size(), 2U);
    EXPECT_EQ(read.records[0].message, "execute s: select $1,\n2\n");
    EXPECT_EQ(read.records[0].detail, "parameters: $1 = 'two\nlines'");
    EXPECT_EQ(read.records[1].severity, "ERROR");
    EXPECT_EQ(read.records[1].detail, "d");
    EXPECT_EQ(read.records[1].hint, "h");
    EXPECT_EQ(read.records[1].context, "c\nc2");
    EXPECT_EQ(read.records[1].statement, "select $1,\n2");
    EXPECT_TRUE(read.problems.empty()) << read.text();
  }
}

// As PostgreSQL 15 wrote it.
TEST(StderrLogTest, VerboseRecordsBeginWithTheirSqlstate) {
  const std::string prefix = "2026-11-29 19:31:54.324 UTC [23582] postgres@postgres ";
  const std::string location = prefix + "LOCATION:  exec_simple_query, postgres.c:1019\n";
  const std::string text = prefix + "LOG:  00000: connection authorized: user=postgres database=postgres\n" +
                           prefix + "LOCATION:  PerformAuthentication, postinit.c:296\n" + prefix +
                           "LOG:  00000: statement: select 'multi\n" + "\t\tline';\n" + location + prefix +
                           "ERROR:  P0001: boo\n" + prefix + "DETAIL:  dd\n\tdd2\n" + prefix +
                           "LOCATION:  exec_stmt_raise, pl_exec.c:3891\n" + prefix +
                           "STATEMENT:  do $$ begin end $$;\n" + prefix + "LOG:  00000: duration: 0.053 ms\n";
  for (const char* const given : {"%m [%p] %u@%d ", ""}) {
    const Collector read = read_log(with_prefix(given), text);
    ASSERT_EQ(read.records.size(), 4U) << read.text();
    EXPECT_TRUE(read.problems.empty()) << read.text();
    EXPECT_EQ(read.records[0].message, "connection authorized: user=postgres database=postgres");
    EXPECT_EQ(read.records[1].message, "statement: select 'multi\n\tline';");
    EXPECT_EQ(read.records[1].sqlstate, "00000");
    EXPECT_EQ(read.records[2].message, "boo");
    EXPECT_EQ(read.records[2].sqlstate, "P0001");
    EXPECT_EQ(read.records[2].detail, "dd\ndd2");
    EXPECT_EQ(read.records[2].statement, "do $$ begin end $$;");
    EXPECT_EQ(read.records[3].message, "duration: 0.053 ms");  // what followed it was cut off
  }
}

TEST(StderrLogTest, AMessageThatLooksVerboseStaysWhole) {
  const Collector read = read_log(with_prefix("%m [%p] "),
                                  "2026-11-24 13:31:07.123 UTC [7] ERROR:  STOCK: none left\n"
                                  "2026-11-24 13:31:07.123 UTC [7] STATEMENT:  select take()\n");
  ASSERT_EQ(read.records.size(), 1U);
  EXPECT_EQ(read.records[0].message, "STOCK: none left");
  EXPECT_EQ(read.records[0].sqlstate, "");
}

TEST(StderrLogTest, LinesThatCannotBeReadAreToldAndNothingElseIsLost) {
  const std::string prefix = "2026-11-24 13:31:07.123 UTC [7] ";
  const Collector read = read_log(with_prefix("%m [%p] "),
                                  "\ta rest\n" + prefix + "LOG:  statement: one\nsomething else\n\tof it\n" +
                                      prefix + "STATEMENT:  lost\n" + prefix + "LOG:  statement: tw");
  ASSERT_EQ(read.records.size(), 2U) << read.text();
  EXPECT_EQ(read.records[1].message, "statement: tw");
  ASSERT_EQ(read.problems.size(), 3U);
  EXPECT_EQ(read.problems[0].first, 1U);
  EXPECT_EQ(read.problems[1].first, 3U);
  EXPECT_EQ(read.problems[2].first, 5U);
}

TEST(StderrLogTest, AnAdditionOfAnotherProcessIsNotMine) {
  const Collector read = read_log(with_prefix("%m [%p] "),
                                  "2026-11-24 13:31:07.123 UTC [7] LOG:  statement: one\n"
                                  "2026-11-24 13:31:07.123 UTC [8] DETAIL:  x\n");
  ASSERT_EQ(read.records.size(), 1U);
  EXPECT_EQ(read.records[0].detail, "");
  EXPECT_EQ(read.problems.size(), 1U);
}

TEST(StderrLogTest, EveryTruncation) {
  const std::string prefix = "2026-11-24 13:31:07.123 UTC [7] ";
  const std::string text =
      prefix + "LOG:  execute s: select $1,\n\t2\n" + prefix + "DETAIL:  parameters: $1 = 'x'\n";
  for (std::size_t length = 0; length <= text.size(); ++length) {
    Collector read;
    StderrLog log(read, "%m [%p] ");
    log.feed(as_bytes(std::string_view(text).substr(0, length)));
    log.finish();
    EXPECT_LE(read.records.size(), 1U);
    EXPECT_LE(read.problems.size(), 1U);
  }
}

TEST(StderrLogTest, WhatIsTooLongIsPassedOver) {
  const std::string prefix = "2026-11-24 13:31:07.123 UTC [7] ";
  std::string many = prefix + "LOG:  statement: x\n";
  for (int n = 0; n < 2000; ++n) many += "\tmore\n";
  const MakeParser bounded = [](LogHandler& handler) {
    return std::make_unique<StderrLog>(handler, "%m [%p] ", "", 4096);
  };
  for (const std::string& long_one : {many, prefix + "LOG:  statement: " + std::string(5000, 'y') + "\n"}) {
    const Collector read = read_log(bounded, long_one + prefix + "LOG:  statement: last\n");
    ASSERT_EQ(read.records.size(), 1U) << read.text();
    EXPECT_EQ(read.records[0].message, "statement: last");
    EXPECT_EQ(read.problems.size(), 1U);
  }
}

}  // namespace
}  // namespace understudy::logs
