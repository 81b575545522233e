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
std::string columns(std::vector<std::uint32_t> types) {
  std::vector<wire::FieldDescription> fields;
  for (const std::uint32_t type : types) fields.emplace_back().type_oid = type;
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
  EXPECT_EQ(text_with_oid("SELECT pg_catalog.lo_create(0), 1"), "SELECT pg_catalog.lo_create(54321), 1");
  EXPECT_EQ(text_with_oid("SELECT lo_from_bytea(0, '\\x00ff')"), "SELECT lo_from_bytea(54321, '\\x00ff')");
  EXPECT_EQ(text_with_oid("INSERT INTO t VALUES (1, lo_import('/tmp/it''s')) RETURNING o"),
            "INSERT INTO t VALUES (1, lo_import('/tmp/it''s', 54321)) RETURNING o");
}

TEST(ObjectCreation, WhatOnlyLooksLikeACallIsNone) {
  for (const char* const sql :
       {"SELECT 'lo_create(0)'", "SELECT 1 -- lo_create(0)", "SELECT /* /* */ lo_create(0) */ 1",
        "SELECT $a$ lo_create(0) $a$", "SELECT \"lo_create(0)\"", "SELECT E'\\' lo_create(0)'",
        "SELECT my_lo_create(0)", "SELECT lo_create + (0)", "SELECT lo_create(oid) FROM t",
        "SELECT lo_create($1)", "SELECT lo_create(770001)", "SELECT lo_from_bytea(770001, '')",
        "SELECT lo_import('/tmp/a', 770001)", "SELECT lo_creat(", "SELECT lo_create(0",
        "SELECT lo_create 'x"})
    EXPECT_EQ(text_with_oid(sql), "(none)") << sql;
}

TEST(ObjectCreation, OneOfSeveralIsNotChosen) {
  EXPECT_EQ(text_with_oid("SELECT lo_create(0), lo_create(0)"), "(none)");
  EXPECT_EQ(with_oid(query("SELECT lo_create(0)") + call(957, 0)), "(none)");
  // One with an OID of its own is no matter.
  EXPECT_EQ(text_with_oid("SELECT lo_create(5), lo_create(0)"), "SELECT lo_create(5), lo_create(54321)");
}

TEST(ObjectCreation, InTheMiddleOfAPipelineThatGoesOn) {
  const std::string before = parse("", "BEGIN") + bind("", "") + execute("");
  const std::string behind = bind("", "", {{"the rest"}}).substr(0, 9);
  EXPECT_EQ(with_oid(before + parse("", "SELECT lo_from_bytea(0, $1)", {17}) + behind),
            before + parse("", "SELECT lo_from_bytea(54321, $1)", {17}) + behind);
}

TEST(ObjectCreation, AMessageThatGoesOnInAnotherPieceGrowsAsAWhole) {
  const std::string sql = "SELECT lo_from_bytea(0, '\\x" + std::string(1000, 'a') + "')";
  const std::string whole = query(sql);
  EXPECT_EQ(with_oid(whole.substr(0, 100)) + whole.substr(100),
            query("SELECT lo_from_bytea(54321" + sql.substr(22)));
}

TEST(ObjectCreation, AStatementWithANameMayRunAgain) {
  EXPECT_EQ(with_oid(parse("s", "SELECT lo_create(0)")), "(none)");
}

TEST(CreationAnswer, TellsTheOidOfACallAndOfTheOneColumnOfThatType) {
  const std::vector<std::string> answers = {
      called(binary(16435)) + ready(), called("16435") + ready(),
      columns({kOid}) + row({"16435"}) + complete("SELECT 1") + ready(),
      columns({25, kOid}) + row({"16999", binary(16435)}) + complete("SELECT 1") + ready(),
      columns({25}) + row({"9"}) + complete("SELECT 1") + columns({kOid}) + row({"16435"}) + ready('T')};
  for (const std::string& answer : answers) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, SIZE_MAX}) {
      EXPECT_EQ(told(answer, piece), 16435U);
    }
  }
}

TEST(CreationAnswer, TellsNothingOfWhatIsNotOneOid) {
  const std::vector<std::string> answers = {error("42501", "permission denied") + ready('E'),
                                            columns({kOid}) + row({"16435"}) + row({"16436"}) + ready(),
                                            columns({kOid, kOid}) + row({"16435", "16436"}) + ready(),
                                            columns({23}) + row({"16435"}) + ready(),
                                            row({"16435"}) + ready(),  // nobody asked what the column is
                                            columns({kOid}) + row({"nothing"}) + ready(),
                                            called("") + ready(),
                                            columns({kOid}) + row({}) + ready()};
  for (const std::string& answer : answers) EXPECT_EQ(told(answer), 0U);
}

TEST(WithoutObjectOid, BothWaysToAskAreOne) {
  EXPECT_EQ(without_object_oid("SELECT lo_creat(-1)"), "SELECT lo_create(0)");
  EXPECT_EQ(without_object_oid("SELECT lo_create(54321)"), "SELECT lo_create(0)");
  EXPECT_EQ(without_object_oid("SELECT lo_import('f', 54321)"), "SELECT lo_import('f')");
  EXPECT_EQ(without_object_oid("SELECT lo_import('f')"), "SELECT lo_import('f')");
  EXPECT_EQ(without_object_oid("SELECT lo_from_bytea(0, $1), lo_from_bytea(54321, $1)"),
            "SELECT lo_from_bytea(0, $1), lo_from_bytea(0, $1)");
  EXPECT_FALSE(without_object_oid("SELECT lo_get(54321)"));
  EXPECT_FALSE(without_object_oid("SELECT 1"));
}

}  // namespace
}  // namespace understudy::replayer
