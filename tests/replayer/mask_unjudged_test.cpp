// What cannot be judged is hidden: rows without names, arguments of statements not seen, cut COPY data,
// errors.
#include "tests/replayer/mask_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;

using MaskUnjudged = MaskFixture;

class MaskTypes : public MaskFixture {
 protected:
  MaskTypes() : MaskFixture("type int8\ntype uuid") {}
};
class MaskTexts : public MaskFixture {
 protected:
  MaskTexts() : MaskFixture("type text") {}
};
class MaskPatterns : public MaskFixture {
 protected:
  MaskPatterns() : MaskFixture("pattern ^secret$") {}
};

TEST_F(MaskUnjudged, RowsThatWereNeverDescribed) {
  session_.begin();
  client(parse("", "SELECT * FROM users") + bind("", "") + execute("") + sync());
  (void)changed();
  server(empty('1') + empty('2') + row({"qqqqqq"}) + complete("SELECT 1") + ready());
  EXPECT_TRUE(changed());
}

TEST_F(MaskUnjudged, RowsOfAnotherLengthThanTheStatementSays) {
  session_.begin();
  client(parse("", "SELECT (u).*, 1 FROM users u") + bind("", "") + execute("") + sync());
  (void)changed();
  server(empty('1') + empty('2') + row({"qqqqqq", "qqqqqq"}) + complete("SELECT 1") + ready());
  const std::string rows = heard();
  EXPECT_EQ(rows.find("qqqqqq"), std::string::npos) << rows;
}

TEST_F(MaskUnjudged, CopyOfRowsTakenApart) {
  session_.begin();
  client(query("COPY (SELECT (u).* FROM users u) TO STDOUT"));
  ByteBuffer begins;
  wire::append_copy_response(begins, wire::backend::kCopyOutResponse, 0, std::vector<std::int16_t>(2));
  server(std::string(as_text(begins)));
  (void)changed();
  server(copy_data("qqqqqq\tqqqqqq\n"));
  EXPECT_EQ(heard().substr(5), "******\t******\n");
}

TEST_F(MaskUnjudged, CopyOfOtherColumnsThanTheStatementSays) {
  session_.begin();
  client(query("COPY t (id, name) FROM STDIN"));
  server(copy_asked(3));
  (void)changed();
  client(copy_data("qqq\tqqq\tqqq\n"));
  EXPECT_EQ(heard().substr(5), "***\t***\t***\n");
}

TEST_F(MaskUnjudged, CsvGoesOnWhereALineBeginsOutsideOfQuotes) {
  session_.begin();
  client(query("COPY t (id, email) FROM STDIN WITH (FORMAT csv, HEADER)"));
  server(copy_asked(2));
  (void)changed();
  client(copy_data("id,\"email\"\n7,\"q\"\n"));
  (void)changed();
  client(copy_data("7,qqq\n"));
  EXPECT_EQ(heard().substr(5), "7,***\n");
  client(copy_data("7,\"qqq\n"));  // the line's end is in the quotes
  (void)changed();
  client(copy_data("7,qqq\n"));
  EXPECT_EQ(heard().substr(5), "*****\n");
}

TEST_F(MaskUnjudged, RowsWhereAHeaderShouldBe) {
  session_.begin();
  const auto sends = [&](const std::string& sql, const std::string& line) {
    client(query(sql));
    server(copy_asked(2));
    (void)changed();
    client(copy_data(line));
    const std::string text = heard().substr(5);
    client(copy_done());
    server(complete("COPY 0") + ready());
    (void)changed();
    return text;
  };
  EXPECT_EQ(sends("COPY t (id, email) FROM STDIN (FORMAT csv, HEADER)", "7,qqq\n"), "7,***\n");
  EXPECT_EQ(sends("COPY t (id, email) FROM STDIN (FORMAT csv, HEADER)", "id,email\n"), "id,email\n");
  EXPECT_EQ(sends("COPY t (id, email) FROM STDIN (FORMAT csv, HEADER match)", "id,qqq\n"), "id,qqq\n");
}

TEST_F(MaskUnjudged, ABackslashAtAMessagesEndEscapesTheNextByte) {
  session_.begin();
  client(query("COPY t (name, email) FROM STDIN"));
  server(copy_asked(2));
  (void)changed();
  client(copy_data("n\\"));
  client(copy_data("\tn\tqqq\n"));
  const std::string text = heard();
  EXPECT_EQ(text.find("qqq"), std::string::npos) << text;
}

TEST_F(MaskUnjudged, CopyOptionsInWhateverOrder) {
  session_.begin();
  client(query("COPY t (id, email) FROM STDIN WITH DELIMITER ';' CSV"));
  server(copy_asked(2));
  (void)changed();
  client(copy_data("7;qqq\n"));
  EXPECT_EQ(heard().substr(5), "*****\n");
  server(complete("COPY 1") + ready());
  client(query("COPY t (id, email) FROM STDIN WITH (FORMAT csv, HEADER false)"));
  server(copy_asked(2));
  (void)changed();
  client(copy_data("7,qqq\n"));
  EXPECT_EQ(heard().substr(5), "7,***\n");
}

TEST_F(MaskUnjudged, ArgumentsOfStatementsNotSeen) {
  session_.begin();
  client(query("EXECUTE p ('qqqqqq', 77)"));
  const std::string text = heard();
  EXPECT_EQ(text.find("qqqqqq"), std::string::npos) << text;
  EXPECT_EQ(text.find("77"), std::string::npos) << text;
}

TEST_F(MaskUnjudged, EachExecuteIsOfItsOwnName) {
  session_.begin();
  client(query("PREPARE a AS SELECT name FROM t WHERE name = $1"));
  client(query("PREPARE b AS SELECT name FROM t WHERE email = $1"));
  client(query("PREPARE c AS INSERT INTO t (email) SELECT upper($1)"));
  (void)changed();
  client(query("EXECUTE a('qqq'); EXECUTE b('rrr'); EXPLAIN EXECUTE b('sss'); EXECUTE c('ttt')"));
  const std::string text = heard();
  EXPECT_NE(text.find("a('qqq')"), std::string::npos) << text;
  for (const char* const value : {"rrr", "sss", "ttt"})
    EXPECT_EQ(text.find(value), std::string::npos) << text;
}

TEST_F(MaskUnjudged, NamesAreOfWhatTheyStoodForWhenTheyWereUsed) {
  session_.begin();
  client(query("PREPARE p AS SELECT email AS a FROM t"));
  server(complete("PREPARE") + ready());
  client(query("EXECUTE p; DEALLOCATE p; PREPARE p AS SELECT name AS a FROM t"));
  (void)changed();
  server(row_description({"a"}) + row({"qqqqqq"}) + complete("SELECT 1"));
  EXPECT_EQ(heard().find("qqqqqq"), std::string::npos);
  server(complete("DEALLOCATE") + complete("PREPARE") + ready());
  client(query("EXECUTE p"));
  (void)changed();
  server(row_description({"a"}) + row({"qqqqqq"}) + complete("SELECT 1") + ready());
  EXPECT_FALSE(changed());
}

TEST_F(MaskUnjudged, WhatWasNotPreparedTakesNoNamesPlace) {
  session_.begin();
  client(parse("s", "SELECT email AS a FROM t") + sync());
  server(empty('1') + ready());
  client(parse("s", "SELECT name AS a FROM t") + sync());
  server(error({{'C', "42P05"}, {'M', "exists"}}) + ready());
  client(bind("", "s") + execute("") + sync());
  (void)changed();
  server(empty('2') + row({"qqqqqq"}) + complete("SELECT 1") + ready());
  EXPECT_EQ(heard().find("qqqqqq"), std::string::npos);

  client(query("PREPARE p AS SELECT email AS a FROM t"));
  server(complete("PREPARE") + ready());
  client(query("PREPARE p AS SELECT name AS a FROM t"));
  server(error({{'C', "42P05"}, {'M', "exists"}}) + ready());
  client(query("EXECUTE p"));
  (void)changed();
  server(row_description({"a"}) + row({"qqqqqq"}) + complete("SELECT 1") + ready());
  EXPECT_EQ(heard().find("qqqqqq"), std::string::npos);
}

TEST_F(MaskUnjudged, NamesThatParseGaveAndPrepareTakes) {
  session_.begin();
  client(parse("p", "SELECT id AS a FROM t") + sync());
  server(empty('1') + ready());
  client(query("DEALLOCATE p"));
  server(complete("DEALLOCATE") + ready());
  client(query("PREPARE p AS SELECT email AS a FROM t"));
  server(complete("PREPARE") + ready());
  client(bind("", "p") + execute("") + sync());
  (void)changed();
  server(empty('2') + row({"qqqqqq"}) + complete("SELECT 1") + ready());
  EXPECT_EQ(heard().find("qqqqqq"), std::string::npos);
}

TEST_F(MaskUnjudged, HiddenValuesThatErrorsRepeat) {
  session_.begin();
  client(query("EXECUTE p ('qqqqqq')"));
  (void)changed();
  server(error({{'C', "22P02"}, {'M', "invalid: qqqqqq"}}) + ready());
  EXPECT_EQ(heard().find("qqqqqq"), std::string::npos);
}

TEST_F(MaskUnjudged, PlansOfPreparedStatements) {
  session_.begin();
  client(query("PREPARE b AS SELECT name FROM t WHERE email = $1"));
  server(complete("PREPARE") + ready());
  client(query("EXPLAIN EXECUTE b('qqqqqq')"));
  server(row_description({"QUERY PLAN"}));
  (void)changed();
  server(row({"Filter: (email = 'qqqqqq')"}));
  EXPECT_EQ(heard().find("Filter"), std::string::npos);
}

TEST_F(MaskUnjudged, DetailsOfConstraintsUnlessTheyAreUnderstood) {
  for (const char* const detail : {"Key (lower(email))=(qqqqqq) already exists.",
                                   "Failing row contains (1, qqqqqq).", "Fehlgeschlagene Zeile: 1, qqqqqq",
                                   "Schl\xc3\xbcssel \xc2\xbb(email)=(qqqqqq)\xc2\xab existiert bereits."}) {
    session_.begin();
    client(query("DELETE FROM t"));
    (void)changed();
    server(error({{'C', "23505"}, {'M', "m"}, {'D', detail}, {'t', "t"}}) + ready());
    const std::string text = heard();
    EXPECT_EQ(text.find("qqqqqq"), std::string::npos) << text;
  }
  client(query("DELETE FROM t"));
  (void)changed();
  server(error({{'C', "23505"}, {'M', "m"}, {'D', "Key (\"Name\", id)=(nnn, 7) exists."}, {'t', "t"}}) +
         ready());
  EXPECT_FALSE(changed());
}

TEST_F(MaskUnjudged, ErrorsOfWhatIsNotKnown) {
  session_.begin();
  client(bind("", "not prepared here") + sync());
  (void)changed();
  server(error({{'C', "22P02"}, {'M', "invalid: qqqqqq"}}) + ready());
  EXPECT_EQ(heard().find("qqqqqq"), std::string::npos);
  server(error({{'C', "57P01"}, {'M', "terminating connection"}}));  // of no request
  EXPECT_FALSE(changed());
}

TEST_F(MaskUnjudged, WhereAnErrorOfAMaskedStatementWas) {
  session_.begin();
  client(query("COPY t (id, email) FROM STDIN"));
  server(copy_asked(2));
  (void)changed();
  server(error({{'C', "22P04"}, {'M', "m"}, {'W', "COPY t, line 1: \"1 qqqqqq\""}}) + ready());
  EXPECT_EQ(heard().find("qqqqqq"), std::string::npos);
}

TEST_F(MaskUnjudged, ValuesThatOnlyAnErrorTells) {
  session_.begin();
  client(query("SELECT email::int FROM t"));
  (void)changed();
  server(error({{'C', "22P02"}, {'M', "invalid input syntax for type integer: \"qq \"q\" qq\""}}) + ready());
  const std::string text = heard();
  EXPECT_NE(text.find("type integer: \"** \"*\" **\""), std::string::npos) << text;
  client(query("SELECT email::int FROM t"));
  (void)changed();
  server(error({{'C', "22P02"}, {'M', "ung\xc3\xbcltig: \xc2\xbbqqqqqq\xc2\xab"}}) + ready());
  EXPECT_EQ(heard().find("qqqqqq"), std::string::npos);
  client(query("SELECT email, 1 / 0 FROM t"));
  (void)changed();
  server(error({{'C', "22012"}, {'M', "division by zero"}}) + ready());
  EXPECT_FALSE(changed());
}

TEST_F(MaskUnjudged, ErrorsFromInsideOfWhatDoesNotNameTheColumn) {
  session_.begin();
  for (const auto& [code, field, text] : std::initializer_list<std::tuple<const char*, char, const char*>>{
           {"44000", 'D', "Failing row contains (1, qqqqqq)."},
           {"22012", 'W', "SQL statement \"UPDATE t SET email = 'qqqqqq'\""},
           {"42703", 'q', "INSERT INTO t (email) VALUES ('qqqqqq')"}}) {
    client(query("SELECT f(7)"));
    (void)changed();
    server(error({{'C', code}, {'M', "m"}, {field, text}}) + ready());
    EXPECT_EQ(heard().find("qqqqqq"), std::string::npos) << text;
  }
  client(query("SELECT f(7)"));
  (void)changed();
  server(error({{'C', "22012"}, {'M', "m"}, {'W', "PL/pgSQL function f() line 7"}}) + ready());
  EXPECT_FALSE(changed());
}

TEST_F(MaskUnjudged, WhatAClientSaysOfACopyThatFailed) {
  session_.begin();
  const auto fails = [&](const std::string& sql, const std::string& reason) {
    client(query(sql));
    server(copy_asked(2));
    (void)changed();
    ByteBuffer out;
    wire::append_copy_fail(out, reason);
    client(std::string(as_text(out)));
    server(error({{'C', "57014"}, {'M', "COPY from stdin failed: " + reason}}) + ready());
  };
  fails("COPY t (id, email) FROM STDIN", "bad row " + std::string(2000, 'q'));
  EXPECT_EQ(heard().find("qqqqqq"), std::string::npos);
  fails("COPY t (id, name) FROM STDIN", "bad name");
  EXPECT_FALSE(changed());
}

TEST_F(MaskUnjudged, TheLongestValueIsRepeatedFirst) {
  session_.begin();
  client(query("SELECT 1 FROM t WHERE email IN ('qqqq', 'qqqqzzzzqqqq')"));
  (void)changed();
  server(error({{'C', "22000"}, {'M', "no qqqqzzzzqqqq"}}) + ready());
  EXPECT_EQ(heard().find("zzzz"), std::string::npos);
}

TEST_F(MaskUnjudged, AnswersToMoreRequestsThanAreKept) {
  session_.begin();
  for (int i = 0; i < 100'000; ++i) client(sync());
  client(query("SELECT name FROM t"));
  (void)changed();
  server(row_description({"name"}) + row({"qqqqqq"}));
  EXPECT_EQ(heard().find("qqqqqq"), std::string::npos);
  std::string answers;
  for (int i = 0; i < 100'000; ++i) answers += ready();
  server(answers + row_description({"name"}));
  (void)changed();
  server(row({"qqqqqq"}) + complete("SELECT 1") + ready());
  EXPECT_FALSE(changed());
}

TEST_F(MaskTypes, OfValuesOfUnknownType) {
  session_.begin();
  client(parse("", "SELECT 1 FROM t WHERE a = $1 AND b = $2 AND c = $3"));
  (void)changed();
  client(bind("", "",
              {{.bytes = "7777777"}, {.bytes = "name"}, {.bytes = "6fd3b4a2-0000-4000-8000-6fd3b4a2aaaa"}}));
  const std::string text = heard();
  EXPECT_EQ(text.find("7777777"), std::string::npos);
  EXPECT_NE(text.find("name"), std::string::npos);
  EXPECT_EQ(text.find("6fd3b4a2"), std::string::npos);
}

TEST_F(MaskTypes, OfNumbersThatGoToColumnsNotNamed) {
  session_.begin();
  client(query("INSERT INTO t VALUES (7777777)"));
  EXPECT_EQ(heard().find("7777777"), std::string::npos);
}

TEST_F(MaskTexts, OfUnknownTypeAndInArrays) {
  session_.begin();
  client(parse("", "SELECT 1 FROM t WHERE a = $1 AND b = $2", {0, 1009}));
  (void)changed();
  client(bind("", "", {{.bytes = "qqqqqq"}, {.bytes = "{rrrrrr}"}}));
  const std::string text = heard();
  EXPECT_EQ(text.find("qqqqqq"), std::string::npos);
  EXPECT_EQ(text.find("rrrrrr"), std::string::npos);
}

TEST_F(MaskPatterns, InArraysAndRecords) {
  session_.begin();
  client(parse("", "SELECT 1 FROM t WHERE a = $1 AND b = $2 AND c = $3", {1009, 1015, 2249}));
  (void)changed();
  client(bind("", "", {{.bytes = "{name,secret}"}, {.bytes = "{\"secret\"}"}, {.bytes = "(1,secret)"}}));
  const std::string text = heard();
  EXPECT_EQ(text.find("secret"), std::string::npos) << text;
  EXPECT_NE(text.find("{name,"), std::string::npos) << text;
}

}  // namespace
}  // namespace understudy::replayer
