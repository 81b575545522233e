#include "formats/transcript/segment_name.h"

#include <charconv>
#include <cstdio>

namespace understudy {
namespace {

constexpr std::string_view kSuffix = ".transcript";
constexpr std::size_t kMinDigits = 6;

// Digits only, at least six: "+1" or "1" are not how a segment is named.
std::optional<std::uint32_t> parse_number(std::string_view digits) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.size() < kMinDigits || error != std::errc() || end != digits.data() + digits.size())
    return std::nullopt;
  return value;
}

}  // namespace

std::string format_segment_name(SegmentName name) {
  char text[64];
  std::snprintf(text, sizeof text, "%06u-%06u", name.run, name.segment);
  return std::string(text) + std::string(kSuffix);
}

std::optional<SegmentName> parse_segment_name(std::string_view file_name) {
  if (!file_name.ends_with(kSuffix)) return std::nullopt;
  file_name.remove_suffix(kSuffix.size());
  const std::size_t dash = file_name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto run = parse_number(file_name.substr(0, dash));
  const auto segment = parse_number(file_name.substr(dash + 1));
  if (!run || !segment) return std::nullopt;
  return SegmentName{*run, *segment};
}

}  // namespace understudy
