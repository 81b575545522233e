#include "replayer/reading_keys.h"

#include <cstdlib>

#include "formats/transcript/damage.h"
#include "replayer/command_frame.h"

namespace understudy::replayer {
namespace {

// An option's value, or the environment variable's; "" when there is neither.
std::string option_or(const cxxopts::ParseResult& given, const char* name, const char* variable) {
  if (given.count(name) > 0) return option(given, name);
  const char* const value = variable == nullptr ? nullptr : std::getenv(variable);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

void add_key_options(cxxopts::Options& options) {
  auto add = options.add_options();
  add("key-file", "keys of encrypted recordings (or UNDERSTUDY_KEY_FILE)", cxxopts::value<std::string>(),
      "FILE");
  add("passphrase-file", "with the passphrase as its first line (or UNDERSTUDY_PASSPHRASE itself)",
      cxxopts::value<std::string>(), "FILE");
}

std::shared_ptr<const Keyring> reading_keys(const cxxopts::ParseResult& given) {
  const std::string key_file = option_or(given, "key-file", "UNDERSTUDY_KEY_FILE");
  const std::string passphrase_file = option_or(given, "passphrase-file", nullptr);
  const char* const passphrase = std::getenv("UNDERSTUDY_PASSPHRASE");
  const auto keys = std::make_shared<Keyring>();
  bool any = false;
  try {
    if (!key_file.empty()) {
      for (const SecretKey& key : read_key_file(key_file)) keys->add_key(key);
      any = true;
    }
    if (!passphrase_file.empty()) {
      keys->add_passphrase(read_passphrase_file(passphrase_file));
      any = true;
    } else if (passphrase != nullptr && *passphrase != '\0') {
      keys->add_passphrase(passphrase);
      any = true;
    }
  } catch (const std::runtime_error& error) {
    throw RecordingError(error.what());
  }
  return any ? keys : nullptr;
}

}  // namespace understudy::replayer
