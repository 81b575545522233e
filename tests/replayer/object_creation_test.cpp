#include "replayer/object_creation.h"

#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_builders.h"
#include "tests/replayer/support.h"

namespace understudy::replayer {
namespace {

using namespace test;  // the verbs of messages

constexpr std::uint32_t kOid = 26;  // the type

std::string with_oid(const std::string& piece) {
  const auto creation = ObjectCreation::in(as_bytes(piece));
  if (!creation) return "(none)";
  return std::string(as_text(creation->with_oid(as_bytes(piece), 54321)));
}
// What a text becomes, or "(none)".
std::string text_with_oid(std::string_view sql) {
  const std::string made = with_oid(query(sql));
  if (made == "(none)") return made;
  const std::string said = made.substr(5, made.size() - 6);
  EXPECT_EQ(made, query(said));  // its length is right
  return said;
}
std::string call(std::uint32_t function, std::uint32_t argument, std::int16_t format = 1) {
  ByteBuffer value;
  append_be32(value, argument);
  ByteBuffer out;
  const std::int16_t formats[] = {format};
  const wire::Value arguments[] = {{value}};
  wire::append_function_call(out, function, formats, arguments, 1);
  return std::string(as_text(out));
}
std::string columns(std::vector<std::uint32_t> types, std::int16_t format = 0) {
  std::vector<wire::FieldDescription> fields;
  for (const std::uint32_t type : types) {
    fields.emplace_back().type_oid = type;
    fields.back().format = format;
  }
  ByteBuffer out;
  wire::append_row_description(out, fields);
  return std::string(as_text(out));
}
std::string binary(std::uint32_t oid) {
  ByteBuffer out;
  append_be32(out, oid);
  return std::string(as_text(out));
}
std::string called(const std::string& value) {
  ByteBuffer out;
  wire::append_function_call_response(out, {as_bytes(value)});
  return std::string(as_text(out));
}
// What an answer tells, fed in pieces of so many bytes; 0 when it tells nothing.
std::uint32_t told(const std::string& answer, std::size_t piece = SIZE_MAX) {
  CreationAnswer out;
  for (std::size_t at = 0; at < answer.size(); at += std::min(piece, answer.size() - at))
    out.feed(as_bytes(std::string_view(answer).substr(at, piece)));
  EXPECT_TRUE(out.complete());
  return out.oid().value_or(0);
}

TEST(ObjectCreation, ACallAsksForTheOid) {
  EXPECT_EQ(with_oid(call(957, 0x60000)), call(715, 54321));  // lo_creat(INV_READ | INV_WRITE)
  EXPECT_EQ(with_oid(call(715, 0)), call(715, 54321));
}

TEST(ObjectCreation, ACallOfSomethingElseOrWithAnOidStaysAsItIs) {
  for (const std::string& one : {call(715, 770001), call(952, 0), call(957, 0, 0), function_call(957)})
    EXPECT_EQ(with_oid(one), "(none)");
}

TEST(ObjectCreation, AStatementAsksForTheOid) {
  EXPECT_EQ(text_with_oid("SELECT lo_creat(-1)"), "SELECT lo_create(54321)");
  EXPECT_EQ(text_with_oid("select LO_CREAT ( 131072 ) as oid;"), "select lo_create(54321 ) as oid;");
  EXPECT_EQ(text_with_oid("SELECT pg_catalog.lo_create(0)"), "SELECT pg_catalog.lo_create(54321)");
  EXPECT_EQ(text_with_oid("SELECT lo_from_bytea(0, '\\x00ff')"), "SELECT lo_from_bytea(54321, '\\x00ff')");
  EXPECT_EQ(text_with_oid("SELECT lo_from_bytea(0, $1::bytea) it -- all"),
            "SELECT lo_from_bytea(54321, $1::bytea) it -- all");
}

// What else it does may be what the OID in the answer is of, or may run again.
TEST(ObjectCreation, AStatementThatDoesMoreStaysAsItIs) {
  for (const char* const sql : {"SELECT lo_create(0), 1",
                                "SELECT lo_create(0), lo_create(0)",
                                "SELECT lo_create(0) FROM t",
                                "SELECT lo_create(0); SELECT 1",
                                "BEGIN; SELECT lo_create(0)",
                                "SELECT app.lo_create(0)",
                                "INSERT INTO t VALUES (lo_create(0)) RETURNING o",
                                "CREATE VIEW v AS SELECT lo_create(0)",
                                "PREPARE p AS SELECT lo_creat(-1)",
                                "SELECT lo_import('/tmp/a')",
                                "SELECT 7::oid FROM lo_create(0)",
                                "SELECT lo_create(oid) FROM t",
                                "SELECT lo_create($1)",
                                "SELECT lo_create(770001)",
                                "SELECT lo_from_bytea(770001, '')",
                                "SELECT lo_from_bytea(0, lo_get(1))",
                                "SELECT my_lo_create(0)",
                                "SELECT lo_create(0",
                                "SELECT lo_creat(",
                                "SELECT lo_create 'x'",
                                "lo_create(0)",
                                ""})
    EXPECT_EQ(text_with_oid(sql), "(none)") << sql;
}

TEST(ObjectCreation, WordsInStringsNamesAndCommentsAreNone) {
  for (const char* const sql :
       {"SELECT 'lo_create(0)'", "SELECT 1 -- lo_create(0)", "SELECT /* /* */ lo_create(0) */ 1",
        "SELECT $a$ lo_create(0) $a$", "SELECT \"lo_create(0)\"", "SELECT E'\\' lo_create(0)'",
        "SELECT 'it\\'s lo_create(0)'"})
    EXPECT_EQ(text_with_oid(sql), "(none)") << sql;
}

TEST(ObjectCreation, AStatementWithParametersOfWhichTheRestIsToCome) {
  const std::string behind = bind("", "", {{"the rest"}}) + describe('P', "") + execute("") + sync();
  const std::string asked = parse("", "SELECT lo_from_bytea(0, $1)", {17}) + behind;
  const std::string made = parse("", "SELECT lo_from_bytea(54321, $1)", {17}) + behind;
  EXPECT_EQ(with_oid(asked), made);
  const std::size_t cut = behind.size() - 9;  // in the Bind
  EXPECT_EQ(with_oid(asked.substr(0, asked.size() - cut)), made.substr(0, made.size() - cut));
}

TEST(ObjectCreation, BesideOtherMessagesItStaysAsItIs) {
  const std::string creation = parse("", "SELECT lo_create(0)");
  const std::string run = bind("", "") + describe('P', "") + execute("") + sync();
  for (const std::string& piece :
       {creation, creation + sync(), creation + run + run, creation + bind("", "") + run,
        query("BEGIN") + query("SELECT lo_create(0)"), query("SELECT lo_create(0)") + query("SELECT 1"),
        call(957, 0) + call(957, 0), query("SELECT lo_create(0)").substr(0, 20), std::string()})
    EXPECT_EQ(with_oid(piece), "(none)");
}

TEST(ObjectCreation, AStatementWithANameMayRunAgain) {
  EXPECT_EQ(
      with_oid(parse("s", "SELECT lo_create(0)") + bind("", "s") + describe('P', "") + execute("") + sync()),
      "(none)");
}

TEST(CreationAnswer, TellsTheOidOfACallAndOfTheOneColumnOfThatType) {
  const std::vector<std::string> answers = {called(binary(16435)) + ready(), called("16435") + ready(),
                                            columns({kOid}) + row({"16435"}) + complete("SELECT 1") + ready(),
                                            columns({kOid}, 1) + row({binary(16435)}) + ready('T')};
  for (const std::string& answer : answers) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, SIZE_MAX}) {
      EXPECT_EQ(told(answer, piece), 16435U);
    }
  }
  EXPECT_EQ(told(columns({kOid}) + row({"1259"}) + ready()), 1259U);  // four digits are no integer
}

TEST(CreationAnswer, TellsNothingOfWhatIsNotOneOid) {
  const std::vector<std::string> answers = {error("42501", "permission denied") + ready('E'),
                                            columns({kOid}) + row({"16435"}) + row({"16436"}) + ready(),
                                            columns({25, kOid}) + row({"a", "16435"}) + ready(),
                                            columns({kOid, kOid}) + row({"16435", "16436"}) + ready(),
                                            columns({23}) + row({"16435"}) + ready(),
                                            row({"16435"}) + ready(),  // nobody asked what the column is
                                            columns({kOid}) + row({"none"}) + ready(),
                                            columns({kOid}, 1) + row({"16435"}) + ready(),
                                            called("") + ready(),
                                            columns({kOid}) + row({}) + ready()};
  for (const std::string& answer : answers) EXPECT_EQ(told(answer), 0U);
}

TEST(WithoutObjectOid, BothWaysToAskAreOne) {
  EXPECT_EQ(without_object_oid("SELECT lo_creat(-1)"), "SELECT lo_create(0)");
  EXPECT_EQ(without_object_oid("SELECT lo_create(54321)"), "SELECT lo_create(0)");
  EXPECT_EQ(without_object_oid("SELECT lo_from_bytea(54321, $1)"), "SELECT lo_from_bytea(0, $1)");
  EXPECT_EQ(without_object_oid("SELECT lo_from_bytea(0, $1)"), "SELECT lo_from_bytea(0, $1)");
  for (const char* const other : {"SELECT lo_get(54321)", "SELECT lo_create(54321), 1", "SELECT 1",
                                  "INSERT INTO t VALUES ('it\\'s lo_create(55555)')"})
    EXPECT_FALSE(without_object_oid(other)) << other;
}

}  // namespace
}  // namespace understudy::replayer
