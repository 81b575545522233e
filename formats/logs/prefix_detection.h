// Which log_line_prefix wrote these lines? Told from their times, numbers, labels and words, and held against
// what sessions say of themselves ("connection authorized: user=..."). Any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace understudy::logs {

// The one that fits the most of `lines`; empty when none tells times and sessions. `likely`: of a log before
// this one, or empty; it is taken where none fits more.
[[nodiscard]] std::string detect_prefix(std::span<const std::string> lines, const std::string& likely = {});
// What could have written the beginning of `line`, which ends at its severity; empty when it has none.
[[nodiscard]] std::string guess_prefix(std::string_view line);

}  // namespace understudy::logs
