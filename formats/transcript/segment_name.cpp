#include "formats/transcript/segment_name.h"

#include <charconv>
#include <cstdio>
#include <map>

#include "formats/transcript/damage.h"

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

// Recordings are their writer's alone (directories 0700, files 0600).
std::string remedy(const std::error_code& error) {
  return error == std::errc::permission_denied
             ? " (a recording is for the user who made it: read it as that one)"
             : "";
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

std::vector<std::filesystem::path> list_segments(const std::filesystem::path& recording) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(recording, error);
  if (status.type() == std::filesystem::file_type::not_found)
    throw RecordingError(recording.string() + ": no such file or directory");
  // Not known whether it is there: a directory on the way may not be entered, for one.
  if (!std::filesystem::status_known(status))
    throw RecordingError(recording.string() + ": cannot be looked at: " + error.message() + remedy(error));
  if (!std::filesystem::is_directory(status)) return {recording};
  std::map<SegmentName, std::filesystem::path> found;
  std::filesystem::directory_iterator entries(recording, error);
  if (error)
    throw RecordingError(recording.string() + ": cannot be listed: " + error.message() + remedy(error));
  for (const std::filesystem::directory_entry& entry : entries) {
    const std::optional<SegmentName> name = parse_segment_name(entry.path().filename().string());
    if (name && entry.is_regular_file(error)) found.emplace(*name, entry.path());
  }
  std::vector<std::filesystem::path> paths;
  for (auto& [name, file] : found) paths.push_back(std::move(file));
  if (!paths.empty()) return paths;
  throw RecordingError(recording.string() +
                       ": holds no recording (no file named like 000001-000001.transcript)");
}

}  // namespace understudy
