#include "replayer/export/binary_value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "replayer/value_text.h"

namespace understudy::replayer {
namespace {

using Text = std::optional<std::string>;

constexpr std::int64_t kDayUs = 86'400'000'000;

template <typename Integer>
std::optional<Integer> integer(ByteView bytes) {
  if (bytes.size() != sizeof(Integer)) return std::nullopt;
  std::uint64_t value = 0;
  for (const Byte byte : bytes) value = (value << 8) | byte;
  return static_cast<Integer>(value);
}

template <typename Integer>
Text integer_text(ByteView bytes) {
  const auto value = integer<Integer>(bytes);
  return value ? Text(std::to_string(*value)) : std::nullopt;
}

template <typename Float, typename Bits>
Text float_text(ByteView bytes) {
  const auto bits = integer<Bits>(bytes);
  if (!bits) return std::nullopt;
  Float value;
  std::memcpy(&value, &*bits, sizeof value);
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  char text[64];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}

Text bool_text(ByteView bytes) {
  if (bytes.size() != 1) return std::nullopt;
  return bytes[0] != 0 ? "t" : "f";
}

Text plain_text(ByteView bytes) {
  if (std::find(bytes.begin(), bytes.end(), Byte{0}) != bytes.end()) return std::nullopt;
  return std::string(as_text(bytes));
}

Text jsonb_text(ByteView bytes) {
  return bytes.empty() || bytes[0] != 1 ? std::nullopt : plain_text(bytes.subspan(1));
}

Text bytea_text(ByteView bytes) { return "\\x" + hex_text(bytes); }

Text uuid_text(ByteView bytes) {
  if (bytes.size() != 16) return std::nullopt;
  std::string out = hex_text(bytes);
  for (const std::size_t dash : {8U, 13U, 18U, 23U}) out.insert(dash, "-");
  return out;
}

// Days since 2000-01-01, in the proleptic Gregorian calendar, years before 1 as "... BC". The algorithm is
// Howard Hinnant's civil_from_days; std::chrono's years end too early.
void civil_date(std::int64_t days, std::int64_t& year, unsigned& month, unsigned& day) {
  const std::int64_t shifted = days + 730'425;  // since 0000-03-01
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
  const std::int64_t of_era = shifted - era * 146'097;
  const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted_month = (5 * of_year + 2) / 153;
  day = static_cast<unsigned>(of_year - (153 * shifted_month + 2) / 5 + 1);
  month = static_cast<unsigned>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
}

std::string date_time(std::int64_t days, const std::string& rest) {
  std::int64_t year = 0;
  unsigned month = 0;
  unsigned day = 0;
  civil_date(days, year, month, day);
  char text[64];
  std::snprintf(text, sizeof text, "%04lld-%02u-%02u", static_cast<long long>(year > 0 ? year : 1 - year),
                month, day);
  return text + rest + (year > 0 ? "" : " BC");
}

std::string clock(std::int64_t us) {
  char text[64];
  std::snprintf(text, sizeof text, "%02lld:%02lld:%02lld.%06lld", static_cast<long long>(us / 3'600'000'000),
                static_cast<long long>(us / 60'000'000 % 60), static_cast<long long>(us / 1'000'000 % 60),
                static_cast<long long>(us % 1'000'000));
  return text;
}

Text date_text(ByteView bytes) {
  const auto days = integer<std::int32_t>(bytes);
  if (!days) return std::nullopt;
  if (*days == std::numeric_limits<std::int32_t>::max()) return "infinity";
  if (*days == std::numeric_limits<std::int32_t>::min()) return "-infinity";
  return date_time(*days, "");
}

Text timestamp_text(ByteView bytes, const char* zone) {
  const auto us = integer<std::int64_t>(bytes);
  if (!us) return std::nullopt;
  if (*us == std::numeric_limits<std::int64_t>::max()) return "infinity";
  if (*us == std::numeric_limits<std::int64_t>::min()) return "-infinity";
  std::int64_t days = *us / kDayUs;
  std::int64_t rest = *us % kDayUs;
  if (rest < 0) {
    rest += kDayUs;
    --days;
  }
  return date_time(days, " " + clock(rest) + zone);
}

Text time_text(ByteView bytes) {
  const auto us = integer<std::int64_t>(bytes);
  return us && *us >= 0 && *us <= kDayUs ? Text(clock(*us)) : std::nullopt;
}

Text interval_text(ByteView bytes) {
  if (bytes.size() != 16) return std::nullopt;
  return std::to_string(*integer<std::int32_t>(bytes.subspan(12))) + " mons " +
         std::to_string(*integer<std::int32_t>(bytes.subspan(8, 4))) + " days " +
         std::to_string(*integer<std::int64_t>(bytes.first(8))) + " microseconds";
}

// Digits of base 10,000; `weight` is the power of the first, `scale` how many decimals are shown.
std::string decimal(const std::vector<std::uint16_t>& digits, int weight, unsigned scale) {
  const auto group = [&](int power) {
    const int index = weight - power;
    char text[16];
    const bool there = index >= 0 && index < static_cast<int>(digits.size());
    std::snprintf(text, sizeof text, "%04u", there ? unsigned{digits[static_cast<std::size_t>(index)]} : 0U);
    return std::string(text);
  };
  std::string whole;
  for (int power = weight; power >= 0; --power) whole += group(power);
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  if (whole.empty()) whole = "0";
  if (scale == 0) return whole;
  std::string fraction;
  for (int power = -1; fraction.size() < scale; --power) fraction += group(power);
  return whole + "." + fraction.substr(0, scale);
}

Text numeric_text(ByteView bytes) {
  ByteReader in(bytes);
  const std::size_t count = in.be16();
  const auto weight = static_cast<std::int16_t>(in.be16());
  const std::uint16_t sign = in.be16();
  const std::uint16_t scale = in.be16();
  std::vector<std::uint16_t> digits;
  for (std::size_t i = 0; i < count && !in.failed(); ++i) digits.push_back(in.be16());
  if (!in.finished() || scale > 0x3FFF) return std::nullopt;
  if (sign == 0xC000) return "NaN";
  if (sign == 0xD000) return "Infinity";
  if (sign == 0xF000) return "-Infinity";
  if (sign != 0 && sign != 0x4000) return std::nullopt;
  if (std::any_of(digits.begin(), digits.end(), [](std::uint16_t digit) { return digit > 9999; }))
    return std::nullopt;
  return (sign == 0x4000 ? "-" : "") + decimal(digits, weight, scale);
}

struct BuiltIn {
  std::uint32_t oid;
  std::uint32_t array_oid;
  const char* name;
  Text (*to_text)(ByteView);
};

// pg_type.dat: these oids are the same in every database of every version.
constexpr BuiltIn kBuiltIns[] = {
    {16, 1000, "bool", bool_text},
    {17, 1001, "bytea", bytea_text},
    {18, 1002, "\"char\"", plain_text},
    {19, 1003, "name", plain_text},
    {20, 1016, "int8", integer_text<std::int64_t>},
    {21, 1005, "int2", integer_text<std::int16_t>},
    {23, 1007, "int4", integer_text<std::int32_t>},
    {25, 1009, "text", plain_text},
    {26, 1028, "oid", integer_text<std::uint32_t>},
    {114, 199, "json", plain_text},
    {142, 143, "xml", plain_text},
    {700, 1021, "float4", float_text<float, std::uint32_t>},
    {701, 1022, "float8", float_text<double, std::uint64_t>},
    {869, 1041, "inet", nullptr},
    {1042, 1014, "bpchar", plain_text},
    {1043, 1015, "varchar", plain_text},
    {1082, 1182, "date", date_text},
    {1083, 1183, "time", time_text},
    {1114, 1115, "timestamp", [](ByteView bytes) { return timestamp_text(bytes, ""); }},
    {1184, 1185, "timestamptz", [](ByteView bytes) { return timestamp_text(bytes, "+00"); }},
    {1186, 1187, "interval", interval_text},
    {1266, 1270, "timetz", nullptr},
    {1560, 1561, "bit", nullptr},
    {1562, 1563, "varbit", nullptr},
    {1700, 1231, "numeric", numeric_text},
    {2950, 2951, "uuid", uuid_text},
    {3802, 3807, "jsonb", jsonb_text},
};

const BuiltIn* find(std::uint32_t oid, bool array) {
  for (const BuiltIn& type : kBuiltIns) {
    if ((array ? type.array_oid : type.oid) == oid) return &type;
  }
  return nullptr;
}

std::string quoted_element(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// An array as array_out writes it: {{"1","2"},{"3",NULL}}, with bounds in front when they do not begin at 1.
class ArrayText {
 public:
  explicit ArrayText(ByteView bytes) : in_(bytes) {}

  Text read(const BuiltIn& element) {
    const std::uint32_t dimensions = in_.be32();
    (void)in_.be32();  // whether there are NULLs
    if (in_.be32() != element.oid || dimensions > kMaxDimensions) return std::nullopt;
    std::string bounds;
    bool from_one = true;
    std::uint64_t count = 1;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      sizes_.push_back(in_.be32());
      const auto lower = std::int64_t{static_cast<std::int32_t>(in_.be32())};
      count *= sizes_.back();
      // An element takes four bytes at least; sizes that lie are found out here.
      if (in_.failed() || count == 0 || count > in_.remaining() / 4) return std::nullopt;
      bounds += "[" + std::to_string(lower) + ":" + std::to_string(lower + sizes_.back() - 1) + "]";
      from_one = from_one && lower == 1;
    }
    if (dimensions == 0) return in_.finished() ? Text("{}") : std::nullopt;
    if (!append(element, 0) || !in_.finished()) return std::nullopt;
    return (from_one ? "" : bounds + "=") + out_;
  }

 private:
  static constexpr std::uint32_t kMaxDimensions = 6;

  bool append(const BuiltIn& element, std::size_t dimension) {
    out_ += '{';
    for (std::uint32_t i = 0; i < sizes_[dimension]; ++i) {
      if (i > 0) out_ += ',';
      if (!(dimension + 1 < sizes_.size() ? append(element, dimension + 1) : append_element(element)))
        return false;
    }
    out_ += '}';
    return true;
  }

  bool append_element(const BuiltIn& element) {
    const std::uint32_t length = in_.be32();
    if (length == 0xFFFFFFFF) {
      out_ += "NULL";
      return !in_.failed();
    }
    const ByteView bytes = in_.bytes(length);
    const Text text = in_.failed() ? std::nullopt : element.to_text(bytes);
    if (text) out_ += quoted_element(*text);
    return text.has_value();
  }

  ByteReader in_;
  std::vector<std::uint32_t> sizes_;
  std::string out_;
};

}  // namespace

std::optional<std::string> binary_to_text(std::uint32_t type_oid, ByteView bytes) {
  if (const BuiltIn* const type = find(type_oid, false))
    return type->to_text == nullptr ? std::nullopt : type->to_text(bytes);
  const BuiltIn* const element = find(type_oid, true);
  return element == nullptr || element->to_text == nullptr ? std::nullopt : ArrayText(bytes).read(*element);
}

std::string type_name(std::uint32_t type_oid) {
  if (const BuiltIn* const type = find(type_oid, false)) return type->name;
  const BuiltIn* const element = find(type_oid, true);
  return element == nullptr ? std::string() : std::string(element->name) + "[]";
}

}  // namespace understudy::replayer
