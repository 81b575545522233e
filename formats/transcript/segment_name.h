// The names of a recording's files: "000001-000003.transcript" is the third segment of the first run. Pure
// functions, any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace understudy {

struct SegmentName {
  std::uint32_t run = 1;
  std::uint32_t segment = 1;
  auto operator<=>(const SegmentName&) const = default;
};

[[nodiscard]] std::string format_segment_name(SegmentName name);
// None for any other file's name.
[[nodiscard]] std::optional<SegmentName> parse_segment_name(std::string_view file_name);

}  // namespace understudy
