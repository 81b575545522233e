#include <gtest/gtest.h>

#include "formats/wire/frontend_builders.h"
#include "tests/formats/wire_samples.h"

namespace understudy::wire {
namespace {

ByteView payload_of(const ByteBuffer& message) { return ByteView(message).subspan(5); }

TEST(WireFrontend, BindGivesEveryParameterInOrder) {
  const Byte nul[] = {0};
  const std::vector<Value> values = {{ByteView(nul)}, Value::null(), {}};
  ByteBuffer message;
  append_bind(message, {"portal", "statement", {}, values, {}});
  const auto bind = Bind::decode(payload_of(message));
  ASSERT_TRUE(bind);
  EXPECT_EQ(bind->portal, "portal");
  EXPECT_EQ(bind->statement, "statement");
  const auto parameters = to_vector(bind->parameters);
  ASSERT_EQ(parameters.size(), 3u);
  EXPECT_EQ(parameters[0].text(), std::string_view("\0", 1));
  EXPECT_TRUE(parameters[1].is_null);
  EXPECT_FALSE(parameters[2].is_null);
  EXPECT_TRUE(parameters[2].bytes.empty());
}

TEST(WireFrontend, DecodedValuesAreViewsIntoThePayload) {
  ByteBuffer message;
  append_query(message, "SELECT 1");
  const auto query = Query::decode(payload_of(message));
  ASSERT_TRUE(query);
  EXPECT_EQ(static_cast<const void*>(query->sql.data()), static_cast<const void*>(message.data() + 5));
}

// One code is for all, none means text, and codes by index otherwise ("Bind").
TEST(WireFrontend, FormatCodesApplyAsTheProtocolSays) {
  const Byte none[] = {0, 0};
  const Byte one[] = {0, 1, 0, 1};
  const Byte two[] = {0, 2, 0, 0, 0, 1};
  ByteReader in_none(none), in_one(one), in_two(two);
  EXPECT_EQ(read_format_codes(in_none).of(7), 0);
  EXPECT_EQ(read_format_codes(in_one).of(7), 1);
  const FormatCodes codes = read_format_codes(in_two);
  EXPECT_EQ(codes.of(0), 0);
  EXPECT_EQ(codes.of(1), 1);
  EXPECT_EQ(codes.of(2), 0);
}

TEST(WireFrontend, SixtyFiveThousandParametersAreNotNegative) {
  const std::vector<Value> values(0xFFFF, Value::null());
  const std::vector<std::uint32_t> types(0xFFFF, 23);
  ByteBuffer bind_message, parse_message;
  append_bind(bind_message, {"", "", {}, values, {}});
  append_parse(parse_message, "", "SELECT", types);
  EXPECT_EQ(Bind::decode(payload_of(bind_message))->parameters.size(), 0xFFFFu);
  EXPECT_EQ(Parse::decode(payload_of(parse_message))->parameter_types.size(), 0xFFFFu);
}

TEST(WireFrontend, MoreItemsThanACountCanHoldAreNotMiscounted) {
  const std::vector<Value> values(0x10001, Value::null());
  ByteBuffer message;
  append_bind(message, {"", "", {}, values, {}});
  const auto bind = Bind::decode(payload_of(message));
  ASSERT_TRUE(bind);
  EXPECT_EQ(bind->parameters.size(), 0xFFFFu);
}

TEST(WireFrontend, CountsThatLieAreErrors) {
  // portal "", statement "", then counts with nothing behind them.
  const Byte format_count[] = {0, 0, 0xFF, 0xFF};
  const Byte parameter_count[] = {0, 0, 0, 0, 0xFF, 0xFF, 0, 0};
  const Byte result_count[] = {0, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0};
  EXPECT_FALSE(Bind::decode(format_count));
  EXPECT_FALSE(Bind::decode(parameter_count));
  EXPECT_FALSE(Bind::decode(result_count));
  const Byte types[] = {0, 0, 0xFF, 0xFF, 0, 0, 0, 23};
  EXPECT_FALSE(Parse::decode(types));
}

TEST(WireFrontend, ParameterLengthsThatLieAreErrors) {
  for (const std::uint32_t length : {5u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFEu}) {
    ByteBuffer payload = {0, 0, 0, 0, 0, 1};
    append_be32(payload, length);
    append_bytes(payload, as_bytes("abcd"));
    append_be16(payload, 0);
    EXPECT_FALSE(Bind::decode(payload)) << length;
  }
}

TEST(WireFrontend, DescribeAndCloseNameAStatementOrAPortal) {
  for (int target = 0; target < 256; ++target) {
    const Byte payload[] = {static_cast<Byte>(target), 'x', 0};
    const bool valid = target == 'S' || target == 'P';
    EXPECT_EQ(Describe::decode(payload).has_value(), valid) << target;
    EXPECT_EQ(Close::decode(payload).has_value(), valid) << target;
  }
}

TEST(WireFrontend, QueryWithoutItsTerminatorIsAnError) {
  const auto query = Query::decode(as_bytes("SELECT 1"));
  ASSERT_FALSE(query);
  EXPECT_EQ(query.error().offset, 0u);
}

TEST(WireFrontend, QueryWithATextAfterItsTerminatorIsAnError) {
  const auto query = Query::decode(as_bytes(std::string_view("SELECT 1\0; DROP TABLE t\0", 24)));
  ASSERT_FALSE(query);
  EXPECT_EQ(query.error().offset, 9u);
}

TEST(WireFrontend, BuiltStringsCannotSmuggleFields) {
  ByteBuffer message;
  append_parse(message, std::string_view("name\0SELECT evil", 16), "SELECT 1");
  const auto parse = Parse::decode(payload_of(message));
  ASSERT_TRUE(parse);
  EXPECT_EQ(parse->statement, "name");
  EXPECT_EQ(parse->sql, "SELECT 1");
}

TEST(WireFrontend, PasswordsAndSaslResponsesRoundTrip) {
  ByteBuffer password, initial, without, response;
  append_password(password, "se cret");
  append_sasl_initial_response(initial, "SCRAM-SHA-256", {as_bytes("n,,n=,r=abc")});
  append_sasl_initial_response(without, "SCRAM-SHA-256", Value::null());
  append_sasl_response(response, as_bytes("c=biws"));
  EXPECT_EQ(PasswordMessage::decode(payload_of(password))->password, "se cret");
  const auto decoded = SaslInitialResponse::decode(payload_of(initial));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->mechanism, "SCRAM-SHA-256");
  EXPECT_EQ(decoded->response.text(), "n,,n=,r=abc");
  EXPECT_TRUE(SaslInitialResponse::decode(payload_of(without))->response.is_null);
  EXPECT_EQ(rebuild(*decoded), initial);
  EXPECT_EQ(as_text(SaslResponse::decode(payload_of(response))->response), "c=biws");
}

TEST(WireFrontend, TruncatedPasswordsAndSaslInitialResponsesAreErrors) {
  ByteBuffer password, initial;
  append_password(password, "secret");
  append_sasl_initial_response(initial, "SCRAM-SHA-256", {as_bytes("n,,n=,r=abc")});
  for (std::size_t length = 0; length < payload_of(password).size(); ++length)
    EXPECT_FALSE(PasswordMessage::decode(payload_of(password).first(length))) << length;
  for (std::size_t length = 0; length < payload_of(initial).size(); ++length)
    EXPECT_FALSE(SaslInitialResponse::decode(payload_of(initial).first(length))) << length;
}

}  // namespace
}  // namespace understudy::wire
