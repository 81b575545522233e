#include "recorder/control_options.h"

#include <algorithm>

namespace understudy::recorder {
namespace {

constexpr std::size_t kLongestName = 100;

std::string set_root(ControlOptions& options, std::string_view value) {
  if (value.empty()) return "expected a directory";
  options.root = value;
  return {};
}

std::string set_joins(ControlOptions& options, std::string_view value) {
  if (value != "on" && value != "off") return "expected on or off";
  options.joins = value == "on";
  return {};
}

constexpr ControlOption kTable[] = {
    {"record_root", "directory, none",
     "recordings started by `understudy ctl record start NAME` become directories in it", set_root},
    {"record_joins", "on or off, on",
     "with record_root: follow each session's state, so that recordings take in those already open",
     set_joins},
};

bool may_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
         c == '_';
}

}  // namespace

std::span<const ControlOption> control_option_table() { return kTable; }

std::string refuse_recording_name(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kLongestName && name.front() != '.' &&
                    name.front() != '-' && std::all_of(name.begin(), name.end(), may_name);
  if (fits) return {};
  return "a recording's name is made of letters, digits, '.', '-' and '_', begins with none of the first two "
         "signs, and has at most " +
         std::to_string(kLongestName) + " characters";
}

}  // namespace understudy::recorder
