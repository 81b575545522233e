// SQL in a psql script: what psql would read otherwise than the server did, and what must never get there.
#include "replayer/export/script_text.h"

#include <gmock/gmock.h>

#include "replayer/export/copy_lines.h"
#include "replayer/export/session_settings.h"

namespace understudy::replayer::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

std::vector<std::string> statements(std::string_view sql, std::vector<std::string> parameters = {},
                                    ScriptSettings settings = {}) {
  std::vector<std::string> out;
  const ScriptText script = to_script(sql, settings, parameters);
  for (const ScriptStatement& statement : script.statements) out.push_back(statement.text);
  if (!script.refusal.empty()) out.push_back("REFUSED");
  return out;
}
std::string refusal(std::string_view sql, std::vector<std::string> parameters = {}) {
  return to_script(sql, {}, parameters).refusal;
}

TEST(ScriptText, SplitsAtSemicolonsThatEndAStatementOnly) {
  EXPECT_THAT(statements("a; b ;;c"), ElementsAre("a", "b ", "c"));
  EXPECT_THAT(statements("';' \";\" $$;$$ $x$;$$;$x$ /* ; /* ; */ ; */ 1 -- ;\n; 2"),
              ElementsAre("';' \";\" $$;$$ $x$;$$;$x$ /* ; /* ; */ ; */ 1 -- ;\n", "2"));
  EXPECT_THAT(statements("create rule r as on insert to t do (a; b); c"),
              ElementsAre("create rule r as on insert to t do (a; b)", "c"));
  EXPECT_THAT(statements(" /* nothing */ ; -- nothing\n"), IsEmpty());
  EXPECT_THAT(statements("a$1$b;c"), ElementsAre("a$1$b", "c"))
      << "a dollar sign within a name quotes nothing";
}

TEST(ScriptText, ManyStatementsStayOneMessage) {
  const ScriptText script = to_script("insert a; insert b -- why", {});
  EXPECT_EQ(one_message(script.statements), "insert a\\;\ninsert b -- why\n;\n");
}

// :'5' would be a variable, of psql or pgbench.
TEST(ScriptText, AValueBehindAColonIsNoVariable) {
  const std::vector<std::string> values = {"'5'"};
  const ScriptText script = to_script("select a[1:$1]", {}, values);
  ASSERT_EQ(script.statements.size(), 1U);
  EXPECT_EQ(script.statements[0].text, "select a[1: '5']");
}

TEST(ScriptText, KnowsTheFirstWord) {
  const ScriptText script = to_script("/* x */ commit and chain", {});
  ASSERT_EQ(script.statements.size(), 1U);
  EXPECT_EQ(script.statements[0].command, "COMMIT");
  EXPECT_EQ(script.statements[0].text.substr(script.statements[0].command_at), "commit and chain");
}

// A statement that succeeded has none of this; one that claims to is not believed.
TEST(ScriptText, NothingThatPsqlTakesForItsOwnCommandsGetsThrough) {
  for (const char* sql : {"\\! touch /tmp/x", "select 1 \\g |sh", "select 1; \\! sh", "select (1; \\! sh",
                          "\n\\copy t from program 'sh'", "select 1 --\r\\! sh"})
    EXPECT_THAT(refusal(sql), Not(IsEmpty())) << sql;
  for (const char* quoted : {"'\\! sh'", "\"\\! sh\"", "$$\\! sh$$", "/* \\! sh */ 1", "1 -- \\! sh"})
    EXPECT_THAT(refusal(quoted), IsEmpty()) << quoted;
}

TEST(ScriptText, WhatHasNoEndIsRefusedForItWouldSwallowTheRest) {
  for (const char* sql : {"select 'a", "select \"a", "select $$a", "select $x$ a $$", "select /* a",
                          "select (1", "select E'a\\'", "select e'\\\\\\'", "select 'a''", "select U&'a"})
    EXPECT_THAT(refusal(sql), Not(IsEmpty())) << sql;
}

TEST(ScriptText, WhatVersionsReadDifferentlyIsRefused) {
  for (const char* sql :
       {"select 1$x$a$x$", "select 1x$a$", "select 1E'a'", "select 1'a'", "select $ 1", "select $x 1"})
    EXPECT_THAT(refusal(sql), Not(IsEmpty())) << sql;
}

TEST(ScriptText, PsqlsVariablesAreNotReplaced) {
  EXPECT_THAT(statements("select a[1:n], a[i :j], b::int, c:='x', :'v'"),
              ElementsAre("select a[1\\:n], a[i \\:j], b::int, c:='x', \\:'v'"));
  EXPECT_THAT(statements("select ':n', \":n\", $$:n$$"), ElementsAre("select ':n', \":n\", $$:n$$"));
  EXPECT_THAT(statements("select :{?n}"), ElementsAre("select \\:{?n}"));
}

TEST(ScriptText, LiteralsMeanTheSameWhateverStandardConformingStringsIs) {
  EXPECT_THAT(statements("select 'a\\b'"), ElementsAre("select E'a\\\\b'"));
  EXPECT_THAT(statements("select 'a\\'"), ElementsAre("select E'a\\\\'"));
  EXPECT_THAT(statements("select date'a\\b'"), ElementsAre("select date E'a\\\\b'"));
  // Here the backslash escapes the quote.
  EXPECT_THAT(statements("select 'a\\'; b'", {}, {.standard_strings = false, .safe_encoding = true}),
              ElementsAre("select E'a\\'; b'"));
  EXPECT_THAT(statements("select 'a\\'; \\! sh --'"), ElementsAre("REFUSED"));
  // A literal goes on after a line end, and E with it.
  EXPECT_THAT(statements("select 'a'\n  'b\\c'"), ElementsAre("select E'a'\n  'b\\\\c'"));
  EXPECT_THAT(statements("select 'a' 'b\\c'"), ElementsAre("select 'a' E'b\\\\c'"))
      << "an error, and no trap";
  EXPECT_THAT(statements("select E'a\\n', B'01', X'ff', U&'\\0041', N'x'"),
              ElementsAre("select E'a\\n', B'01', X'ff', U&'\\0041', N'x'"));
  EXPECT_THAT(refusal("select N'a\\b'"), Not(IsEmpty()));
}

TEST(ScriptText, ParametersStandWhereTheirNumbersDidAndNowhereElse) {
  EXPECT_THAT(statements("select $1,$2+$1 from t where x='$1' and y=$$ $1 $$ -- $1", {"'a'", "'5'::int4"}),
              ElementsAre("select 'a','5'::int4+'a' from t where x='$1' and y=$$ $1 $$ -- $1"));
  EXPECT_THAT(statements("select $1[1], $1.x", {"'{1}'::int4[]"}),
              ElementsAre("select ('{1}'::int4[])[1], ('{1}'::int4[]).x"));
  EXPECT_THAT(statements("select a=$1and b", {"'x'"}), ElementsAre("select a='x' and b"));
  EXPECT_THAT(statements("select in$1", {"'x'"}), ElementsAre("select in$1")) << "a name";
  EXPECT_THAT(statements("prepare p as select $1"), ElementsAre("prepare p as select $1"));
  EXPECT_THAT(statements("select $10", std::vector<std::string>(10, "'v'")), ElementsAre("select 'v'"));
}

TEST(ScriptText, ParametersWithoutAValueAreRefused) {
  for (const char* sql :
       {"select $2", "select $0", "select $99999999999999999999", "select $1$x$", "select $1'a'"})
    EXPECT_THAT(refusal(sql, {"'a'"}), Not(IsEmpty())) << sql;
}

TEST(ScriptText, EncodingsThatHideAsciiAreRefused) {
  for (const char* name : {"SJIS", "GBK", "BIG5", "UHC", "JOHAB", "GB18030", "SHIFT_JIS_2004"})
    EXPECT_FALSE(is_safe_encoding(name)) << name;
  for (const char* name : {"UTF8", "LATIN1", "EUC_JP", "WIN1252"})
    EXPECT_TRUE(is_safe_encoding(name)) << name;
  const ScriptSettings sjis{.standard_strings = true, .safe_encoding = false};
  EXPECT_THAT(statements("select '\x83'", {}, sjis), ElementsAre("REFUSED"));
  EXPECT_THAT(statements("select 'x'", {}, sjis), ElementsAre("select 'x'"));
}

TEST(ScriptText, EveryTruncationIsReadOrRefused) {
  const std::string sql =
      "select E'a\\'b', U&\"d\", $tag$ x $tag$, 'p\\q' 'r', n[1:$1]::int /* c /* d */ */ from t -- e\n; "
      "begin";
  for (std::size_t length = 0; length <= sql.size(); ++length) {
    for (std::size_t from = 0; from < length; from += 7) {
      const std::string_view part = std::string_view(sql).substr(from, length - from);
      (void)to_script(part, {});
      (void)to_script(part, {.standard_strings = false, .safe_encoding = true});
    }
  }
}

TEST(ScriptText, CommentsAreOneLineOfAscii) {
  EXPECT_EQ(comment_text("a\n\\! sh\r\xc3\xbc", 100), "a\\n\\! sh\\r\\xc3\\xbc");
}

std::string lines(const std::vector<std::string>& pieces, std::string* trouble = nullptr) {
  CopyLines copy;
  std::string out;
  for (const std::string& piece : pieces) copy.feed(as_bytes(piece), out);
  if (trouble != nullptr) *trouble = copy.trouble();
  copy.finish(out);
  return out;
}

TEST(CopyLines, AnEndMarkOfTheClientsIsDroppedHoweverItIsCut) {
  EXPECT_EQ(lines({"1\ta\n", "2\tb\n"}), "1\ta\n2\tb\n");
  const std::string data = "1\n\\.\n";
  for (std::size_t cut = 0; cut <= data.size(); ++cut)
    EXPECT_EQ(lines({data.substr(0, cut), data.substr(cut)}), "1\n") << cut;
  EXPECT_EQ(lines({"1\n\\.\r\n"}), "1\n");
  EXPECT_EQ(lines({"1\n\\."}), "1\n");
}

TEST(CopyLines, WhatOnlyLooksLikeAnEndMarkStays) {
  EXPECT_EQ(lines({"\\.a\n\\", "\\.\n \\.\nx\\.\n"}), "\\.a\n\\\\.\n \\.\nx\\.\n");
  EXPECT_EQ(lines({"\\"}), "\\\n");
}

TEST(CopyLines, ALastLineWithoutItsEndGetsOne) {
  EXPECT_EQ(lines({"1"}), "1\n");
  EXPECT_EQ(lines({""}), "");
}

TEST(CopyLines, DataBehindAnEndMarkOrZeroBytesAreTrouble) {
  std::string trouble;
  (void)lines({"1\n\\.\n", "2\n"}, &trouble);
  EXPECT_THAT(trouble, HasSubstr("behind an end mark"));
  (void)lines({std::string("1\0\n", 3)}, &trouble);
  EXPECT_THAT(trouble, HasSubstr("zero byte"));
  (void)lines({"1\n\\.\n"}, &trouble);
  EXPECT_THAT(trouble, IsEmpty());
}

TEST(SessionSettings, AskedForByOptionsAreReadAsTheServerReadsThem) {
  std::vector<std::pair<std::string, std::string>> out;
  EXPECT_TRUE(
      parse_options("-c work_mem=5MB  -cgeqo=off --enable-seqscan=off -c search_path=a\\ b\\\\c", out));
  EXPECT_THAT(out, ElementsAre(Pair("work_mem", "5MB"), Pair("geqo", "off"), Pair("enable_seqscan", "off"),
                               Pair("search_path", "a b\\c")));
  for (const char* other : {"-d 5", "-c", "-c work_mem", "-c =5", "work_mem=5"}) {
    out.clear();
    EXPECT_FALSE(parse_options(other, out)) << other;
  }
}

TEST(SessionSettings, TheReportedOnesWinAndValuesAreQuoted) {
  SessionDescriptor session;
  session.startup_parameters = {{"user", "u"},
                                {"database", "d"},
                                {"client_encoding", "latin1"},
                                {"search_path", "a, 'b'"},
                                {"_pq_.x", "y"},
                                {"application_name", "'; drop"}};
  std::uint64_t left_out = 0;
  const std::string sql =
      session_settings(session, {{"client_encoding", "LATIN1"}, {"server_version", "15"}}, true, left_out);
  EXPECT_EQ(sql,
            "SET client_encoding TO 'LATIN1';\n"
            "SELECT pg_catalog.set_config('search_path', 'a, ''b''', false);\n");
  EXPECT_EQ(left_out, 0U);
  session.startup_parameters = {{"search_path", "\x83'"}};
  EXPECT_EQ(session_settings(session, {}, false, left_out), "");
  EXPECT_EQ(left_out, 1U);
}

}  // namespace
}  // namespace understudy::replayer::test
