// A note in the directory of a recording that `ctl record save` made of another one while that went on: up to
// which segment. The segments are that recording's own files, by which nobody can tell that the newest were
// left out on purpose, and not deleted. See formats/README.md, "The chain".
#pragma once

#include <filesystem>
#include <optional>

#include "formats/transcript/segment_name.h"

namespace understudy {

inline constexpr const char* kSavedNote = "saved.txt";

// Throws std::system_error when it cannot be written.
void write_saved_note(const std::filesystem::path& directory, SegmentName last);
// None when there is no note, or one that names no segment.
[[nodiscard]] std::optional<SegmentName> read_saved_note(const std::filesystem::path& directory);

}  // namespace understudy
