// Recorded bytes on a terminal: nothing that a terminal obeys, no half characters, no more than asked for.
#include "replayer/readable.h"

#include <gmock/gmock.h>

#include "formats/wire/backend_builders.h"
#include "formats/wire/message_types.h"

namespace understudy::replayer {
namespace {

using testing::EndsWith;
using testing::StartsWith;

wire::Value value(std::string_view text) { return {as_bytes(text)}; }

TEST(ReadableTest, ControlCharactersAreEscapedAndLettersOfAnyLanguageAreNot) {
  EXPECT_EQ(readable_text("a\nb\tc\r\x07\x1b[31m\x7f", 100), "a\\nb\\tc\\r\\x07\\x1b[31m\\x7f");
  EXPECT_EQ(readable_text("größer 漢字 🐘", 100), "größer 漢字 🐘");
  EXPECT_EQ(readable_text("\xc2\x9b"
                          "31m",
                          100),
            "\\xc2\\x9b31m")
      << "a C1 control sequence introducer";
}

TEST(ReadableTest, WhatIsNoUtf8IsEscapedByteByByte) {
  EXPECT_EQ(readable_text("\xff", 100), "\\xff");
  EXPECT_EQ(readable_text("\xc3", 100), "\\xc3");
  EXPECT_EQ(readable_text("\xc0\x80", 100), "\\xc0\\x80") << "overlong NUL";
  EXPECT_EQ(readable_text("\xe0\x80\xaf", 100), "\\xe0\\x80\\xaf") << "overlong slash";
  EXPECT_EQ(readable_text("\xed\xa0\x80", 100), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(readable_text("\xf0\x80\x80\x80", 100), "\\xf0\\x80\\x80\\x80");
  EXPECT_EQ(readable_text("\xf4\x90\x80\x80", 100), "\\xf4\\x90\\x80\\x80") << "beyond U+10FFFF";
  EXPECT_EQ(readable_text("\xe2\x82", 100), "\\xe2\\x82") << "half a euro sign";
}

TEST(ReadableTest, LongTextsAreCutBetweenCharacters) {
  EXPECT_EQ(readable_text("abcdef", 6), "abcdef");
  EXPECT_EQ(readable_text("abcdefg", 6), "abcdef...");
  EXPECT_EQ(readable_text("ääääää", 5), "äää...");
}

TEST(ReadableTest, AbridgingNeverSplitsACharacterNorExceedsTheLimit) {
  const std::string text = "grö€🐘grö€🐘grö€🐘";
  for (std::size_t limit = 3; limit <= text.size(); ++limit) {
    const std::string cut = abridged(text, limit);
    EXPECT_LE(cut.size(), limit);
    EXPECT_EQ(readable_text(cut, 1000), cut) << "half a character at " << limit;
  }
  EXPECT_EQ(abridged(text, text.size()), text);
  EXPECT_EQ(abridged("abcdef", 5), "ab...");
}

TEST(ReadableTest, ValuesTellNullFromTheTextNullAndFromEmpty) {
  EXPECT_EQ(readable_value(wire::Value::null(), 100), "NULL");
  EXPECT_EQ(readable_value(value("NULL"), 100), "'NULL'");
  EXPECT_EQ(readable_value(value(""), 100), "''");
  EXPECT_EQ(readable_cell(wire::Value::null(), 100), "NULL");
}

TEST(ReadableTest, BytesThatAreNoTextAreShownInHexadecimal) {
  EXPECT_EQ(readable_value(value(std::string_view("\0\0\0\x07", 4)), 100), "\\x00000007");
  EXPECT_EQ(readable_cell(value("line\nbreak"), 100), "line\\nbreak");
  EXPECT_EQ(readable_value(value("caf\xe9"), 100), "\\x636166e9");
  EXPECT_THAT(readable_cell(value(std::string(1000, '\0')), 20), EndsWith("..."));
}

TEST(ReadableTest, NoTwoValuesLookAlike) {
  EXPECT_EQ(readable_value(value("a\nb"), 100), R"('a\nb')");
  EXPECT_EQ(readable_value(value("a\\nb"), 100), R"('a\\nb')");
  EXPECT_EQ(readable_cell(value("a\\nb"), 100), R"(a\\nb)");
  EXPECT_EQ(readable_value(value("'quote'"), 100), R"('\'quote\'')");
  EXPECT_EQ(readable_cell(value("it's"), 100), "it's") << "nothing ends there";
  EXPECT_EQ(readable_value(value("\\x00ff"), 100), R"('\\x00ff')") << "a bytea in its text form";
  EXPECT_EQ(readable_value(value(std::string_view("\0\xff", 2)), 100), R"(\x00ff)");
  EXPECT_EQ(readable_value(value("abc..."), 100), "'abc...'");
  EXPECT_EQ(readable_value(value("abcdef"), 3), "'abc'...");
}

TEST(ReadableTest, AControlCharacterDoesNotTurnATextIntoHexadecimal) {
  EXPECT_EQ(readable_value(value("bell\x07 \x7f"), 100), R"('bell\x07 \x7f')");
  EXPECT_EQ(readable_value(value("c1 \xc2\x9b"), 100), R"('c1 \xc2\x9b')");
}

TEST(ReadableTest, ATextThatIsCutInsideACharacterIsStillAText) {
  std::string text(63, 'a');
  text += "€€€";
  EXPECT_THAT(readable_cell(value(text), 64), StartsWith("aaaa"));
  EXPECT_THAT(readable_cell(value(std::string(63, 'a') + "\xff" + text), 64), StartsWith("\\x61"));
}

TEST(ReadableTest, ErrorsAreOneLineWhateverTheServerSays) {
  ByteBuffer message;
  wire::append_error_response(message,
                              {.severity = "ERROR", .sqlstate = "235\x1b[", .message = "two\nlines\x07"});
  EXPECT_EQ(readable_error(ByteView(message).subspan(5)), "ERROR 235\\x1b[: two\\nlines\\x07");
  // As an imported log tells it.
  message.clear();
  wire::append_error_fields(message, wire::backend::kErrorResponse,
                            std::vector<wire::ErrorField>{{'S', "FATAL"}, {'M', "no such"}});
  EXPECT_EQ(readable_error(ByteView(message).subspan(5)), "FATAL: no such");
  EXPECT_EQ(readable_error(as_bytes("nonsense")), "(an error that cannot be read)");
  EXPECT_EQ(readable_error({}), "(an error that cannot be read)");
}

TEST(ReadableTest, TypesHaveTheirNames) {
  EXPECT_EQ(readable_type(23, -1), "integer");
  EXPECT_EQ(readable_type(3802, -1), "jsonb");
  EXPECT_EQ(readable_type(1043, 14), "varchar(10)");
  EXPECT_EQ(readable_type(1700, ((10 << 16) | 2) + 4), "numeric(10,2)");
  EXPECT_EQ(readable_type(1700, ((5 << 16) | (-3 & 0x7FF)) + 4), "numeric(5,-3)");
  EXPECT_EQ(readable_type(1114, 3), "timestamp(3)");
  EXPECT_EQ(readable_type(16'411, -1), "type 16411");
  EXPECT_EQ(readable_type(0, -1), "type 0");
  EXPECT_EQ(readable_type(0xFFFFFFFF, 0x7FFFFFFF), "type 4294967295");
}

}  // namespace
}  // namespace understudy::replayer
