// The names of a recording's files: "000001-000003.transcript" is the third segment of the first run. Pure
// functions, any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace understudy {

struct SegmentName {
  std::uint32_t run = 1;
  std::uint32_t segment = 1;
  auto operator<=>(const SegmentName&) const = default;
};

[[nodiscard]] std::string format_segment_name(SegmentName name);
// None for any other file's name.
[[nodiscard]] std::optional<SegmentName> parse_segment_name(std::string_view file_name);

// The files of a recording in order: every segment of a directory (other files are passed over), or the one
// file. Throws RecordingError when there is none.
[[nodiscard]] std::vector<std::filesystem::path> list_segments(const std::filesystem::path& recording);

}  // namespace understudy
