// What every subcommand shares: dispatch, --help and --version, sizes and durations and times as text. Kept
// in formats/ because all folders may include it; it only turns values into text and back.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/transcript/event.h"

namespace understudy {

struct Subcommand {
  std::string_view name;
  std::string_view summary;
  int (*run)(int argc, char** argv);  // argv[0] is the subcommand's name
};

inline constexpr int kExitUsage = 2;
// As wide as --help is.
inline constexpr int kHelpColumns = 100;

// `understudy <subcommand> ...`, `understudy --help`, `understudy --version`. Returns the exit code. An
// exception that leaves a subcommand is printed as "understudy <name>: what" and gives 1 (diff and verify:
// 2).
int run_command_line(int argc, char** argv, const std::vector<Subcommand>& commands);

// An exception as a message. Of one of std::filesystem: what could not be done, with which path, why, and
// what may help, without the library's own words and brackets.
[[nodiscard]] std::string in_words(const std::exception& error);

// "1.5 MiB", "820 B"; "1.2 s", "850 us", "2 min 3 s"; "2026-11-24T13:31:07.123456Z".
[[nodiscard]] std::string format_size(std::uint64_t bytes);
[[nodiscard]] std::string format_duration(TimeNs duration);
[[nodiscard]] std::string format_time(TimeNs time, int fraction_digits = 6);
// "64MiB", "1GB", "4096" -> bytes; "500ms", "2s", "5min", "1h", "30" (seconds) -> nanoseconds. None when
// malformed.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] std::optional<TimeNs> parse_duration(std::string_view text);

}  // namespace understudy
