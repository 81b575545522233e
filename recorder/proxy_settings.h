// All that `understudy proxy` can be told, from its configuration file and its command line (which wins).
// Both know the same keys: proxy::configuration_keys(), recorder_option_table() and control_option_table().
//
// Values; read by the main thread at start-up and at SIGHUP.
#pragma once

#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/configuration.h"
#include "recorder/control_options.h"
#include "recorder/recorder_options.h"

namespace understudy::recorder {

// A file that cannot be read, an unknown key, a bad value. what() names file and line, or the option.
class SettingsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Of these: a file that is not there, or cannot be read.
class UnreadableSettings : public SettingsError {
 public:
  using SettingsError::SettingsError;
};

// One "key = value" and where it was given: "understudy.ini:12" or "--backend".
struct Setting {
  std::string key;
  std::string value;
  std::string where;
};

// The settings of a configuration file's text: lines "key = value" in the section [understudy]; ';' or '#'
// begins a comment line. `name` is used in messages. Throws SettingsError on anything else.
[[nodiscard]] std::vector<Setting> parse_settings(const std::string& text, const std::string& name);
[[nodiscard]] std::vector<Setting> read_settings(const std::filesystem::path& file);

struct ProxySettings {
  proxy::Configuration configuration;
  RecorderOptions recording;
  ControlOptions control;
  std::map<std::string, std::string> given;  // the last value of each key
};
// Takes settings over, later ones winning. Throws SettingsError.
[[nodiscard]] ProxySettings apply_settings(const std::vector<Setting>& settings);

// Keys whose values differ between the two and that take effect only at a start.
[[nodiscard]] std::vector<std::string> need_restart(const ProxySettings& before, const ProxySettings& after);

// One key as help texts and samples show it.
struct KeyHelp {
  std::string_view key;
  std::string_view unit_and_default;
  std::string_view help;
};
[[nodiscard]] std::vector<KeyHelp> known_keys();

}  // namespace understudy::recorder
