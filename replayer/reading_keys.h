// The keys of encrypted recordings, from where a command's user keeps them: the same options for every
// command that reads one. Called by the main thread.
#pragma once

#include <cxxopts.hpp>
#include <memory>

#include "formats/transcript/keyring.h"

namespace understudy::replayer {

// --key-file and --passphrase-file.
void add_key_options(cxxopts::Options& options);

// What these name, or the environment's UNDERSTUDY_KEY_FILE and UNDERSTUDY_PASSPHRASE; null when nothing
// does. Throws RecordingError naming a file that cannot be used.
[[nodiscard]] std::shared_ptr<const Keyring> reading_keys(const cxxopts::ParseResult& given);

}  // namespace understudy::replayer
