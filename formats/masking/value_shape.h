// What a value in text form looks like. A token keeps its value's shape, so that it fits wherever the value
// did: in a column of its type, in a literal, in a unique index beside the others. Pure functions, any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace understudy::masking {

enum class Shape : std::uint8_t {
  kText,       // whatever is none of these
  kInteger,    // "0", "-17": as an integer type or numeric writes it
  kNumber,     // "12.50": as numeric writes it
  kUuid,       // lower case, as the server writes it
  kPlainUuid,  // without dashes, as some clients write it
  kDate,       // "2024-02-29", years 0001 to 9999
  kTimestamp,  // "2024-02-29 10:00:00.25+01": ISO, with or without fraction and zone
  kHex,        // "\x00ff": bytea
  kAddress,    // "192.0.2.7", "10.0.0.0/8"
  kKeyword,    // infinity, -infinity, NaN, \x (no bytes): says nothing, and is kept
};

[[nodiscard]] Shape shape_of(std::string_view text);

// Of an integer: a number that differs where an integer type begins to be too small for it. A token keeps it,
// so it fits into the type whichever it was.
[[nodiscard]] int integer_class(std::string_view integer);

// Days since 1970-01-01; nothing for what is no date.
[[nodiscard]] std::optional<std::int32_t> read_date(std::string_view text);
// Nothing for a day outside of the years 0001 to 9999.
[[nodiscard]] std::optional<std::string> write_date(std::int64_t day);

// A moment, and how it was written.
struct TimestampParts {
  std::int32_t day = 0;       // of UTC if there is a zone
  std::uint32_t second = 0;   // of the day
  std::string_view fraction;  // digits behind the point, zeros at their end left out
  std::string_view zeros;     // those; a point stands before them
  bool point = false;         // there is one
  char separator = ' ';       // or 'T'
  std::string_view zone;      // "+01:30", "Z"; may be empty
  std::int32_t offset_s = 0;  // that
};
[[nodiscard]] std::optional<TimestampParts> read_timestamp(std::string_view text);
[[nodiscard]] std::optional<std::string> write_timestamp(const TimestampParts& parts);

// Bytes of the code point that begins `text`, if it is well-formed UTF-8 (RFC 3629); else 0.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

}  // namespace understudy::masking
