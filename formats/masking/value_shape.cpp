#include "formats/masking/value_shape.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace understudy::masking {
namespace {

constexpr std::int32_t kSecondsADay = 86'400;
constexpr std::size_t kUuidLength = 36;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }
bool all_digits(std::string_view text) { return std::all_of(text.begin(), text.end(), is_digit); }

// "0", or digits that begin with another.
bool is_whole(std::string_view text) {
  return text == "0" || (!text.empty() && text.front() != '0' && all_digits(text));
}

bool is_integer(std::string_view text) {
  if (text.starts_with('-')) return text != "-0" && is_whole(text.substr(1));
  return is_whole(text);
}

bool is_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos || point + 1 == text.size()) return false;
  return is_whole(text.substr(0, point)) && all_digits(text.substr(point + 1));
}

bool is_uuid(std::string_view text) {
  if (text.size() != kUuidLength) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex(text[i])) return false;
  }
  return true;
}

bool is_plain_uuid(std::string_view text) {
  return text.size() == kUuidLength - 4 && std::all_of(text.begin(), text.end(), is_hex);
}

bool is_bytea(std::string_view text) {
  return text.size() > 2 && text.size() % 2 == 0 && text.starts_with("\\x") &&
         std::all_of(text.begin() + 2, text.end(), is_hex);
}

bool is_small_number(std::string_view text, int limit) {
  if (text.size() > 3 || !is_whole(text)) return false;
  int value = 0;
  for (const char c : text) value = value * 10 + (c - '0');
  return value <= limit;
}

bool is_address(std::string_view text) {
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    if (!is_small_number(text.substr(slash + 1), 32)) return false;
    text = text.substr(0, slash);
  }
  for (int octet = 0; octet < 4; ++octet) {
    const std::size_t end = octet < 3 ? text.find('.') : text.size();
    if (end == std::string_view::npos || !is_small_number(text.substr(0, end), 255)) return false;
    text.remove_prefix(octet < 3 ? end + 1 : end);
  }
  return text.empty();
}

// Exactly two digits at `at`, or -1.
int two_digits(std::string_view text, std::size_t at) {
  if (text.size() < at + 2 || !is_digit(text[at]) || !is_digit(text[at + 1])) return -1;
  return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

// "+01", "-03:30", "+00:19:32".
std::optional<std::int32_t> read_offset(std::string_view zone) {
  if (zone.empty() || zone == "Z") return 0;
  if ((zone[0] != '+' && zone[0] != '-') || (zone.size() != 3 && zone.size() != 6 && zone.size() != 9))
    return std::nullopt;
  std::int32_t offset = 0;
  std::int32_t unit = 3600;
  for (std::size_t at = 1; at < zone.size(); at += 3, unit /= 60) {
    const int part = two_digits(zone, at);
    if (part < 0 || part > (at == 1 ? 15 : 59) || (at > 1 && zone[at - 1] != ':')) return std::nullopt;
    offset += part * unit;
  }
  return zone[0] == '-' ? -offset : offset;
}

// The moment so many seconds later.
void shift(std::int64_t& day, std::int64_t& second, std::int32_t by_s) {
  second += by_s;
  while (second < 0) {
    second += kSecondsADay;
    --day;
  }
  while (second >= kSecondsADay) {
    second -= kSecondsADay;
    ++day;
  }
}

bool is_written_day(std::int64_t day) {
  using namespace std::chrono;
  static const std::int64_t first = sys_days(year{1} / 1 / 1).time_since_epoch().count();
  static const std::int64_t last = sys_days(year{9999} / 12 / 31).time_since_epoch().count();
  return day >= first && day <= last;
}

}  // namespace

std::optional<std::int32_t> read_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const int century = two_digits(text, 0);
  const int rest = two_digits(text, 2);
  const int month = two_digits(text, 5);
  const int day = two_digits(text, 8);
  if (century < 0 || rest < 0 || month < 0 || day < 0 || century + rest == 0) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{century * 100 + rest},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  return static_cast<std::int32_t>(std::chrono::sys_days(date).time_since_epoch().count());
}

std::optional<std::string> write_date(std::int64_t day) {
  if (!is_written_day(day)) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return text;
}

std::optional<TimestampParts> read_timestamp(std::string_view text) {
  constexpr std::size_t kShortest = 19;
  if (text.size() < kShortest || (text[10] != ' ' && text[10] != 'T') || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  const auto date = read_date(text.substr(0, 10));
  const int hour = two_digits(text, 11);
  const int minute = two_digits(text, 14);
  const int second = two_digits(text, 17);
  if (!date || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
    return std::nullopt;
  TimestampParts parts;
  parts.separator = text[10];
  std::string_view rest = text.substr(kShortest);
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find_first_not_of("0123456789"), rest.size());
    if (end == 0 || end > 6) return std::nullopt;
    // The server leaves zeros at the end out, and some clients do not.
    const std::size_t kept = rest.substr(0, end).find_last_not_of('0') + 1;
    parts.fraction = rest.substr(0, kept);
    parts.zeros = rest.substr(kept, end - kept);
    parts.point = true;
    rest.remove_prefix(end);
  }
  const auto offset = read_offset(rest);
  if (!offset) return std::nullopt;
  parts.zone = rest;
  parts.offset_s = *offset;
  std::int64_t day = *date;
  std::int64_t of_day = hour * 3600 + minute * 60 + second;
  shift(day, of_day, -*offset);
  if (!is_written_day(day)) return std::nullopt;
  parts.day = static_cast<std::int32_t>(day);
  parts.second = static_cast<std::uint32_t>(of_day);
  return parts;
}

std::optional<std::string> write_timestamp(const TimestampParts& parts) {
  std::int64_t day = parts.day;
  std::int64_t second = parts.second;
  shift(day, second, parts.offset_s);
  auto text = write_date(day);
  if (!text) return std::nullopt;
  char clock[32];
  std::snprintf(clock, sizeof clock, "%c%02d:%02d:%02d", parts.separator, static_cast<int>(second / 3600),
                static_cast<int>(second / 60 % 60), static_cast<int>(second % 60));
  *text += clock;
  if (parts.point) text->append(".").append(parts.fraction).append(parts.zeros);
  return *text + std::string(parts.zone);
}

int integer_class(std::string_view integer) {
  const bool negative = integer.starts_with('-');
  if (negative) integer.remove_prefix(1);
  // A negative number may be larger by one.
  for (const std::string_view limit : {negative ? "32768" : "32767", negative ? "2147483648" : "2147483647",
                                       negative ? "9223372036854775808" : "9223372036854775807"}) {
    if (integer.size() == limit.size()) return integer <= limit ? 1 : 2;
  }
  return 0;
}

Shape shape_of(std::string_view text) {
  if (text == "infinity" || text == "-infinity" || text == "NaN" || text == "\\x") return Shape::kKeyword;
  if (is_integer(text)) return Shape::kInteger;
  if (is_number(text)) return Shape::kNumber;
  if (is_uuid(text)) return Shape::kUuid;
  if (is_plain_uuid(text)) return Shape::kPlainUuid;
  if (read_date(text)) return Shape::kDate;
  if (read_timestamp(text)) return Shape::kTimestamp;
  if (is_bytea(text)) return Shape::kHex;
  if (is_address(text)) return Shape::kAddress;
  return Shape::kText;
}

std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  if (text.empty()) return 0;
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xED && byte(1) > 0x9F;
  const bool beyond = lead == 0xF4 && byte(1) > 0x8F;
  return overlong || surrogate || beyond ? 0 : length;
}

}  // namespace understudy::masking
