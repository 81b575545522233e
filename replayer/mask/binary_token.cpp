#include "replayer/mask/binary_token.h"

#include <algorithm>
#include <charconv>

#include "formats/masking/value_shape.h"
#include "replayer/export/binary_value.h"

namespace understudy::replayer {
namespace {

constexpr std::uint32_t kBytea = 17;
constexpr std::uint32_t kInt8 = 20;
constexpr std::uint32_t kInt2 = 21;
constexpr std::uint32_t kInt4 = 23;
constexpr std::uint32_t kInet = 869;
constexpr std::uint32_t kDate = 1082;
constexpr std::uint32_t kTimestamp = 1114;
constexpr std::uint32_t kTimestampTz = 1184;
constexpr std::uint32_t kUuid = 2950;
constexpr std::int64_t kEpochDay = 10'957;  // 2000-01-01, since 1970-01-01

void append_integer(ByteBuffer& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<Byte>(value >> shift));
}

std::optional<ByteBuffer> integer_bytes(std::string_view text, int bytes) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  ByteBuffer out;
  append_integer(out, static_cast<std::uint64_t>(value), bytes);
  return out;
}

std::optional<ByteBuffer> hex_bytes(std::string_view text) {
  ByteBuffer out;
  int high = -1;
  for (const char c : text) {
    if (c == '-') continue;
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(static_cast<Byte>(high * 16 + digit));
      high = -1;
    }
  }
  return high < 0 ? std::optional(out) : std::nullopt;
}

std::optional<ByteBuffer> timestamp_bytes(std::string_view text) {
  const auto parts = masking::read_timestamp(text);
  if (!parts) return std::nullopt;
  std::int64_t fraction_us = 0;
  std::int64_t unit = 100'000;
  for (const char c : parts->fraction) {
    fraction_us += unit * (c - '0');
    unit /= 10;
  }
  const std::int64_t seconds = (parts->day - kEpochDay) * 86'400 + std::int64_t{parts->second};
  ByteBuffer out;
  append_integer(out, static_cast<std::uint64_t>(seconds * 1'000'000 + fraction_us), 8);
  return out;
}

// An address of IPv4: family, bits of the network, whether it is a cidr, length, bytes.
constexpr std::size_t kInetBytes = 8;
constexpr Byte kInetFamily = 2;
constexpr Byte kWholeAddress = 32;

std::optional<std::string> inet_text(ByteView bytes) {
  if (bytes.size() != kInetBytes || bytes[0] != kInetFamily || bytes[1] > kWholeAddress || bytes[2] != 0 ||
      bytes[3] != 4)
    return std::nullopt;
  std::string text;
  for (std::size_t i = 4; i < kInetBytes; ++i) text += (i == 4 ? "" : ".") + std::to_string(bytes[i]);
  return bytes[1] == kWholeAddress ? text : text + "/" + std::to_string(bytes[1]);
}

std::optional<ByteBuffer> inet_bytes(std::string_view text) {
  ByteBuffer out = {kInetFamily, kWholeAddress, 0, 4, 0, 0, 0, 0};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 4; i < kInetBytes; ++i) {
    const auto [next, error] = std::from_chars(at, end, out[i]);
    if (error != std::errc()) return std::nullopt;
    at = next == end ? end : next + 1;
  }
  if (at != end) (void)std::from_chars(at, end, out[1]);
  return out;
}

// The server leaves zeros at the end of a fraction out, and a fraction of zeros.
std::string without_zeros(std::string text) {
  const std::size_t point = text.find('.');
  if (point == std::string::npos) return text;
  std::size_t end = std::min(text.find_first_not_of("0123456789", point + 1), text.size());
  const std::string zone = text.substr(end);
  while (text[end - 1] == '0') --end;
  if (end == point + 1) end = point;
  return text.substr(0, end) + zone;
}

}  // namespace

bool is_text_type(std::uint32_t type_oid) {
  return type_oid == 25 || type_oid == 1043 || type_oid == 1042 || type_oid == 19 || type_oid == 705;
}

bool is_document_type(std::uint32_t type_oid) {
  return type_oid == 114 || type_oid == 3802 || type_oid == 142;
}

bool is_number_type(std::uint32_t type_oid) {
  return type_oid == kInt2 || type_oid == kInt4 || type_oid == kInt8 || type_oid == 26 || type_oid == 700 ||
         type_oid == 701 || type_oid == 1700;
}

std::optional<std::string> text_of_binary(std::uint32_t type_oid, ByteView bytes) {
  const bool known = type_oid == kBytea || type_oid == kInt8 || type_oid == kInt2 || type_oid == kInt4 ||
                     type_oid == kDate || type_oid == kTimestamp || type_oid == kTimestampTz ||
                     type_oid == kUuid;
  if (type_oid == kInet) return inet_text(bytes);
  if (!known) return std::nullopt;
  auto text = binary_to_text(type_oid, bytes);
  if (text && (type_oid == kTimestamp || type_oid == kTimestampTz)) return without_zeros(std::move(*text));
  return text;
}

std::optional<ByteBuffer> binary_of_text(std::uint32_t type_oid, std::string_view text) {
  switch (type_oid) {
    case kInt2:
      return integer_bytes(text, 2);
    case kInt4:
      return integer_bytes(text, 4);
    case kInt8:
      return integer_bytes(text, 8);
    case kBytea:
      return text.starts_with("\\x") ? hex_bytes(text.substr(2)) : std::nullopt;
    case kInet:
      return inet_bytes(text);
    case kUuid:
      return hex_bytes(text);
    case kTimestamp:
    case kTimestampTz:
      return timestamp_bytes(text);
    case kDate:
      break;
    default:
      return std::nullopt;
  }
  const auto day = masking::read_date(text);
  if (!day) return std::nullopt;
  ByteBuffer out;
  append_integer(out, static_cast<std::uint64_t>(*day - kEpochDay), 4);
  return out;
}

}  // namespace understudy::replayer
