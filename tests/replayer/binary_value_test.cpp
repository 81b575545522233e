// Binary values as text, and bytes that are none.
#include "replayer/export/binary_value.h"

#include <gtest/gtest.h>

namespace understudy::replayer::test {
namespace {

std::string bytes(std::initializer_list<int> list) {
  std::string out;
  for (const int one : list) out += static_cast<char>(one);
  return out;
}
std::string be(std::uint64_t value, std::size_t size) {
  std::string out;
  for (std::size_t i = size; i-- > 0;) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string text(std::uint32_t oid, const std::string& value) {
  return binary_to_text(oid, as_bytes(value)).value_or("(none)");
}

TEST(BinaryValue, NumbersAtTheirLimits) {
  EXPECT_EQ(text(21, be(0x8000, 2)), "-32768");
  EXPECT_EQ(text(23, be(0x7FFFFFFF, 4)), "2147483647");
  EXPECT_EQ(text(20, be(0x8000000000000000, 8)), "-9223372036854775808");
  EXPECT_EQ(text(26, be(0xFFFFFFFF, 4)), "4294967295");
  EXPECT_EQ(text(701, be(0x3FB999999999999A, 8)), "0.1");
  EXPECT_EQ(text(701, be(0x7FF8000000000000, 8)), "NaN");
  EXPECT_EQ(text(700, be(0xFF800000, 4)), "-Infinity");
  EXPECT_EQ(text(700, be(0x3DCCCCCD, 4)), "0.1");
  EXPECT_EQ(text(16, bytes({1})), "t");
}

TEST(BinaryValue, Numerics) {
  const auto numeric = [](int weight, int sign, int scale, std::vector<int> digits) {
    std::string out = be(digits.size(), 2) + be(static_cast<std::uint16_t>(weight), 2) +
                      be(static_cast<std::uint16_t>(sign), 2) + be(static_cast<std::uint16_t>(scale), 2);
    for (const int digit : digits) out += be(static_cast<std::uint16_t>(digit), 2);
    return text(1700, out);
  };
  EXPECT_EQ(numeric(0, 0, 0, {}), "0");
  EXPECT_EQ(numeric(0, 0, 2, {}), "0.00");
  EXPECT_EQ(numeric(1, 0, 3, {1, 2345, 6780}), "12345.678");
  EXPECT_EQ(numeric(-1, 0x4000, 5, {12, 3000}), "-0.00123");
  EXPECT_EQ(numeric(-2, 0, 8, {1}), "0.00000001");
  EXPECT_EQ(numeric(2, 0, 0, {1}), "100000000");
  EXPECT_EQ(numeric(0, 0xC000, 0, {}), "NaN");
  EXPECT_EQ(numeric(0, 0xD000, 0, {}), "Infinity");
  EXPECT_EQ(numeric(0, 0, 0, {10000}), "(none)");
  EXPECT_EQ(numeric(0, 0x1234, 0, {}), "(none)");
  EXPECT_EQ(text(1700, be(0xFFFF, 2) + be(0, 6)), "(none)");
}

TEST(BinaryValue, DatesAndTimes) {
  EXPECT_EQ(text(1082, be(0, 4)), "2000-01-01");
  EXPECT_EQ(text(1082, be(static_cast<std::uint32_t>(-1), 4)), "1999-12-31");
  EXPECT_EQ(text(1082, be(59, 4)), "2000-02-29");
  EXPECT_EQ(text(1082, be(static_cast<std::uint32_t>(-730'119), 4)), "0001-01-01");
  EXPECT_EQ(text(1082, be(static_cast<std::uint32_t>(-730'120), 4)), "0001-12-31 BC");
  EXPECT_EQ(text(1082, be(0x7FFFFFFF, 4)), "infinity");
  EXPECT_EQ(text(1114, be(0, 8)), "2000-01-01 00:00:00.000000");
  EXPECT_EQ(text(1114, be(static_cast<std::uint64_t>(-1), 8)), "1999-12-31 23:59:59.999999");
  EXPECT_EQ(text(1184, be(86'400'000'000 + 3'723'000'001, 8)), "2000-01-02 01:02:03.000001+00");
  EXPECT_EQ(text(1184, be(0x8000000000000000, 8)), "-infinity");
  EXPECT_EQ(text(1083, be(86'399'999'999, 8)), "23:59:59.999999");
  EXPECT_EQ(text(1083, be(static_cast<std::uint64_t>(-5), 8)), "(none)");
  EXPECT_EQ(text(1186, be(1'500'000, 8) + be(static_cast<std::uint32_t>(-2), 4) + be(14, 4)),
            "14 mons -2 days 1500000 microseconds");
}

TEST(BinaryValue, TextBytesAndUuids) {
  EXPECT_EQ(text(25, "it's"), "it's");
  EXPECT_EQ(text(25, bytes({'a', 0, 'b'})), "(none)");
  EXPECT_EQ(text(17, bytes({0, 255})), "\\x00ff");
  EXPECT_EQ(text(3802, "\1{\"a\":1}"), "{\"a\":1}");
  EXPECT_EQ(text(3802, "\2{}"), "(none)");
  EXPECT_EQ(text(2950, bytes({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})),
            "00010203-0405-0607-0809-0a0b0c0d0e0f");
}

std::string array(std::uint32_t element, std::vector<std::pair<std::uint32_t, std::int32_t>> dimensions,
                  const std::string& elements) {
  std::string out = be(dimensions.size(), 4) + be(0, 4) + be(element, 4);
  for (const auto& [size, lower] : dimensions) out += be(size, 4) + be(static_cast<std::uint32_t>(lower), 4);
  return out + elements;
}

TEST(BinaryValue, Arrays) {
  const std::string one = be(4, 4) + be(1, 4);
  const std::string null = be(0xFFFFFFFF, 4);
  EXPECT_EQ(text(1007, array(23, {}, "")), "{}");
  EXPECT_EQ(text(1007, array(23, {{2, 1}}, one + null)), "{\"1\",NULL}");
  EXPECT_EQ(text(1007, array(23, {{2, 1}, {1, 1}}, one + one)), "{{\"1\"},{\"1\"}}");
  EXPECT_EQ(text(1007, array(23, {{2, -1}}, one + one)), "[-1:0]={\"1\",\"1\"}");
  EXPECT_EQ(text(1009, array(25, {{1, 1}}, be(4, 4) + "a\"\\b")), "{\"a\\\"\\\\b\"}");
}

TEST(BinaryValue, ArraysThatLieAreNoValues) {
  EXPECT_EQ(text(1007, array(25, {{1, 1}}, be(1, 4) + "a")), "(none)")
      << "of other elements than its type says";
  EXPECT_EQ(text(1007, array(23, {{0xFFFFFFFF, 1}}, "")), "(none)");
  EXPECT_EQ(text(1007, array(23, {{65536, 1}, {65536, 1}, {65536, 1}, {65536, 1}}, be(0, 8))), "(none)");
  EXPECT_EQ(text(1007, be(7, 4) + be(0, 4) + be(23, 4)), "(none)");
  EXPECT_EQ(text(1007, array(23, {{1, 2'147'483'647}}, be(4, 4) + be(1, 4))),
            "[2147483647:2147483647]={\"1\"}");
}

TEST(BinaryValue, EveryTruncationOfEveryTypeIsNoValueOrAShorterOne) {
  const std::string sample = array(23, {{2, 1}}, be(4, 4) + be(1, 4) + be(4, 4) + be(2, 4));
  for (std::uint32_t oid = 0; oid < 4000; ++oid) {
    for (std::size_t length = 0; length <= sample.size(); ++length)
      (void)binary_to_text(oid, as_bytes(sample).first(length));
  }
  for (std::size_t length = 0; length < sample.size(); ++length)
    EXPECT_EQ(text(1007, sample.substr(0, length)), "(none)");
}

TEST(BinaryValue, TypesOfTheDatabasesOwnAreNotNamed) {
  EXPECT_EQ(type_name(23), "int4");
  EXPECT_EQ(type_name(1185), "timestamptz[]");
  EXPECT_EQ(type_name(18), "\"char\"");
  EXPECT_EQ(type_name(0), "");
  EXPECT_EQ(type_name(16'384), "");
  EXPECT_EQ(text(16'384, "x"), "(none)");
}

}  // namespace
}  // namespace understudy::replayer::test
