#include "recorder/proxy_settings.h"

#include <Poco/AutoPtr.h>
#include <Poco/Util/IniFileConfiguration.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace understudy::recorder {
namespace {

constexpr std::string_view kSection = "understudy";

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// Poco splits the line; it is given one at a time because it does not tell where in a file a key came from.
Setting parse_line(const std::string& line, const std::string& where) {
  if (line.find('=') == std::string::npos) throw SettingsError(where + ": expected key = value");
  std::istringstream stream(line);
  const Poco::AutoPtr<Poco::Util::IniFileConfiguration> parsed(new Poco::Util::IniFileConfiguration(stream));
  Poco::Util::AbstractConfiguration::Keys keys;
  parsed->keys(keys);
  const std::string key = trimmed(line.substr(0, line.find('=')));
  if (keys.size() != 1 || !parsed->has(keys[0])) return {key, {}, where};  // no key of ours has dots
  return {keys[0], parsed->getRawString(keys[0]), where};
}

// Hands the value to whichever table knows the key. Returns what is wrong.
std::string set(ProxySettings& settings, const Setting& setting) {
  for (const proxy::ConfigurationKey& key : proxy::configuration_keys()) {
    if (key.name == setting.key) return key.set(settings.configuration, setting.value);
  }
  for (const RecorderOption& option : recorder_option_table()) {
    if (option.name == setting.key) return option.set(settings.recording, setting.value);
  }
  for (const ControlOption& option : control_option_table()) {
    if (option.name == setting.key) return option.set(settings.control, setting.value);
  }
  return "unknown key";
}

bool is_reloadable(std::string_view name) {
  const auto keys = proxy::configuration_keys();
  const auto at = std::find_if(keys.begin(), keys.end(), [&](const auto& key) { return key.name == name; });
  return at != keys.end() && at->reloadable;
}

}  // namespace

std::vector<Setting> parse_settings(const std::string& text, const std::string& name) {
  std::vector<Setting> settings;
  std::map<std::string, std::string> first_given;
  std::istringstream lines(text);
  std::string line;
  std::string section;
  for (unsigned number = 1; std::getline(lines, line); ++number) {
    line = trimmed(line);
    const std::string where = name + ":" + std::to_string(number);
    if (line.empty() || line.front() == ';' || line.front() == '#') continue;
    if (line.front() == '[') {
      section = line.back() == ']' ? trimmed(line.substr(1, line.size() - 2)) : std::string();
      if (section != kSection)
        throw SettingsError(where + ": expected the section [" + std::string(kSection) + "]");
      continue;
    }
    if (section.empty())
      throw SettingsError(where + ": expected [" + std::string(kSection) + "] before the first key");
    settings.push_back(parse_line(line, where));
    const auto [earlier, fresh] = first_given.try_emplace(settings.back().key, where);
    if (!fresh)
      throw SettingsError(where + ": " + settings.back().key + " was given before, at " + earlier->second);
  }
  return settings;
}

std::vector<Setting> read_settings(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error))
    throw UnreadableSettings(file.string() + ": is a directory");
  std::ifstream stream(file);
  if (!stream.is_open()) throw UnreadableSettings(file.string() + ": " + std::strerror(errno));
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (stream.bad()) throw UnreadableSettings(file.string() + ": " + std::strerror(errno));
  return parse_settings(text, file.string());
}

ProxySettings apply_settings(const std::vector<Setting>& settings) {
  ProxySettings result;
  for (const Setting& setting : settings) {
    const std::string wrong = set(result, setting);
    const std::string of_key = setting.where.starts_with("--") ? ": " : ": " + setting.key + ": ";
    if (!wrong.empty()) throw SettingsError(setting.where + of_key + wrong);
    result.given.insert_or_assign(setting.key, setting.value);
  }
  // The default is no server of Patroni's.
  if (!result.configuration.patroni.endpoints.empty() && !result.given.contains("backend")) {
    result.configuration.backends.clear();
  }
  result.configuration.joins_recordings = result.control.joins && !result.control.root.empty();
  if (result.configuration.listen.empty()) result.configuration.listen.push_back({"127.0.0.1", 6432});
  return result;
}

void require_complete(const ProxySettings& taken, const std::vector<Setting>& settings) {
  const proxy::Configuration& given = taken.configuration;
  const auto require = [&](bool complete, std::string_view key, const std::string& what) {
    if (complete) return;
    const auto last = std::find_if(settings.rbegin(), settings.rend(),
                                   [&](const Setting& setting) { return setting.key == key; });
    throw SettingsError((last == settings.rend() ? "" : last->where + ": ") + what);
  };
  using proxy::AuthenticationSource;
  require(given.auth != AuthenticationSource::kFile || !given.auth_file.empty(), "auth",
          "auth = file needs auth_file, the users and their secrets");
  require(given.auth != AuthenticationSource::kQuery || !given.auth_query.user.empty(), "auth",
          "auth = query needs auth_user, who asks the database");
  require(given.mode != proxy::Mode::kSplit || given.backends.size() > 1 || !given.patroni.endpoints.empty(),
          "mode", "mode = split needs several backends: a primary and replicas to read from");
  require((given.mode == proxy::Mode::kShadow) == (given.shadow.size() == 1),
          taken.given.contains("mode") ? "mode" : "shadow_backend",
          "mode = shadow needs one shadow_backend, and no other mode has one");
  const proxy::TlsSettings::Clients& tls = given.tls.clients;
  const bool has_some = !tls.certificate_file.empty() || !tls.key_file.empty();
  const bool has_both = !tls.certificate_file.empty() && !tls.key_file.empty();
  const bool needs_both =
      tls.mode == proxy::ClientTlsMode::kUnset ? has_some : tls.mode != proxy::ClientTlsMode::kDisable;
  const std::string_view one_of_both =
      !tls.certificate_file.empty() ? "client_tls_cert_file" : "client_tls_key_file";
  require(has_both || !needs_both, has_some ? one_of_both : "client_tls_sslmode",
          "TLS to clients needs both client_tls_cert_file and client_tls_key_file");
}

std::vector<std::string> need_restart(const ProxySettings& before, const ProxySettings& after) {
  std::vector<std::string> names;
  for (const KeyHelp& known : known_keys()) {
    const std::string key(known.key);
    const auto was = before.given.find(key);
    const auto is = after.given.find(key);
    const bool equal = was == before.given.end() || is == after.given.end()
                           ? was == before.given.end() && is == after.given.end()
                           : was->second == is->second;
    if (!equal && !is_reloadable(key)) names.push_back(key);
  }
  return names;
}

std::vector<KeyHelp> known_keys() {
  std::vector<KeyHelp> known;
  for (const proxy::ConfigurationKey& key : proxy::configuration_keys()) {
    known.push_back({key.name, key.unit_and_default, key.help});
  }
  for (const RecorderOption& option : recorder_option_table()) {
    known.push_back({option.name, option.unit_and_default, option.help});
  }
  for (const ControlOption& option : control_option_table()) {
    known.push_back({option.name, option.unit_and_default, option.help});
  }
  return known;
}

}  // namespace understudy::recorder
