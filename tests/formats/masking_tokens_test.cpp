// Tokens: one for each value, of its shape, the same today and tomorrow. That SQL makes the same is for
// tests/end_to_end/test_mask.py.
#include "formats/masking/tokens.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "formats/masking/keyed_permutation.h"
#include "formats/masking/value_shape.h"

namespace understudy::masking {
namespace {

constexpr std::string_view kKey = "0123456789abcdef";

std::string token(std::string_view value, std::string_view family = "", std::string_view key = kKey) {
  Tokens tokens(key);
  return tokens.mask(value, family).value_or("none");
}

TEST(MaskingTokens, EqualValuesHaveEqualTokensInAFamilyOfAKeyOnly) {
  const std::string value = "ada.lovelace@example.org";
  EXPECT_EQ(token(value), token(value));
  EXPECT_NE(token(value), value);
  EXPECT_NE(token(value), token(value, "other"));
  EXPECT_NE(token(value), token(value, "", "0123456789abcdeF"));
}

// Recordings and databases masked by an earlier version must fit those masked by this one.
TEST(MaskingTokens, StayWhatTheyWere) {
  const std::pair<const char*, const char*> kept[] = {
      {"a", "a"},
      {"7", "4"},
      {"12345", "18068"},
      {"Ada O'Neil", "Pjf W'Gjhf"},
      {"c4d8e112-4dc6-c87a-0ab7-eedcaf746b99", "f99aa22a-dc1c-ca8c-0e68-ffcfd9d89b5b"},
      {"2024-02-29", "2093-09-12"},
      {"2024-02-29 10:00:00.25+00", "2093-09-12 10:06:57.35+00"},
      {"10.1.20.255/24", "53.2.47.180/24"}};
  for (const auto& [value, expected] : kept) EXPECT_EQ(token(value), expected) << value;
}

TEST(MaskingTokens, AreABijectionOfEverySmallDomain) {
  Tokens tokens(kKey);
  const auto is_bijection = [&](const std::vector<std::string>& values) {
    std::set<std::string> seen;
    for (const std::string& value : values) {
      const std::string masked = tokens.mask(value, "").value();
      EXPECT_EQ(shape_of(masked), shape_of(value)) << value;
      EXPECT_EQ(masked.size(), value.size()) << value;
      EXPECT_TRUE(seen.insert(masked).second) << value << " -> " << masked;
    }
  };
  std::vector<std::string> numbers;
  for (int i = -1200; i < 12000; ++i) numbers.push_back(std::to_string(i));
  is_bijection(numbers);
  std::vector<std::string> others;
  for (int i = 0; i < 1000; ++i) others.push_back("0" + std::to_string(i));
  for (char c = 'a'; c <= 'z'; ++c) others.push_back(std::string(1, c));
  for (int i = 0; i < 100; ++i) others.push_back(std::to_string(i / 10) + "." + std::to_string(i % 10));
  is_bijection(others);
  std::vector<std::string> days;
  for (std::int32_t day = -30'000; day < 60'000; day += 7) days.push_back(*write_date(day));
  is_bijection(days);
}

TEST(MaskingTokens, FitTheIntegerTypeThatTheirValuesFit) {
  for (const int value : {10'000, 32'767, -32'768, -10'000, 12'345}) {
    const int masked = std::stoi(token(std::to_string(value)));
    EXPECT_TRUE(masked >= -32'768 && masked <= 32'767) << value << " -> " << masked;
    EXPECT_EQ(masked < 0, value < 0);
  }
  for (const std::int64_t value : {1'000'000'000LL, 2'147'483'647LL, -2'147'483'648LL})
    EXPECT_LE(std::abs(std::stoll(token(std::to_string(value)))), 2'147'483'648) << value;
  EXPECT_NO_THROW((void)std::stoll(token("9223372036854775807")));
  EXPECT_NO_THROW((void)std::stoll(token("-9223372036854775808")));
}

TEST(MaskingTokens, OfOneMomentAreOneMomentHoweverItWasWritten) {
  const std::string utc = token("2024-02-29 10:00:00.5+00");
  EXPECT_EQ(read_timestamp(utc)->day, read_timestamp(token("2024-02-29 12:00:00.500000+02:00"))->day);
  EXPECT_EQ(read_timestamp(utc)->second, read_timestamp(token("2024-02-29T10:00:00.5Z"))->second);
  EXPECT_EQ(token("c4d8e112-4dc6-487a-8ab7-eedcaf746b99").substr(24),
            token("c4d8e1124dc6487a8ab7eedcaf746b99").substr(20));
  EXPECT_EQ(token("2024-02-29"), token("2024-02-29 10:00:00").substr(0, 10));
}

TEST(MaskingTokens, KeepWhatIsNoCharacterOfAValue) {
  EXPECT_EQ(token("abc"), token("abc   ").substr(0, 3));  // char(6)
  EXPECT_EQ(token("a-b c").substr(1, 1) + token("a-b c").substr(3, 1), "- ");
  EXPECT_EQ(token("infinity"), "infinity");
  EXPECT_EQ(token("c4d8e112-4dc6-487a-8ab7-eedcaf746b99").substr(14, 1), "4");
  EXPECT_EQ(token(""), "");
}

TEST(MaskingTokens, AreNotMadeOfBytesThatAreNoText) {
  for (const std::string_view bytes : {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80"})
    EXPECT_EQ(token(bytes), "none");
  EXPECT_EQ(token("\xf0\x9f\x98\x80").size(), 4U);
}

TEST(MaskingTokens, OfLongValuesTakeTimeInProportion) {
  const std::string value(1 << 20, 'x');
  const std::string masked = token(value);
  EXPECT_EQ(masked.size(), value.size());
  EXPECT_NE(masked, value);
}

TEST(KeyedPermutation, IsABijectionOfMixedRadices) {
  KeyedPermutation permutation(kKey);
  const Digits radices = {3, 10, 7};
  std::set<Digits> seen;
  for (std::uint16_t i = 0; i < 210; ++i) {
    Digits digits = {static_cast<std::uint16_t>(i / 70), static_cast<std::uint16_t>(i / 7 % 10),
                     static_cast<std::uint16_t>(i % 7)};
    permutation.permute("f", "l", digits, radices);
    EXPECT_TRUE(seen.insert(digits).second);
  }
}

TEST(ValueShape, OfWhatIsNearlyADate) {
  EXPECT_EQ(shape_of("2024-02-29"), Shape::kDate);
  for (const char* const text : {"2023-02-29", "0000-01-01", "2024-13-01", "2024-1-1", "2024-02-29 "})
    EXPECT_EQ(shape_of(text), Shape::kText) << text;
  EXPECT_EQ(shape_of("2024-02-29 10:00:00.120+05:30"), Shape::kTimestamp);
  for (const char* const text : {"2024-02-29 24:00:00", "2024-02-29 10:00:00.", "2024-02-29 10:00:00.1234567",
                                 "2024-02-29 10:00:00+16", "2024-02-29 10:00:00+1", "0001-01-01 00:00:00+01"})
    EXPECT_EQ(shape_of(text), Shape::kText) << text;
}

}  // namespace
}  // namespace understudy::masking
