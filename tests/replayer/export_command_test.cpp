// understudy export, as a user runs it: what is in a script, and what is said of what is not.
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

const std::string kParsed = empty('1');
const std::string kBound = empty('2');

class ExportTest : public RecordingTest {
 protected:
  ExportTest() {
    begin_segment(1, 1);
    open_session(kA, 100);
    from_server(kA, ++time_, setting("client_encoding", "UTF8") + ready());
  }
  // One piece of each side; times go on by themselves.
  void say(const std::string& asked, const std::string& answered) {
    if (!asked.empty()) from_client(kA, ++time_, asked);
    if (!answered.empty()) from_server(kA, ++time_, answered);
  }
  // The script without what every script begins with, and what was said about it.
  std::string script(const std::string& marker = "SET client_encoding TO 'UTF8';\n") {
    if (!saved_) {
      close_session(kA, ++time_);
      seal();
      finish_and_save();
      saved_ = true;
    }
    const Outcome outcome = run("export", {"--format", "sql"});
    EXPECT_EQ(outcome.code, 0);
    said_ = outcome.err;
    const std::size_t begin = outcome.out.find(marker);
    if (begin != std::string::npos) return outcome.out.substr(begin + marker.size());
    const std::size_t head = outcome.out.rfind("\n--\n");
    return outcome.out.substr(head + 4);
  }

  TimeNs time_ = 1000;
  bool saved_ = false;
  std::string said_;
};

TEST_F(ExportTest, SimpleQueriesAreStatements) {
  say(query("insert into t values (1)"), complete("INSERT 0 1") + ready());
  say(query("select 1; select 2"), complete("SELECT 1") + complete("SELECT 1") + ready());
  say(query(""), empty('I') + ready());
  EXPECT_EQ(script(), "insert into t values (1);\nselect 1\\;\nselect 2;\n");
  EXPECT_THAT(said_, HasSubstr("2 statements of 1 session"));
}

TEST_F(ExportTest, WhatFailedIsACommentAndACommitThatRolledBackIsARollback) {
  say(query("begin"), complete("BEGIN") + ready('T'));
  say(query("insert 1"), error("23505", "dup\nlicate") + ready('E'));
  say(query("/* commit */ COMMIT WORK"), complete("ROLLBACK") + ready());
  say(query("syntax ' error"), error("42601", "syntax error") + ready());
  say(query("insert 2"), error("", "of a log") + ready());
  EXPECT_EQ(script(),
            "begin;\n-- failed, 23505 dup\\nlicate: insert 1\n/* commit */ ROLLBACK WORK;\n"
            "-- failed, 42601 syntax error: syntax ' error\n-- failed, of a log: insert 2\n");
  EXPECT_THAT(said_, HasSubstr("3 comments of what was not run"));
}

TEST_F(ExportTest, ASessionThatNeverLoggedInIsACommentAndNoConnect) {
  say(query("insert 1"), complete("INSERT 0 1") + ready());
  open_session(kB, ++time_);
  from_server(kB, ++time_, error("3D000", "database \"no\nsuch\" does not exist"));
  close_session(kB, ++time_);
  open_session(kC, ++time_);  // its client left when it was asked for a password
  close_session(kC, ++time_);
  const std::string text = script();
  EXPECT_THAT(text, HasSubstr("--\n-- failed, 3D000 database \"no\\nsuch\" does not exist\n"));
  EXPECT_THAT(text, HasSubstr("--\n-- its login is not on record\n"));
  EXPECT_THAT(text, Not(HasSubstr("\\connect")));
  EXPECT_THAT(said_, HasSubstr("1 statement of 1 session, and 2 comments of what was not run"));
}

TEST_F(ExportTest, OfAQueryThatFailedInItsMiddleOnlyWhatLastedIsRun) {
  say(query("insert a; commit; insert b; bad"),
      complete("INSERT 0 1") + complete("COMMIT") + complete("INSERT 0 1") + error("42601", "x") + ready());
  say(query("insert c; bad"), complete("INSERT 0 1") + error("42601", "x") + ready());
  say(query("begin; insert d; bad"),
      complete("BEGIN") + complete("INSERT 0 1") + error("42601", "x") + ready('E'));
  EXPECT_EQ(script(),
            "insert a\\;\ncommit;\n-- failed, 42601 x: insert a; commit; insert b; bad\n"
            "-- failed, 42601 x: insert c; bad\n"
            "begin\\;\ninsert d;\n-- failed, 42601 x: begin; insert d; bad\n"
            "ROLLBACK;  -- the session ended in a transaction\n");
}

TEST_F(ExportTest, ParametersAreLiteralsOfTheTypesOnRecord) {
  say(parse("", "insert into t values ($1, $2, $3)", {23, 0, 17}) +
          bind("", "", {{std::string("\0\0\0\7", 4), true}, {"it's\\"}, {"", false, true}}) + execute("") +
          sync(),
      kParsed + kBound + complete("INSERT 0 1") + ready());
  // The server told the type when it was asked, earlier or later than the Bind.
  say(parse("s", "select $1") + describe('S', "s") + sync(),
      kParsed + parameter_types({2950}) + empty('n') + ready());
  say(bind("", "s", {{std::string(16, '\1'), true}}) + execute("") + sync(),
      kBound + complete("SELECT 1") + ready());
  EXPECT_EQ(script(),
            "insert into t values ('7'::int4, E'it''s\\\\', NULL::bytea);\n"
            "select '01010101-0101-0101-0101-010101010101'::uuid;\n");
}

TEST_F(ExportTest, ABinaryParameterOfUnknownTypeLeavesItsStatementOutAndIsCounted) {
  say(parse("", "insert into t values ($1)") + bind("", "", {{std::string("\0\1", 2), true}}) + execute("") +
          sync(),
      kParsed + kBound + complete("INSERT 0 1") + ready());
  say(parse("", "insert into t values ($1)", {16'500}) + bind("", "", {{std::string("\0\1", 2), true}}) +
          execute("") + sync(),
      kParsed + kBound + complete("INSERT 0 1") + ready());
  const std::string text = script("");
  EXPECT_THAT(text, HasSubstr("-- LEFT OUT, a binary parameter whose type is not on record: insert into t"));
  EXPECT_THAT(text, HasSubstr("-- LEFT OUT, a binary parameter of type 16500: insert into t"));
  EXPECT_THAT(said_, HasSubstr("left out 1: a binary parameter of type 16500"));
}

TEST_F(ExportTest, APipelineIsOneTransactionAsItWas) {
  say(parse("", "insert $1") + bind("", "", {{"1"}}) + execute("") + bind("", "", {{"2"}}) + execute("") +
          sync(),
      kParsed + kBound + complete("INSERT 0 1") + kBound + complete("INSERT 0 1") + ready());
  // With a transaction of its own, or inside of one, it needs none.
  say(parse("", "begin") + bind("", "") + execute("") + parse("", "insert 3") + bind("", "") + execute("") +
          sync(),
      kParsed + kBound + complete("BEGIN") + kParsed + kBound + complete("INSERT 0 1") + ready('T'));
  say(query("commit"), complete("COMMIT") + ready());
  EXPECT_EQ(script(),
            "BEGIN;  -- a pipeline, one transaction\ninsert '1';\ninsert '2';\nCOMMIT;\n"
            "begin;\ninsert 3;\ncommit;\n");
}

TEST_F(ExportTest, AFailedPipelineLeavesNothingBehind) {
  say(parse("", "insert $1") + bind("", "", {{"1"}}) + execute("") + bind("", "", {{"bad"}}) + execute("") +
          bind("", "", {{"3"}}) + execute("") + sync(),
      kParsed + kBound + complete("INSERT 0 1") + error("22P02", "invalid") + ready());
  say(bind("", "", {{"4"}}) + execute("") + sync(),
      kBound + complete("INSERT 0 1") + error("23503", "deferred") + ready());
  EXPECT_THAT(
      script(""),
      testing::EndsWith(
          "-- undone, by the error after it: insert $1\n-- failed, 22P02 invalid: insert $1\n"
          "-- not run, after the error before it: insert $1\n-- undone, by the error after it: insert $1\n"));
}

TEST_F(ExportTest, AParseThatFailedDoesNotTakeTheNameOfOneThatDidNot) {
  say(parse("s", "insert 1") + sync(), kParsed + ready());
  say(parse("s", "insert 2") + sync(), error("42P05", "exists") + ready());
  say(bind("", "s") + execute("") + sync(), kBound + complete("INSERT 0 1") + ready());
  EXPECT_EQ(script(), "insert 1;\n");
}

TEST_F(ExportTest, APortalFetchedInPartsRunsOnce) {
  say(parse("", "select * from t") + bind("", "") + execute("", 1),
      kParsed + kBound + row({"1"}) + empty('s'));
  say(execute("", 1) + sync(), row({"2"}) + complete("SELECT 1") + ready());
  EXPECT_THAT(script(), HasSubstr("select * from t;\n"));
  EXPECT_EQ(script().find("select"), script().rfind("select"));
}

TEST_F(ExportTest, CopyDataIsInlineAndAFailedCopyEndsTheScript) {
  say(query("copy t from stdin"), copy_in_response());
  say(copy_data("1\ta\n2\t") + copy_data("\\N\n\\.\n") + copy_done(), complete("COPY 2") + ready());
  say(query("copy t from stdin"), copy_in_response());
  say(copy_data("bad\n") + copy_done(), error("22P04", "bad") + ready());
  EXPECT_EQ(script(),
            "\\set understudy_on_error_stop :ON_ERROR_STOP\n\\set ON_ERROR_STOP on\ncopy t from stdin;\n"
            "1\ta\n2\t\\N\n\\.\n\\set ON_ERROR_STOP :understudy_on_error_stop\n"
            "-- failed, 22P04 bad: copy t from stdin\n");
}

TEST_F(ExportTest, WhatSqlCannotExpressIsAComment) {
  say(query("copy t from stdin binary"), copy_in_response(1));
  say(copy_data(std::string("PGCOPY\n\0", 8)) + copy_done(), complete("COPY 0") + ready());
  say(query("copy t from stdin csv"), copy_in_response());
  say(copy_data("\"\n\\.\n\"\n") + copy_done(), complete("COPY 1") + ready());
  say(function_call(952), empty('V') + ready());
  say(bind("", "elsewhere") + execute("") + sync(), kBound + complete("SELECT 1") + ready());
  say(query("select 1 \\! sh"), complete("SELECT 1") + ready());
  say(query("select never answered"), "");
  const std::string text = script("");
  EXPECT_THAT(text, HasSubstr("-- LEFT OUT, its COPY data is binary: copy t from stdin binary\n"));
  EXPECT_THAT(text, HasSubstr("-- LEFT OUT, its data goes on behind an end mark: copy t from stdin csv\n"));
  EXPECT_THAT(text, HasSubstr("-- LEFT OUT, a call by the function call protocol"));
  EXPECT_THAT(text, HasSubstr("-- LEFT OUT, its statement was prepared before the recording, or by SQL"));
  EXPECT_THAT(text, HasSubstr("-- LEFT OUT, it has a backslash outside quotes"));
  EXPECT_THAT(text, HasSubstr("-- LEFT OUT, its outcome is not on record: select never answered\n"));
  EXPECT_EQ(text.find("\n\\!"), std::string::npos);
  EXPECT_THAT(said_, HasSubstr("0 statements of 1 session"));
}

// psql would wait for the end of such a body for ever, and run nothing behind it.
TEST_F(ExportTest, ABodyInSqlsOwnWordsIsLeftOutAndWhatFollowsIsNot) {
  say(query("create function f() returns int\nBegin\n\tATOMIC select 1; select 2; END"),
      complete("CREATE FUNCTION") + ready());
  say(query("select f()"), complete("SELECT 1") + ready());
  const std::string text = script("");
  EXPECT_THAT(text,
              HasSubstr("-- LEFT OUT, it has a BEGIN ATOMIC body, whose end psql would not find: create"));
  EXPECT_THAT(text, HasSubstr("\nselect f();\n"));
  EXPECT_EQ(text.find("\nBegin"), std::string::npos) << "a comment is one line";
  EXPECT_THAT(said_, HasSubstr("1 statement of 1 session"));
}

TEST_F(ExportTest, ASessionInAnotherDatabaseIsConnectedToAndAReplicationIsLeftOut) {
  SessionDescriptor other = descriptor(kB, 50'000);
  other.startup_parameters = {{"user", "u\n\\! sh"}, {"database", "o'x\\y"}};
  open_as(other);
  from_server(kB, 50'001, ready());
  close_session(kB, 50'002);
  SessionDescriptor standby = descriptor(kC, 60'000);
  standby.startup_parameters.emplace_back("replication", "true");
  open_as(standby);
  SessionDescriptor odd = descriptor({1, 4}, 70'000);
  odd.startup_parameters = {{"database", "x\n\\! sh"}};
  open_as(odd);
  from_server({1, 4}, 70'001, ready());
  const std::string text = script("");
  EXPECT_THAT(text, HasSubstr("\\connect -reuse-previous=on 'dbname=''o\\\\''x\\\\\\\\y'''\n"));
  EXPECT_EQ(text.find("\n\\!"), std::string::npos);
  EXPECT_THAT(said_, HasSubstr("left out 1: a replication session"));
  EXPECT_THAT(said_, HasSubstr("left out 1: a session in a database with such a name"));
}

TEST_F(ExportTest, AHoleIsSaidInTheScript) {
  say(query("insert 1"), complete("INSERT 0 1") + ready());
  gap(kA, ++time_, {GapReason::kDiskError, 1, 2, 3, 4, 5});
  say(query("insert 2"), complete("INSERT 0 1") + ready());
  EXPECT_EQ(script(), "insert 1;\n-- the rest of it is not on record: a gap\n");
}

TEST_F(ExportTest, JsonLinesAreInOrderOfTimeOverAllSessions) {
  open_session(kB, 1500);
  from_client(kA, 2000, query("a").substr(0, 3));
  from_client(kB, 2100, query("b"));
  from_client(kA, 2200, query("a").substr(3));
  from_server(kB, 2300, row_description({"x"}, 1));
  from_server(kB, 2400, row({std::string("\0\1", 2)}));
  close_session(kA, 3000);
  seal();
  finish_and_save();
  const Outcome outcome = run("export", {"--format", "jsonl"});
  EXPECT_EQ(outcome.code, 0);
  std::vector<std::string> seen;
  std::istringstream in(outcome.out);
  for (std::string line; std::getline(in, line);) {
    const auto object = Poco::JSON::Parser().parse(line).extract<Poco::JSON::Object::Ptr>();
    seen.push_back(object->getValue<std::string>("session") + " " + object->getValue<std::string>("type"));
  }
  EXPECT_THAT(seen, ElementsAre("1.1 opened", "1.1 ParameterStatus", "1.1 ReadyForQuery", "1.2 opened",
                                "1.2 Query", "1.1 Query", "1.2 RowDescription", "1.2 DataRow", "1.1 closed"));
  EXPECT_THAT(outcome.out, HasSubstr(R"("values":[{"hex":"0001","format":"binary"}])"));
  EXPECT_THAT(outcome.err, HasSubstr("9 lines"));
  const Outcome one = run("export", {"--format", "jsonl", "--session", "1.2"});
  EXPECT_EQ(std::count(one.out.begin(), one.out.end(), '\n'), 4);
}

TEST_F(ExportTest, JsonLinesTellAHoleWhereItIs) {
  seal();
  from_client(kA, 2000, query("lost"));
  seal();
  from_client(kA, 3000, query("behind"));
  close_session(kA, 4000);
  seal();
  finish();
  flip_byte(chunk_ends_[1] - 1);
  save();
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--format", "jsonl"}, {"--format", "jsonl", "--session", "1.1"}}) {
    const Outcome outcome = run("export", options);
    EXPECT_EQ(outcome.code, 3);
    EXPECT_THAT(outcome.out, HasSubstr(R"("type":"hole","why":"a damaged chunk"})"));
    EXPECT_THAT(outcome.out, Not(HasSubstr("behind")));
    EXPECT_THAT(outcome.err, HasSubstr("left out " + std::to_string(query("behind").size()) + " B"));
    EXPECT_THAT(outcome.err, HasSubstr("000001-000001.transcript, offset"));
  }
}

TEST_F(ExportTest, AConditionThatHoldsForNothingIsToldAndIsNoFault) {
  say(query("select 1"), complete("SELECT 1") + ready());
  seal();
  finish_and_save();
  for (const char* format : {"jsonl", "sql", "pgreplay", "pcapng"}) {
    const Outcome nothing = run("export", {"--format", format, "--where", "statement contains 'select 2'"});
    EXPECT_EQ(nothing.code, 0);
    EXPECT_THAT(nothing.err, HasSubstr("understudy export: --where: nothing matched\n")) << format;
    const Outcome all = run("export", {"--format", format, "--where", "statement contains 'select 1'"});
    EXPECT_THAT(all.err, Not(HasSubstr("nothing matched"))) << format;
  }
}

TEST_F(ExportTest, WhereNothingCanBeWrittenIsSaidPlainly) {
  finish_and_save();
  const std::string file = path() + "/a-file";
  std::ofstream(file) << "x";
  const Outcome outcome = run("export", {"--format", "csv", "--output", file + "/below"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, Not(HasSubstr("filesystem error")));
  EXPECT_THAT(outcome.err, HasSubstr("understudy export: cannot create directories " + file));
  EXPECT_THAT(outcome.err, HasSubstr("Not a directory. A part of that path is a file"));
}

TEST_F(ExportTest, WritesToAFileAndBadUsageGives2) {
  finish_and_save();
  const std::string file = path() + "/out.sql";
  const Outcome outcome = run("export", {"--format", "sql", "--output", file});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_GT(std::filesystem::file_size(file), 100U);
  EXPECT_EQ(run("export").code, 2);
  EXPECT_EQ(run("export", {"--format", "xml"}).code, 2);
  EXPECT_EQ(run("export", {"--format", "sql", "--session", "one"}).code, 2);
  EXPECT_EQ(run("export", {"--format", "sql", "--session", "7.7"}).code, 1);
  EXPECT_EQ(run("export", {"--format", "sql", "--output", path() + "/no/such"}).code, 1);
}

TEST_F(ExportTest, TheRecordingIsNeverOverwritten) {
  say(query("select 1"), complete("SELECT 1") + ready());
  seal();
  finish_and_save();
  const std::filesystem::path segment = directory_ / name_;
  const auto size = std::filesystem::file_size(segment);
  std::filesystem::create_symlink(segment, directory_ / "link");
  std::filesystem::create_hard_link(segment, directory_ / "same");
  for (const char* name : {"000001-000001.transcript", "link", "same"}) {
    const Outcome outcome = run("export", {"--format", "sql", "--output", path() + "/" + name});
    EXPECT_EQ(outcome.code, 2) << name;
    EXPECT_THAT(outcome.err, HasSubstr("is a segment of the recording"));
    EXPECT_THAT(outcome.err, HasSubstr("name another file"));
  }
  for (const std::string& recording : {path(), segment.string()}) {
    const Outcome outcome =
        run_command({"export", recording, "--format", "sql", "--output", path() + "/new.transcript"});
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("would be taken for a segment"));
  }
  EXPECT_EQ(std::filesystem::file_size(segment), size);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "new.transcript"));
}

TEST_F(ExportTest, HelpSaysThatTheFormatMustBeGiven) {
  EXPECT_THAT(run_command({"export", "--help"}).out, HasSubstr("RECORDING --format FORMAT [options]"));
  EXPECT_THAT(run("export").err, HasSubstr("--format must be given: jsonl|sql|"));
}

TEST_F(ExportTest, AFullDiskIsAnError) {
  say(query(std::string(100'000, 'x')), complete("SELECT 1") + ready());
  close_session(kA, ++time_);
  seal();
  finish_and_save();
  const Outcome outcome = run("export", {"--format", "jsonl", "--output", "/dev/full"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("/dev/full: cannot be written: No space left on device"));
}

}  // namespace
}  // namespace understudy::test
