#include "recorder/record_key.h"

#include <cstdlib>
#include <stdexcept>

namespace understudy::recorder {
namespace {

std::shared_ptr<const RecordingKey> key_of_passphrase(const std::string& passphrase) {
  return std::make_shared<const RecordingKey>(RecordingKey::of_passphrase(passphrase));
}

}  // namespace

void load_record_key(RecorderOptions& options) {
  if (!options.key_file.empty() && !options.passphrase_file.empty()) {
    throw std::invalid_argument("record_key_file and record_passphrase_file: give one of them");
  }
  if (!options.key_file.empty()) {
    options.key = std::make_shared<const RecordingKey>(
        RecordingKey::of_key(read_key_file(options.key_file.string()).front()));
  } else if (!options.passphrase_file.empty()) {
    options.key = key_of_passphrase(read_passphrase_file(options.passphrase_file.string()));
  } else if (const char* const passphrase = std::getenv("UNDERSTUDY_RECORD_PASSPHRASE");
             passphrase != nullptr && *passphrase != '\0') {
    options.key = key_of_passphrase(passphrase);
  }
}

}  // namespace understudy::recorder
