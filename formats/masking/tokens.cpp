#include "formats/masking/tokens.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <vector>

#include "formats/masking/keyed_permutation.h"
#include "formats/masking/value_shape.h"

namespace understudy::masking {
namespace {

// Days from 1900-01-01 to 2099-12-31 stay among themselves, all others of the years 1 to 9999 as well. Their
// number is covered by two digits of a radix.
struct DayRange {
  std::string_view label;
  std::int32_t first;  // since 1970-01-01
  std::int32_t count;
  std::uint16_t radix;
};
constexpr DayRange kNearDays{"d", -25'567, 73'049, 271};
constexpr DayRange kAllDays{"D", -719'162, 3'652'059, 1912};
constexpr std::uint32_t kSecondsADay = 86'400;
constexpr std::uint16_t kSecondRadix = 294;

constexpr std::size_t kMaxRemembered = 200'000;
constexpr std::size_t kMaxRememberedBytes = 200;  // longer values are not worth it

bool is_near(std::int64_t day) {
  return day >= kNearDays.first && day < std::int64_t{kNearDays.first} + kNearDays.count;
}

std::uint16_t hex_digit(char c) { return static_cast<std::uint16_t>(c >= 'a' ? c - 'a' + 10 : c - '0'); }
char hex_letter(std::uint16_t digit) { return "0123456789abcdef"[digit]; }

// Where a uuid says what it is, with dashes or without.
std::size_t version_at(std::string_view uuid) { return uuid.size() == 36 ? 14 : 12; }
std::size_t variant_at(std::string_view uuid) { return uuid.size() == 36 ? 19 : 16; }

// The characters of a text that change: where, and what each counts from.
struct Places {
  Digits digits;
  Digits radices;
  std::vector<std::size_t> at;
  std::vector<unsigned char> base;

  void add(std::size_t where, unsigned char from, unsigned char byte, std::uint16_t radix) {
    at.push_back(where);
    base.push_back(from);
    digits.push_back(static_cast<std::uint16_t>(byte - from));
    radices.push_back(radix);
  }
};

}  // namespace

struct Tokens::State {
  explicit State(std::string_view key) : permutation(key) {}

  KeyedPermutation permutation;
  std::map<std::string, std::unordered_map<std::string, std::string>, std::less<>> remembered;  // by family
  std::size_t remembered_count = 0;

  // One step of each permutation; the caller walks on until the shape is right.
  [[nodiscard]] bool characters(std::string& text, std::string_view family);
  void hex(std::string& text, std::string_view family, std::string_view label, std::size_t from);
  void address(std::string& text, std::string_view family);
  void timestamp(std::string& text, std::string_view family);
  [[nodiscard]] std::int32_t day(std::int32_t value, std::string_view family);
  void clock(TimestampParts& parts, std::string& fraction, std::string_view family);
  [[nodiscard]] bool step(Shape shape, std::string& text, std::string_view family);
  [[nodiscard]] std::optional<std::string> work_out(std::string_view value, std::string_view family);
};

// A code point from U+0080 on changes its last six bits, an ASCII letter or digit within its kind.
bool Tokens::State::characters(std::string& text, std::string_view family) {
  Places places;
  std::string label = "t" + text;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(std::string_view(text).substr(i));
    if (length == 0) return false;
    const std::size_t last = i + length - 1;
    const auto byte = static_cast<unsigned char>(text[last]);
    const std::size_t count = places.at.size();
    if (length > 1) {
      places.add(last, 0x80, byte, 64);
    } else if (byte >= '0' && byte <= '9') {
      places.add(last, '0', byte, 10);
    } else if (byte >= 'a' && byte <= 'z') {
      places.add(last, 'a', byte, 26);
    } else if (byte >= 'A' && byte <= 'Z') {
      places.add(last, 'A', byte, 26);
    }
    if (places.at.size() > count) label[last + 1] = static_cast<char>(places.base.back());
    i += length;
  }
  permutation.permute(family, label, places.digits, places.radices);
  for (std::size_t i = 0; i < places.at.size(); ++i)
    text[places.at[i]] = static_cast<char>(places.base[i] + places.digits[i]);
  return true;
}

// Hexadecimal digits from `from` on; of a uuid all but version and variant.
void Tokens::State::hex(std::string& text, std::string_view family, std::string_view label,
                        std::size_t from) {
  const bool uuid = from == 0;
  const std::size_t version = version_at(text);
  const auto changes = [&](std::size_t i) {
    return text[i] != '-' && !(uuid && (i == version || i == variant_at(text)));
  };
  Digits digits;
  for (std::size_t i = from; i < text.size(); ++i) {
    if (changes(i)) digits.push_back(hex_digit(text[i]));
  }
  permutation.permute(family, label, digits, Digits(digits.size(), 16));
  std::size_t next = 0;
  for (std::size_t i = from; i < text.size(); ++i) {
    if (changes(i)) text[i] = hex_letter(digits[next++]);
  }
}

// Each octet stays among those of as many digits.
void Tokens::State::address(std::string& text, std::string_view family) {
  const std::size_t end = std::min(text.find('/'), text.size());
  Digits digits;
  Digits radices;
  Digits bases;
  for (std::size_t begin = 0; begin <= end;) {
    const std::size_t dot = std::min(text.find('.', begin), end);
    const std::size_t length = dot - begin;
    const int value = std::stoi(text.substr(begin, length));
    const int base = length == 1 ? 0 : length == 2 ? 10 : 100;
    bases.push_back(static_cast<std::uint16_t>(base));
    radices.push_back(length == 1 ? 10 : length == 2 ? 90 : 156);
    digits.push_back(static_cast<std::uint16_t>(value - base));
    begin = dot + 1;
  }
  permutation.permute(family, "i", digits, radices);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i)
    out += (i == 0 ? "" : ".") + std::to_string(bases[i] + digits[i]);
  text = out + text.substr(end);
}

std::int32_t Tokens::State::day(std::int32_t value, std::string_view family) {
  const bool near = is_near(value);
  const DayRange& range = near ? kNearDays : kAllDays;
  std::int32_t index = value - range.first;
  do {
    Digits digits = {static_cast<std::uint16_t>(index / range.radix),
                     static_cast<std::uint16_t>(index % range.radix)};
    permutation.permute(family, range.label, digits, {range.radix, range.radix});
    index = std::int32_t{digits[0]} * range.radix + digits[1];
  } while (index >= range.count || is_near(std::int64_t{range.first} + index) != near);
  return range.first + index;
}

void Tokens::State::clock(TimestampParts& parts, std::string& fraction, std::string_view family) {
  std::uint32_t second = parts.second;
  do {
    Digits digits = {static_cast<std::uint16_t>(second / kSecondRadix),
                     static_cast<std::uint16_t>(second % kSecondRadix)};
    Digits radices = {kSecondRadix, kSecondRadix};
    for (const char c : fraction) {
      digits.push_back(static_cast<std::uint16_t>(c - '0'));
      radices.push_back(10);
    }
    permutation.permute(family, "s", digits, radices);
    second = std::uint32_t{digits[0]} * kSecondRadix + digits[1];
    for (std::size_t i = 0; i < fraction.size(); ++i) fraction[i] = static_cast<char>('0' + digits[i + 2]);
  } while (second >= kSecondsADay || fraction.ends_with('0'));
  parts.second = second;
}

void Tokens::State::timestamp(std::string& text, std::string_view family) {
  TimestampParts parts = *read_timestamp(text);
  std::string fraction(parts.fraction);
  std::optional<std::string> written;
  do {  // a zone can take the first or the last day out of what can be written
    parts.day = day(parts.day, family);
    clock(parts, fraction, family);
    parts.fraction = fraction;
    written = write_timestamp(parts);
  } while (!written);
  text = *written;
}

bool Tokens::State::step(Shape shape, std::string& text, std::string_view family) {
  switch (shape) {
    case Shape::kKeyword:
      return true;
    case Shape::kUuid:
    case Shape::kPlainUuid:
      hex(text, family, std::string("u") + text[version_at(text)] + text[variant_at(text)], 0);
      return true;
    case Shape::kHex:
      hex(text, family, "x", 2);
      return true;
    case Shape::kAddress:
      address(text, family);
      return true;
    case Shape::kDate:
      text = *write_date(day(*read_date(text), family));
      return true;
    case Shape::kTimestamp:
      timestamp(text, family);
      return true;
    case Shape::kText:
    case Shape::kInteger:
    case Shape::kNumber:
      break;
  }
  return characters(text, family);
}

std::optional<std::string> Tokens::State::work_out(std::string_view value, std::string_view family) {
  // Blanks at the end are how a char(n) is shown, and no part of it.
  const std::size_t size = value.find_last_not_of(' ') + 1;
  std::string text(value.substr(0, size));
  const Shape shape = shape_of(text);
  const int size_class = shape == Shape::kInteger ? integer_class(text) : 0;
  do {
    if (!step(shape, text, family)) return std::nullopt;
  } while (shape_of(text) != shape || (shape == Shape::kInteger && integer_class(text) != size_class));
  return text.append(value.substr(size));
}

Tokens::Tokens(std::string_view key) : state_(std::make_unique<State>(key)) {}
Tokens::~Tokens() = default;

std::optional<std::string> Tokens::mask(std::string_view value, std::string_view family) {
  if (value.size() > kMaxRememberedBytes) return state_->work_out(value, family);
  auto& known = state_->remembered[std::string(family)];
  const auto found = known.find(std::string(value));
  if (found != known.end()) return found->second;
  auto token = state_->work_out(value, family);
  if (!token) return std::nullopt;
  if (++state_->remembered_count > kMaxRemembered) {
    state_->remembered.clear();
    state_->remembered_count = 1;
  }
  state_->remembered[std::string(family)].emplace(value, *token);
  return token;
}

}  // namespace understudy::masking
