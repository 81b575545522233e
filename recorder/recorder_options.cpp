#include "recorder/recorder_options.h"

#include <algorithm>
#include <cxxopts.hpp>
#include <stdexcept>

#include "formats/command.h"
#include "recorder/record_key.h"

namespace understudy::recorder {
namespace {

std::string set_directory(RecorderOptions& options, std::string_view value) {
  if (value.empty()) return "expected a directory";
  options.directory = value;
  return {};
}

std::string set_segment_size(RecorderOptions& options, std::string_view value) {
  const auto bytes = parse_size(value);
  if (!bytes || *bytes < (std::uint64_t{1} << 20)) return "expected a size of at least 1MiB, such as 256MiB";
  options.segment_bytes = *bytes;
  return {};
}

std::string set_segment_age(RecorderOptions& options, std::string_view value) {
  const auto age = parse_duration(value);
  if (!age || *age < kSecond) return "expected a duration of at least 1s, such as 1h";
  options.segment_age = *age;
  return {};
}

std::string set_buffer(RecorderOptions& options, std::string_view value) {
  const auto bytes = parse_size(value);
  if (!bytes || *bytes < (std::uint64_t{4} << 20)) return "expected a size of at least 4MiB, such as 128MiB";
  options.queue_bytes = static_cast<std::size_t>(*bytes);
  return {};
}

std::string set_fsync(RecorderOptions& options, std::string_view value) {
  if (value == "never" || value == "segment") {
    options.fsync = value == "never" ? FsyncPolicy::kNever : FsyncPolicy::kSegment;
    return {};
  }
  const auto interval = parse_duration(value);
  if (!interval || *interval < kSecond / 100) {
    return "expected never, segment, or a duration of at least 10ms, such as 1s";
  }
  options.fsync = FsyncPolicy::kInterval;
  options.fsync_interval = *interval;
  return {};
}

std::string set_level(RecorderOptions& options, std::string_view value) {
  if (value.size() != 1 || value[0] < '1' || value[0] > '9') return "expected a zstd level from 1 to 9";
  options.level = value[0] - '0';
  return {};
}

std::string set_key_file(RecorderOptions& options, std::string_view value) {
  if (value.empty()) return "expected a file";
  options.key_file = value;
  return {};
}

std::string set_passphrase_file(RecorderOptions& options, std::string_view value) {
  if (value.empty()) return "expected a file";
  options.passphrase_file = value;
  return {};
}

std::string set_redact(RecorderOptions& options, std::string_view value) {
  if (value != "on" && value != "off") return "expected on or off";
  options.redact = value == "on";
  return {};
}

std::string set_keep_size(RecorderOptions& options, std::string_view value) {
  const auto bytes = parse_size(value);
  if (!bytes || *bytes < (std::uint64_t{4} << 20)) return "expected a size of at least 4MiB, such as 10GiB";
  options.keep_bytes = *bytes;
  return {};
}

std::string set_keep_age(RecorderOptions& options, std::string_view value) {
  const auto age = parse_duration(value);
  if (!age || *age < 4 * kSecond) return "expected a duration of at least 4s, such as 24h";
  options.keep_age = *age;
  return {};
}

constexpr RecorderOption kTable[] = {
    {"record", "directory, none", "record sessions into it; created (mode 0700) if absent", set_directory},
    {"record_segment_size", "size, 256MiB", "a segment file is complete at this size", set_segment_size},
    {"record_segment_age", "duration, 1h", "a segment file is complete at this age", set_segment_age},
    {"record_buffer", "size, 128MiB",
     "memory between sessions and disk; when full, sessions are shed from recording", set_buffer},
    {"record_fsync", "word or duration, segment",
     "flush to disk: never, segment (when complete), or every DURATION", set_fsync},
    {"record_level", "number, 1", "zstd level from 1 to 9; a higher one costs CPU and gains little",
     set_level},
    {"record_key_file", "file, none",
     "encrypt with the first key in this file: 64 hex digits, of openssl rand -hex 32", set_key_file},
    {"record_passphrase_file", "file, none",
     "encrypt with the passphrase in its first line; or set UNDERSTUDY_RECORD_PASSPHRASE",
     set_passphrase_file},
    {"record_redact", "on or off, on",
     "overwrite passwords in SQL (PASSWORD '...', connection strings) with x", set_redact},
    {"record_keep_size", "size, none",
     "delete the oldest segments when all are larger (at least 4MiB); a segment is at most a quarter",
     set_keep_size},
    {"record_keep_age", "duration, none",
     "delete segments that are older; a segment is complete after a quarter of it at the latest",
     set_keep_age},
};

std::string flag_of(std::string_view key) {
  std::string flag(key);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

}  // namespace

std::span<const RecorderOption> recorder_option_table() { return kTable; }

std::string placeholder(std::string_view unit_and_default) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {{"directory", "DIR"},
                                                                      {"path", "FILE"},
                                                                      {"address", "HOST:PORT"},
                                                                      {"addresses", "HOST:PORT"},
                                                                      {"number", "N"},
                                                                      {"milliseconds", "NUMBER"},
                                                                      {"seconds", "NUMBER"},
                                                                      {"octal", "MODE"},
                                                                      {"words", "WORD"},
                                                                      {"on or off", "on|off"},
                                                                      {"word or duration", "WORD"}};
  const std::string_view unit = unit_and_default.substr(0, unit_and_default.find(','));
  for (const auto& [known, name] : kNames) {
    if (unit == known) return std::string(name);
  }
  std::string name(unit);
  for (char& c : name) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return name;
}

void add_recorder_options(cxxopts::Options& command, bool with_directory) {
  auto add = command.add_options("Recording");
  for (const RecorderOption& option : kTable) {
    if (option.set == set_directory && !with_directory) continue;
    const std::string help = std::string(option.help) + " (" + std::string(option.unit_and_default) + ")";
    add(flag_of(option.name), help, cxxopts::value<std::string>(), placeholder(option.unit_and_default));
  }
}

void apply_recorder_options(const cxxopts::ParseResult& given, RecorderOptions& options) {
  for (const RecorderOption& option : kTable) {
    const std::string flag = flag_of(option.name);
    if (given.count(flag) == 0) continue;  // or not an option of this command
    const std::string value = given[flag].as<std::string>();
    const std::string wrong = option.set(options, value);
    if (!wrong.empty()) throw std::invalid_argument("--" + flag + " " + value + ": " + wrong);
  }
  load_record_key(options);
}

}  // namespace understudy::recorder
