#include <gtest/gtest.h>

#include "formats/wire/backend_builders.h"
#include "tests/formats/wire_samples.h"

namespace understudy::wire {
namespace {

ByteView payload_of(const ByteBuffer& message) { return ByteView(message).subspan(5); }

CommandComplete complete(std::string_view tag, ByteBuffer& message) {
  message.clear();
  append_command_complete(message, tag);
  const auto decoded = CommandComplete::decode(payload_of(message));
  EXPECT_TRUE(decoded) << tag;
  return decoded ? *decoded : CommandComplete{};
}

TEST(WireBackend, CommandTagsGiveCommandAndRows) {
  struct Case {
    std::string_view tag, command;
    std::optional<std::uint64_t> rows;
  };
  const Case cases[] = {
      {"INSERT 0 5", "INSERT", 5},      {"INSERT 16384 1", "INSERT", 1},
      {"SELECT 0", "SELECT", 0},        {"UPDATE 18446744073709551615", "UPDATE", 18446744073709551615u},
      {"COPY 100", "COPY", 100},        {"CREATE TABLE", "CREATE TABLE", std::nullopt},
      {"BEGIN", "BEGIN", std::nullopt}, {"DECLARE CURSOR", "DECLARE CURSOR", std::nullopt}};
  ByteBuffer message;
  for (const Case& each : cases) {
    const CommandComplete decoded = complete(each.tag, message);
    EXPECT_EQ(decoded.tag, each.tag);
    EXPECT_EQ(decoded.command, each.command) << each.tag;
    EXPECT_EQ(decoded.rows, each.rows) << each.tag;
  }
}

TEST(WireBackend, CommandTagsThatAreNoCountsStayWhole) {
  ByteBuffer message;
  for (const std::string_view tag :
       {"", " ", "SELECT ", "SELECT -1", "SELECT 1x", "SELECT +1", "SELECT 18446744073709551616", "12"}) {
    const CommandComplete decoded = complete(tag, message);
    EXPECT_EQ(decoded.command, tag);
    EXPECT_FALSE(decoded.rows) << tag;
  }
}

TEST(WireBackend, ErrorFieldsAreFoundByCode) {
  ByteBuffer message;
  append_error_response(message, {"ERROR", "57P03", "no primary", "", "wait"});
  const auto error = ErrorResponse::decode(payload_of(message));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->severity(), "ERROR");
  EXPECT_EQ(error->sqlstate(), "57P03");
  EXPECT_EQ(error->message(), "no primary");
  EXPECT_EQ(error->field('H'), "wait");
  EXPECT_EQ(error->field('D'), "");
  EXPECT_EQ(error->fields.size(), 5u);
}

TEST(WireBackend, OldServersSeverityIsTheTranslatedOne) {
  ByteBuffer message;
  const ErrorField fields[] = {{'S', "FEHLER"}, {'C', "42601"}};
  append_error_fields(message, backend::kErrorResponse, fields);
  EXPECT_EQ(ErrorResponse::decode(payload_of(message))->severity(), "FEHLER");
}

TEST(WireBackend, UnknownErrorFieldsAreKept) {
  ByteBuffer message;
  const ErrorField fields[] = {{'~', "of a later version"}, {'M', "text"}, {'M', "again"}};
  append_error_fields(message, backend::kNoticeResponse, fields);
  const auto notice = NoticeResponse::decode(payload_of(message));
  ASSERT_TRUE(notice);
  EXPECT_EQ(notice->fields.size(), 3u);
  EXPECT_EQ(notice->field('~'), "of a later version");
  EXPECT_EQ(notice->message(), "text");
}

TEST(WireBackend, CancelKeysHaveFourTo256Bytes) {
  for (const std::size_t length : {0u, 3u, 4u, 5u, 32u, 256u, 257u, 1000u}) {
    ByteBuffer message;
    append_backend_key_data(message, 4711, ByteBuffer(length, 0));
    const auto key = BackendKeyData::decode(payload_of(message));
    EXPECT_EQ(key.has_value(), length >= 4 && length <= 256) << length;
    if (key) {
      EXPECT_EQ(key->secret_key.size(), length);
    }
  }
}

TEST(WireBackend, ColumnLengthsThatLieAreErrors) {
  for (const std::uint32_t length : {5u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFEu}) {
    ByteBuffer payload = {0, 1};
    append_be32(payload, length);
    append_bytes(payload, as_bytes("abcd"));
    EXPECT_FALSE(DataRow::decode(payload)) << length;
  }
}

TEST(WireBackend, ColumnCountsThatLieAreErrors) {
  const Byte too_many[] = {0, 2, 0, 0, 0, 1, 'x'};
  const Byte too_few[] = {0, 1, 0, 0, 0, 1, 'x', 0, 0, 0, 1, 'y'};
  const Byte huge[] = {0xFF, 0xFF};
  EXPECT_FALSE(DataRow::decode(too_many));
  EXPECT_FALSE(DataRow::decode(too_few));
  EXPECT_FALSE(DataRow::decode(huge));
  EXPECT_FALSE(RowDescription::decode(huge));
  EXPECT_FALSE(ParameterDescription::decode(huge));
}

TEST(WireBackend, CopyFormatCountsThatLieAreErrors) {
  const Byte too_many[] = {0, 0, 2, 0, 1};
  const Byte too_few[] = {0, 0, 1, 0, 1, 0, 1};
  const Byte neither[] = {2, 0, 0};
  const Byte right[] = {1, 0, 1, 0, 1};
  EXPECT_FALSE(CopyInResponse::decode(too_many));
  EXPECT_FALSE(CopyOutResponse::decode(too_few));
  EXPECT_FALSE(CopyBothResponse::decode(neither));
  EXPECT_TRUE(CopyInResponse::decode(right));
}

TEST(WireBackend, OptionCountOfFourBillionIsAnErrorAtOnce) {
  ByteBuffer payload;
  append_be32(payload, kProtocol30);
  append_be32(payload, 0xFFFFFFFF);
  append_bytes(payload, as_bytes(std::string_view("_pq_.x\0", 7)));
  EXPECT_FALSE(NegotiateProtocolVersion::decode(payload));
}

TEST(WireBackend, TransactionStatusIsOneOfThree) {
  for (int status = 0; status < 256; ++status) {
    const Byte payload[] = {static_cast<Byte>(status)};
    EXPECT_EQ(ReadyForQuery::decode(payload).has_value(), status == 'I' || status == 'T' || status == 'E');
  }
}

TEST(WireBackend, UnknownAuthenticationCodesAreErrors) {
  for (const std::uint32_t code : {1u, 4u, 13u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    ByteBuffer payload;
    append_be32(payload, code);
    EXPECT_FALSE(Authentication::decode(payload)) << code;
  }
}

TEST(WireBackend, SaltHasFourBytes) {
  ByteBuffer message;
  append_authentication(message, AuthenticationCode::kMd5Password, as_bytes("salty"));
  EXPECT_FALSE(Authentication::decode(payload_of(message)));
}

TEST(WireBackend, RowDescriptionKeepsNegativeSizesAndModifiers) {
  ByteBuffer message;
  const FieldDescription field{"note", 16384, -2, 1043, -1, -32768, 1};
  append_row_description(message, std::span(&field, 1));
  const auto rows = RowDescription::decode(payload_of(message));
  ASSERT_TRUE(rows);
  EXPECT_EQ(*rows->fields.begin(), field);
}

}  // namespace
}  // namespace understudy::wire
