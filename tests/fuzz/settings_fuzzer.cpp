// The configuration file against arbitrary text. What is held: nothing crashes; a refusal is a SettingsError
// that names file and line; a key that was taken is known and has the value that was read; what is read twice
// is the same.
#include <algorithm>

#include "formats/bytes.h"
#include "recorder/proxy_settings.h"
#include "tests/fuzz/require.h"

namespace understudy::recorder {
namespace {

void take(const std::vector<Setting>& settings) {
  try {
    const ProxySettings taken = apply_settings(settings);
    const std::vector<KeyHelp> known = known_keys();
    for (const auto& given : taken.given) {
      require(std::any_of(known.begin(), known.end(),
                          [&](const KeyHelp& one) { return one.key == given.first; }));
    }
    require(taken.given.size() <= settings.size());
    const proxy::Configuration& configuration = taken.configuration;
    require(!configuration.listen.empty());
    require(!configuration.backends.empty() || !configuration.patroni.endpoints.empty());
    require(need_restart(taken, apply_settings(settings)).empty());
    (void)proxy::effective_workers(configuration);
  } catch (const SettingsError& error) {
    require(std::string_view(error.what()).starts_with("file:"));
  }
}

void check_all(const std::string& text) {
  std::vector<Setting> settings;
  try {
    settings = parse_settings(text, "file");
  } catch (const SettingsError& error) {
    require(std::string_view(error.what()).starts_with("file:"));
    return;
  }
  const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
  require(settings.size() <= static_cast<std::size_t>(lines));
  take(settings);
  for (const Setting& setting : settings) take({setting});  // one that is wrong hides what follows it
}

}  // namespace
}  // namespace understudy::recorder

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  understudy::recorder::check_all(std::string(understudy::as_text({data, size})));
  return 0;
}
