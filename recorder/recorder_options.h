// How to record: the values, and their spelling on command lines and in configuration files, shared by every
// command that records. Used at start-up, from the main thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "formats/transcript/event.h"
#include "formats/transcript/keyring.h"
#include "formats/transcript/slab.h"

namespace cxxopts {
class Options;
class ParseResult;
}  // namespace cxxopts

namespace understudy::recorder {

enum class FsyncPolicy : std::uint8_t {
  kNever,    // left to the kernel: a power loss may take the last half minute
  kSegment,  // when a segment is complete
  kInterval  // also while it is being written, every fsync_interval
};

inline constexpr TimeNs kSecond = 1'000'000'000;

struct RecorderOptions {
  std::filesystem::path directory;  // empty: nothing is recorded
  // A segment is complete when it is this long, this old, or tells of this many sessions.
  std::uint64_t segment_bytes = std::uint64_t{256} << 20;
  TimeNs segment_age = 3600 * kSecond;
  std::uint64_t segment_sessions = 65'536;
  std::size_t queue_bytes = std::size_t{128} << 20;  // memory between the workers and the disk
  FsyncPolicy fsync = FsyncPolicy::kSegment;
  TimeNs fsync_interval = kSecond;  // with kInterval
  int level = 1;                    // zstd's
  std::filesystem::path key_file;   // either of them: segments are encrypted
  std::filesystem::path passphrase_file;
  std::shared_ptr<const RecordingKey> key;  // what they hold: record_key.h loads it
  bool redact = true;                       // passwords in SQL

  // Retention: the oldest complete segments are deleted when all together are larger, and when they are
  // older. 0: nothing is deleted.
  std::uint64_t keep_bytes = 0;
  TimeNs keep_age = 0;

  [[nodiscard]] bool wants_encryption() const { return !key_file.empty() || !passphrase_file.empty(); }

  // Not for configuration: measured once (formats/README.md), and varied by tests.
  std::size_t slab_bytes = Slab::kDefaultCapacityBytes;
  TimeNs seal_interval = kSecond * 7 / 10;  // nothing stays unsealed longer
  TimeNs retry_interval = kSecond;          // between attempts to write again after a disk error
};

// One option, as proxy::ConfigurationKey: `name` in a configuration file, "--" and the name with '-' for '_'
// on a command line.
struct RecorderOption {
  std::string_view name;
  std::string_view unit_and_default;  // "size, 256MiB"
  std::string_view help;
  // Takes a value over. Returns an empty string, or what is wrong with it.
  std::string (*set)(RecorderOptions& options, std::string_view value);
};
[[nodiscard]] std::span<const RecorderOption> recorder_option_table();
// What stands for the value in a help text, by its unit ("directory, none"): DIR.
[[nodiscard]] std::string placeholder(std::string_view unit_and_default);

// Adds all of them to a command's options, in the group "Recording"; or all but the directory, where a
// command has another word for it.
void add_recorder_options(cxxopts::Options& command, bool with_directory = true);
// Takes over those given on the command line, and loads the key. Throws std::invalid_argument naming the
// option, and std::runtime_error naming a file of keys that cannot be used.
void apply_recorder_options(const cxxopts::ParseResult& given, RecorderOptions& options);

}  // namespace understudy::recorder
