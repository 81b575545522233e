// export to pgreplay, pgbench and tables, and show --top, on sessions written by hand: what came of each
// statement, what is left out, and that it is counted.
#include <gmock/gmock.h>

#include <fstream>

#include "replayer/export/pgreplay_export.h"
#include "tests/formats/capture_fixture.h"
#include "tests/replayer/support.h"

namespace understudy::test {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kParsed = empty('1');
const std::string kBound = empty('2');

class ExportFormatsTest : public RecordingTest {
 protected:
  ExportFormatsTest() {
    begin_segment(1, 1);
    open_session(kA, 100);
    from_server(kA, ++time_, setting("client_encoding", "UTF8") + ready());
  }
  void say(const std::string& asked, const std::string& answered, SessionId session = kA) {
    if (!asked.empty()) from_client(session, time_ += 1000, asked);
    if (!answered.empty()) from_server(session, time_ += 1000, answered);
  }
  Outcome exported(const std::string& format, std::vector<std::string> options = {}) {
    if (!saved_) {
      close_session(kA, ++time_);
      seal();
      finish_and_save();
      saved_ = true;
    }
    options.insert(options.begin(), {"--format", format});
    return run("export", options);
  }
  std::string file(const std::string& name) const {
    std::ifstream in(directory_ / "out" / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::vector<std::string> into_directory() const { return {"--output", (directory_ / "out").string()}; }

  std::vector<std::string> into_directory_of(const std::string& format) const {
    return format == "pgreplay" ? std::vector<std::string>() : into_directory();
  }

  TimeNs time_ = 1000;
  bool saved_ = false;
};

TEST_F(ExportFormatsTest, PgreplayReadsWhatAServerWouldHaveLogged) {
  say(query("select 'it''s, \"quoted\"'"), complete("SELECT 1") + ready());
  say(parse("p", "insert into t values ($1, $2)", {23, 0}) +
          bind("", "p", {{std::string("\0\0\0\7", 4), true}, {"it's"}}) + execute("") + sync(),
      kParsed + kBound + complete("INSERT 0 1") + ready());
  say(bind("", "p", {{"8"}, {"", false, true}}) + execute("") + sync(),
      kBound + complete("INSERT 0 1") + ready());
  const Outcome outcome = exported("pgreplay");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr(",LOG,00000,\"connection authorized: user=alice database=shop\","));
  EXPECT_THAT(outcome.out, HasSubstr(",1.1,"));
  EXPECT_THAT(outcome.out, HasSubstr("\"statement: select 'it''s, \"\"quoted\"\"'\","));
  EXPECT_THAT(outcome.out,
              HasSubstr("\"execute p: insert into t values ($1, $2)\",\"parameters: $1 = '7', $2 = "
                        "'it''s'\","));
  EXPECT_THAT(outcome.out, HasSubstr("\"parameters: $1 = '8', $2 = NULL\","));
  EXPECT_THAT(outcome.out, HasSubstr("\"disconnection: session time"));
  EXPECT_THAT(outcome.err, HasSubstr("3 statements of 1 session"));
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    std::size_t commas = 0;
    bool quoted = false;
    for (const char c : line) {
      quoted = quoted != (c == '"');
      commas += c == ',' && !quoted ? 1 : 0;
    }
    EXPECT_EQ(commas, 22U) << line;
  }
}

TEST_F(ExportFormatsTest, PgreplayIsNotToldOfWhatTheServerDidNotRunNorOfWhatItCannotRead) {
  say(parse("", "insert 1") + bind("", "") + execute("") + parse("", "bad") + bind("", "") + execute("") +
          parse("", "insert 3") + bind("", "") + execute("") + sync(),
      kParsed + kBound + complete("INSERT 0 1") + error("42601", "bad") + ready());
  say(query("prepare p as select $1"), complete("PREPARE") + ready());
  say(query("copy t from stdin"), copy_in_response());
  say(copy_data("1\n") + copy_done(), complete("COPY 1") + ready());
  const Outcome outcome = exported("pgreplay");
  EXPECT_THAT(outcome.out, HasSubstr("insert 1"));
  EXPECT_THAT(outcome.out, HasSubstr("execute <unnamed>: bad"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("insert 3")));
  EXPECT_THAT(outcome.err, HasSubstr("left out 1: not run, after an error before it in its pipeline"));
  EXPECT_THAT(outcome.err, HasSubstr("left out 1: pgreplay could not read it"));
  EXPECT_THAT(outcome.err, HasSubstr("left out 1: COPY, which pgreplay passes over"));
}

TEST_F(ExportFormatsTest, PgreplayPreparesANameUsedAgainAnew) {
  for (const char* sql : {"select 1", "select 2"}) {
    say(parse("p", sql) + bind("", "p") + execute("") + close('S', "p") + sync(),
        kParsed + kBound + complete("SELECT 1") + empty('3') + ready());
  }
  const Outcome outcome = exported("pgreplay");
  EXPECT_THAT(outcome.out, HasSubstr("execute p: select 1"));
  EXPECT_THAT(outcome.out, HasSubstr("execute understudy_2: select 2"));
}

TEST(PgreplayTextTest, EndsOfLiteralsAreFound) {
  using replayer::pgreplay_can_read;
  for (const char* sql :
       {"", "select 1", "select 'a''b'", "select E'a\\'b'", "select $$ ' $$, $a$ $b$ $a$",
        "select \"a'\"\"b\" -- it's", "/* /* ' */ */ select 1", "select e.x from e", "select a$1"})
    EXPECT_TRUE(pgreplay_can_read(sql)) << sql;
  for (const char* sql : {"select 'a", "select E'a\\'", "select $1", "select $1, $2", "select \"a",
                          "/* /* */", "select $a$ $b$"})
    EXPECT_FALSE(pgreplay_can_read(sql)) << sql;
}

TEST_F(ExportFormatsTest, PgbenchGetsTransactionsWithTheirNumbersAsVariables) {
  for (const char* number : {"1", "2", "3"}) {
    say(query("begin"), complete("BEGIN") + ready('T'));
    say(query("update t set n = n + 10 where name = 'x' and id = " + std::string(number)),
        complete("UPDATE 1") + ready('T'));
    say(query("commit"), complete("COMMIT") + ready());
    say(parse("", "select $1, $2", {23, 25}) + bind("", "", {{"-" + std::string(number)}, {"it's"}}) +
            execute("") + sync(),
        kParsed + kBound + complete("SELECT 1") + ready());
  }
  say(query("bad"), error("42601", "bad") + ready());
  const Outcome outcome = exported("pgbench", into_directory());
  EXPECT_THAT(outcome.out, HasSubstr("pgbench -n -M simple -f "));
  EXPECT_THAT(outcome.out, HasSubstr("/transaction-1.sql@3 -f "));
  EXPECT_THAT(outcome.out, HasSubstr("/transaction-2.sql@3\n"));
  EXPECT_THAT(outcome.err, HasSubstr("6 transactions, 2 kinds of them"));
  EXPECT_THAT(outcome.err, HasSubstr("left out 1: a statement failed, or is not known to have run"));
  EXPECT_THAT(file("transaction-1.sql"),
              HasSubstr("\n\\set us_pick random(1, 3)\n\\set us_1 10\n"
                        "\\set us_2 CASE WHEN :us_pick = 1 THEN 1 WHEN :us_pick = 2 THEN 2 ELSE 3 END\n"
                        "begin;\nupdate t set n = n + :us_1 where name = 'x' and id = :us_2;\ncommit;\n"));
  EXPECT_THAT(file("transaction-2.sql"), HasSubstr("THEN -1 WHEN"));
  EXPECT_THAT(file("transaction-2.sql"), HasSubstr("\nselect (:us_1)::int4, 'it''s'::text;\n"));
}

TEST_F(ExportFormatsTest, PgbenchReadsStringsAsTheirSessionDid) {
  say(query("set standard_conforming_strings = off"),
      complete("SET") + setting("standard_conforming_strings", "off") + ready());
  say(query("select 'it\\'s', ';'"), complete("SELECT 1") + ready());
  say(query("set client_encoding = sjis"), complete("SET") + setting("client_encoding", "SJIS") + ready());
  say(query("select '\x95\x5c'"), complete("SELECT 1") + ready());
  say(parse("", "select $1") + bind("", "", {{"\x95\x5c"}}) + execute("") + sync(),
      kParsed + kBound + complete("SELECT 1") + ready());
  const Outcome outcome = exported("pgbench", into_directory());
  EXPECT_THAT(outcome.err, HasSubstr("left out 2: its client_encoding hides"));
  EXPECT_THAT(file("transaction-1.sql") + file("transaction-2.sql") + file("transaction-3.sql"),
              HasSubstr("\nselect E'it\\'s', ';';\n"));
}

TEST_F(ExportFormatsTest, PgbenchIsToldTheEncodingOfItsScripts) {
  const auto insert = [&](const std::string& text) {
    say(query("insert into t values ('" + text + "')"), complete("INSERT 0 1") + ready());
  };
  insert("ascii");
  insert("\xc3\xa9");
  say(query("set client_encoding = latin1"),
      complete("SET") + setting("client_encoding", "LATIN1") + ready());
  for (int n = 0; n < 2; ++n) insert("caf\xe9");
  insert("ascii too");
  const std::string commands = exported("pgbench", into_directory()).out;
  const std::size_t second = commands.find('\n') + 1;
  EXPECT_THAT(commands.substr(0, second),
              ::testing::StartsWith("PGCLIENTENCODING=LATIN1 pgbench -n -M simple -f "));
  EXPECT_THAT(commands.substr(0, second), HasSubstr("transaction-1.sql@2 -f "));
  EXPECT_THAT(commands.substr(second),
              ::testing::StartsWith("PGCLIENTENCODING=UTF8 pgbench -n -M simple -f "));
  EXPECT_THAT(file("transaction-1.sql"), HasSubstr("caf\xe9"));
}

TEST_F(ExportFormatsTest, PgbenchIsNotGivenWhatItWouldTakeForVariables) {
  for (const char* sql : {"select 'a:scale'", "select a[1:client_id]", "select 1 -- :us_1"})
    say(query(sql), complete("SELECT 1") + ready());
  say(parse("", "select $1") + bind("", "", {{"x:default_seed"}}) + execute("") + sync(),
      kParsed + kBound + complete("SELECT 1") + ready());
  // None of its own.
  say(query("select us_1, 'a:scales', '12:30' from b"), complete("SELECT 1") + ready());
  say(parse("", "select a[1:$1]", {23}) + bind("", "", {{"2"}}) + execute("") + sync(),
      kParsed + kBound + complete("SELECT 1") + ready());
  const Outcome outcome = exported("pgbench", into_directory());
  EXPECT_THAT(outcome.err, HasSubstr("left out 4: it has a colon and the name of a variable"));
  EXPECT_THAT(outcome.err, HasSubstr("2 transactions, 2 kinds of them"));
  EXPECT_THAT(file("transaction-1.sql") + file("transaction-2.sql"), HasSubstr("a[1: (:us_1)::int4]"));
}

TEST_F(ExportFormatsTest, PgbenchsCommandIsForAShell) {
  say(query("select 1"), complete("SELECT 1") + ready());
  const std::string directory = (directory_ / "it's o").string();
  const Outcome outcome = exported("pgbench", {"--output", directory});
  EXPECT_THAT(outcome.out, HasSubstr(" -f '" + (directory_ / "it'\\''s o/transaction-1.sql@1'\n").string()));
}

TEST_F(ExportFormatsTest, ALineThatEndsACopyIsToldInCsv) {
  say(query("select '\n\\.\n'"), complete("SELECT 1") + ready());
  say(query("select '\n\\.', '\n\\. '"), complete("SELECT 1") + ready());
  EXPECT_THAT(exported("csv", into_directory()).err, HasSubstr("1 text with a line that is only \\., where"));
  EXPECT_THAT(exported("ndjson", into_directory()).err, Not(HasSubstr("a line that is only")));
}

TEST_F(ExportFormatsTest, PgbenchDoesNotRunAgainWhatIsRunOnce) {
  for (const char* sql :
       {"drop table t", "select 1; create table t (x int)", "prepare p as select 1", "execute p"})
    say(query(sql), complete("OK") + ready());
  say(query("begin"), complete("BEGIN") + ready('T'));
  say(query("truncate t"), complete("TRUNCATE TABLE") + ready('T'));
  say(query("commit"), complete("COMMIT") + ready());
  const Outcome outcome = exported("pgbench", into_directory());
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("0 transactions, 0 kinds of them"));
  for (const char* command : {"CREATE", "DROP", "EXECUTE", "PREPARE", "TRUNCATE"})
    EXPECT_THAT(outcome.err, HasSubstr(std::string("left out 1: ") + command + "\n"));
}

TEST_F(ExportFormatsTest, PgbenchPicksAmongAllTransactionsOfAKind) {
  for (int i = 0; i < 1000; ++i)
    say(query("select " + std::to_string(1000 + i)), complete("SELECT 1") + ready());
  const Outcome outcome = exported("pgbench", into_directory());
  EXPECT_THAT(outcome.out, HasSubstr("transaction-1.sql@1000\n"));
  const std::string script = file("transaction-1.sql");
  EXPECT_THAT(script, HasSubstr("random(1, 100)"));
  EXPECT_THAT(script, testing::ContainsRegex("THEN 19[0-9][0-9] "));
}

// What is missing is heard as missing, to the byte; and what could not be placed is not there.
TEST_F(ExportFormatsTest, PcapngHasTheGapsOfARecording) {
  say(query("select 1"), complete("SELECT 1") + ready());
  gap(kA, ++time_, {GapReason::kCaptureLoss, 1, 2, 30, 4000, 5});
  say(query("select 2"), complete("SELECT 1") + ready());
  const Outcome outcome = exported("pcapng", {"--output", (directory_ / "out.pcapng").string()});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("; 1 gap"));
  std::ifstream in(directory_ / "out.pcapng", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  EXPECT_THAT(bytes, HasSubstr("not recorded: 30 bytes of the client, 4000 of the server (capture loss)"));
  capture::Heard heard;
  capture::Reassembler reassembler({}, heard);
  capture::CaptureFileParser parser;
  (void)parser.feed(as_bytes(bytes),
                    [&](const capture::CapturedPacket& packet) { reassembler.take(packet); });
  EXPECT_TRUE(parser.finish()) << parser.error();
  reassembler.finish();
  ASSERT_EQ(heard.conversations.size(), 1U);
  const capture::Heard::One& one = *heard.conversations.front();
  // The server's address is the lower one.
  EXPECT_EQ(one.lost[0], 4000U);
  EXPECT_EQ(one.lost[1], 30U);
  EXPECT_THAT(one.streams[0], HasSubstr(complete("SELECT 1") + ready() + "<4000>" + complete("SELECT 1")));
  EXPECT_THAT(one.streams[1], HasSubstr(query("select 1") + "<30>" + query("select 2")));
  EXPECT_EQ(one.end, capture::ConversationEnd::kClosed);
}

TEST_F(ExportFormatsTest, TablesTellWhatCameOfEachStatement) {
  say(query("select 1"), row({"1"}) + complete("SELECT 1") + ready());
  say(parse("", "selekt") + bind("", "") + execute("") + sync(), error("42601", "syntax error") + ready());
  say(parse("s", "selekt 2") + sync(), error("42601", "syntax error") + ready());
  say(query("never answered"), "");
  const Outcome outcome = exported("csv", into_directory());
  EXPECT_THAT(outcome.err, HasSubstr("1 session, 3 statements, 2 errors"));
  EXPECT_THAT(outcome.out, HasSubstr("CREATE TABLE understudy_statements (\n  \"session\" text,\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\\copy understudy_errors from '"));
  EXPECT_THAT(outcome.out, testing::StartsWith("\\set ON_ERROR_STOP on\nBEGIN;\n"));
  EXPECT_THAT(outcome.out, testing::EndsWith("\nCOMMIT;\n"));
  const std::string statements = file("statements.csv");
  EXPECT_THAT(statements, HasSubstr("\"1.1\",1,\"query\","));
  EXPECT_THAT(statements, HasSubstr(",1000,\"done\",\"SELECT 1\",1,,"));
  EXPECT_THAT(statements, HasSubstr(",\"failed\",,0,\"42601\","));
  EXPECT_THAT(statements, HasSubstr(",,,\"unknown\",,0,,"));
  EXPECT_THAT(statements, Not(HasSubstr("selekt 2")));
  EXPECT_THAT(file("errors.csv"), HasSubstr("\"1.1\",2,"));
  EXPECT_THAT(file("errors.csv"), HasSubstr("\"1.1\",,"));
  EXPECT_THAT(file("sessions.csv"), HasSubstr(",\"alice\",\"shop\",\"till\",\"192.0.2.7:49152\","));
}

// Behind it nothing has a place, and where its end would be is not known.
TEST_F(ExportFormatsTest, WhatIsBehindAHoleIsLeftOutAndCounted) {
  say(query("select 1"), complete("SELECT 1") + ready());
  seal();
  say(query("select 2"), complete("SELECT 1") + ready());
  seal();
  flip_byte(size() - 10);  // in the body of the second chunk
  say(query("select 3"), complete("SELECT 1") + ready());
  for (const char* format : {"pgreplay", "csv", "pgbench"}) {
    const Outcome outcome = exported(format, into_directory_of(format));
    EXPECT_THAT(outcome.err, HasSubstr("that could not be read as messages")) << format;
  }
  const Outcome outcome = exported("pcapng");
  EXPECT_THAT(outcome.err, HasSubstr("; 1 gap"));
  EXPECT_THAT(outcome.err, HasSubstr("left out "));
  capture::Heard heard;
  capture::Reassembler reassembler({}, heard);
  capture::CaptureFileParser parser;
  (void)parser.feed(as_bytes(outcome.out),
                    [&](const capture::CapturedPacket& packet) { reassembler.take(packet); });
  reassembler.finish();
  ASSERT_EQ(heard.conversations.size(), 1U);
  const capture::Heard::One& one = *heard.conversations.front();
  EXPECT_EQ(one.end, capture::ConversationEnd::kCaptureEnded);
  EXPECT_THAT(one.streams[1], HasSubstr("select 1"));
  EXPECT_THAT(one.streams[1], Not(HasSubstr("select 3")));
  EXPECT_THAT(run("show", {"--top", "--json"}).out, HasSubstr("\"bytes_not_read\":"));
}

TEST_F(ExportFormatsTest, TextThatIsNoUtf8IsDigitsAndCounted) {
  say(query("select '\xFF'"), complete("SELECT 1") + ready());
  const Outcome outcome = exported("ndjson", into_directory());
  EXPECT_THAT(file("statements.ndjson"), HasSubstr("\"statement\":\"\\\\x73656c65637420"));
  EXPECT_THAT(outcome.err, HasSubstr("1 text not UTF-8"));
  EXPECT_THAT(outcome.out, HasSubstr("jsonb_populate_record(NULL::understudy_statements, line)"));
}

TEST_F(ExportFormatsTest, TopCountsAFailedPrepareAsAnErrorOfItsStatement) {
  say(query("select 1"), row({"1"}) + complete("SELECT 1") + ready());
  say(query("select 22"), row({"22"}) + complete("SELECT 1") + ready());
  say(parse("s", "select from where") + sync(), error("42601", "syntax error") + ready());
  (void)exported("jsonl");
  const Outcome outcome = run("show", {"--top", "--by", "errors"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("select from where"));
  EXPECT_THAT(outcome.out, HasSubstr("select $1"));
  EXPECT_THAT(outcome.out,
              testing::ContainsRegex("2 us +100.0 % +2 +1 us +1 us +2 +[0-9]+ B +1 +.all 2 kinds.\n$"));
  const Outcome one = run("show", {"--top", "1", "--json"});
  EXPECT_THAT(one.out, HasSubstr("\"statement\":\"select $1\""));
  EXPECT_THAT(one.out,
              HasSubstr("\"calls\":2,\"total_ns\":2000,\"mean_ns\":1000,\"max_ns\":1000,\"rows\":2"));
  EXPECT_THAT(one.out, Not(HasSubstr("select from where")));
}

TEST_F(ExportFormatsTest, ASecondConditionDoesNotReplaceTheFirstUnsaid) {
  say(query("select 1"), complete("SELECT 1") + ready());
  finish_and_save();
  for (const Outcome& outcome :
       {run("show", {"--where", "user = a", "--where", "user = b"}),
        run("export", {"--format", "jsonl", "--where", "user = a", "--where", "user = b"})}) {
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("--where is given more than once: join the conditions by \"and\""));
  }
}

TEST_F(ExportFormatsTest, AConditionChoosesSessions) {
  say(query("select 1"), complete("SELECT 1") + ready());
  SessionDescriptor other = descriptor(kB, 50'000'000);
  other.startup_parameters = {{"user", "bob"}, {"database", "shop"}};
  time_ = 50'000'000;
  open_as(other);
  say(query("select 2"), error("40001", "again") + ready(), kB);
  close_session(kB, 60'000'000);
  time_ = 60'000'001;
  EXPECT_THAT(exported("jsonl", {"--where", "user = bob"}).out, Not(HasSubstr("select 1")));
  for (const char* condition : {"user = bob", "sqlstate = 40001", "statement contains 'select 2'",
                                "client = 192.0.2.0/24 "
                                "and not user = alice",
                                "time > 40ms", "session_bytes < 1MiB and user != alice"}) {
    const Outcome jsonl = exported("jsonl", {"--where", condition});
    EXPECT_THAT(jsonl.out, HasSubstr("select 2")) << condition << jsonl.err;
    EXPECT_THAT(jsonl.out, Not(HasSubstr("select 1"))) << condition;
    const Outcome sql = exported("sql", {"--where", condition});
    EXPECT_THAT(sql.out, HasSubstr("Session 1.2")) << condition;
    EXPECT_THAT(sql.out, Not(HasSubstr("Session 1.1"))) << condition;
    EXPECT_THAT(run("show", {"--where", condition, "--json"}).out, HasSubstr("\"session\":\"1.2\""))
        << condition;
    EXPECT_THAT(run("show", {"--where", condition, "--json"}).out, Not(HasSubstr("\"session\":\"1.1\"")))
        << condition;
  }
}

}  // namespace
}  // namespace understudy::test
