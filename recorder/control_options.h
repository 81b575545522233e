// How recordings that are started while the proxy runs are made: the values, and their keys. Beside
// RecorderOptions, which say how any recording is written. Used at start-up, from the main thread.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace understudy::recorder {

struct ControlOptions {
  std::filesystem::path root;  // named recordings are made in it; empty: none can be started
  bool joins = true;           // with a root: sessions that are open already are taken in
};

// One key, as RecorderOption.
struct ControlOption {
  std::string_view name;
  std::string_view unit_and_default;
  std::string_view help;
  std::string (*set)(ControlOptions& options, std::string_view value);
};
[[nodiscard]] std::span<const ControlOption> control_option_table();

// Why `name` is no name of a recording; empty when it is one. A name never leaves the root.
[[nodiscard]] std::string refuse_recording_name(std::string_view name);

}  // namespace understudy::recorder
