#include "formats/command.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>

namespace understudy {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;

void print_help(const std::vector<Subcommand>& commands, std::FILE* out) {
  std::fputs(
      "understudy: a recording PostgreSQL proxy\n\n"
      "Usage: understudy <command> [options]\n\nCommands:\n",
      out);
  std::size_t width = 0;
  for (const Subcommand& command : commands) width = std::max(width, command.name.size());
  for (const Subcommand& command : commands) {
    std::fprintf(out, "  %-*.*s  %.*s\n", static_cast<int>(width), static_cast<int>(command.name.size()),
                 command.name.data(), static_cast<int>(command.summary.size()), command.summary.data());
  }
  std::fputs(
      "\nOptions:\n"
      "  --help     this text; `understudy <command> --help` lists a command's options\n"
      "  --version  the version\n",
      out);
}

int run_guarded(const Subcommand& command, int argc, char** argv) {
  try {
    return command.run(argc, argv);
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "understudy %.*s: %s\n", static_cast<int>(command.name.size()), command.name.data(),
                 in_words(error).c_str());
  }
  // Of diff and verify, 1 is an answer ("different", "damaged"); not being able to give one is 2.
  return command.name == "diff" || command.name == "verify" ? 2 : 1;
}

// A number with at most one decimal and none that is zero: "1.5", "2".
std::string format_number(double value, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof text, "%.1f", value);
  std::string number(text);
  if (number.ends_with(".0")) number.resize(number.size() - 2);
  return number + " " + unit;
}

struct Unit {
  std::string_view name;
  double factor;
};

// "<number><unit>", both required, nothing else. The number must be plain decimal: "1.5", not "1e3" or "-1".
std::optional<double> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || text.front() < '0' || text.front() > '9' || !std::isfinite(number))
    return std::nullopt;
  std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
  for (const Unit& unit : units) {
    if (unit.name == name) return number * unit.factor;
  }
  return std::nullopt;
}

// Of "filesystem error: cannot copy: Permission denied [/a] [/b]": "cannot copy /a to /b".
std::string doing(const std::filesystem::filesystem_error& error) {
  constexpr std::string_view kPrefix = "filesystem error: ";
  std::string text = error.what();
  if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
  const std::size_t why = text.find(": " + error.code().message());
  text = text.substr(0, why == std::string::npos ? text.find(" [") : why);
  if (!error.path1().empty()) text += " " + error.path1().string();
  if (!error.path2().empty()) text += " to " + error.path2().string();
  return text;
}

}  // namespace

std::string in_words(const std::exception& error) {
  const auto* const of_files = dynamic_cast<const std::filesystem::filesystem_error*>(&error);
  if (of_files == nullptr) return error.what();
  const std::error_code code = of_files->code();
  std::string text = doing(*of_files) + ": " + code.message();
  if (code == std::errc::permission_denied || code == std::errc::operation_not_permitted)
    text += ". Run it as a user who may, or name another place";
  if (code == std::errc::not_a_directory || code == std::errc::file_exists)
    text += ". A part of that path is a file: name another place, or move it away";
  if (code == std::errc::no_space_on_device || code == std::errc::read_only_file_system)
    text += ". Name another place, or make room";
  return text;
}

int run_command_line(int argc, char** argv, const std::vector<Subcommand>& commands) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  const auto asks_version = [](std::string_view word) { return word == "--version" || word == "-V"; };
  const auto named = [&](std::string_view word) {
    return std::find_if(commands.begin(), commands.end(),
                        [&](const Subcommand& command) { return command.name == word; });
  };
  if (name == "help" && argc > 2 && named(argv[2]) != commands.end()) {
    char option[] = "--help";
    char* const asked[] = {argv[2], option, nullptr};
    return run_guarded(*named(argv[2]), 2, const_cast<char**>(asked));
  }
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(commands, stdout);
    return 0;
  }
  if (asks_version(name) || (argc == 3 && named(name) != commands.end() && asks_version(argv[2]))) {
    std::puts("understudy " UNDERSTUDY_VERSION);
    return 0;
  }
  if (named(name) != commands.end()) return run_guarded(*named(name), argc - 1, argv + 1);
  if (!name.empty()) {
    std::fprintf(stderr, "understudy: no command \"%.*s\"\n\n", static_cast<int>(name.size()), name.data());
  }
  print_help(commands, stderr);
  return kExitUsage;
}

std::string format_size(std::uint64_t bytes) {
  static constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 and more would be printed as 1024.0 of the smaller unit.
  for (; value >= 1023.95 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return format_number(value, kUnits[unit]);
}

std::string format_duration(TimeNs duration) {
  if (duration < 0) {
    // The most negative value has no positive counterpart.
    return "-" + format_duration(duration == INT64_MIN ? INT64_MAX : -duration);
  }
  const double ns = static_cast<double>(duration);
  if (duration < 1000) return std::to_string(duration) + " ns";
  if (ns < 999'950) return format_number(ns / 1e3, "us");
  if (ns < 999'950'000) return format_number(ns / 1e6, "ms");
  if (ns < 59.95e9) return format_number(ns / 1e9, "s");
  const std::int64_t seconds = duration / kSecond + (duration % kSecond >= kSecond / 2 ? 1 : 0);
  const auto part = [](std::int64_t value, const char* unit) { return std::to_string(value) + " " + unit; };
  if (seconds < 3600)
    return part(seconds / 60, "min") + (seconds % 60 > 0 ? " " + part(seconds % 60, "s") : "");
  const std::int64_t minutes = seconds / 60;
  return part(minutes / 60, "h") + (minutes % 60 > 0 ? " " + part(minutes % 60, "min") : "");
}

std::string format_time(TimeNs time, int fraction_digits) {
  TimeNs fraction = time % kSecond;
  TimeNs seconds = time / kSecond;
  if (fraction < 0) {
    fraction += kSecond;
    --seconds;
  }
  const std::time_t clock = static_cast<std::time_t>(seconds);
  std::tm utc = {};
  gmtime_r(&clock, &utc);
  char text[64];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::string out(text, length);
  if (fraction_digits > 0) {
    char digits[16];
    std::snprintf(digits, sizeof digits, ".%09lld", static_cast<long long>(fraction));
    out.append(digits, static_cast<std::size_t>(std::min(fraction_digits, 9)) + 1);
  }
  return out + "Z";
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  static constexpr Unit kUnits[] = {{"", 1},       {"B", 1},         {"kB", 1e3},     {"KB", 1e3},
                                    {"MB", 1e6},   {"GB", 1e9},      {"TB", 1e12},    {"k", 1024},
                                    {"K", 1024},   {"M", 1048576},   {"G", 0x1p30},   {"T", 0x1p40},
                                    {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  const std::optional<double> bytes = parse_with_unit(text, kUnits);
  if (!bytes || *bytes >= 0x1p63) return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(*bytes));
}

std::optional<TimeNs> parse_duration(std::string_view text) {
  static constexpr Unit kUnits[] = {{"", 1e9},     {"ns", 1},   {"us", 1e3},   {"ms", 1e6},   {"s", 1e9},
                                    {"min", 60e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
  const std::optional<double> ns = parse_with_unit(text, kUnits);
  if (!ns || *ns >= 0x1p63) return std::nullopt;
  return static_cast<TimeNs>(std::llround(*ns));
}

}  // namespace understudy
