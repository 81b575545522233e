// understudy verify: reads every byte of every segment, one after the other.
#include <filesystem>
#include <optional>
#include <system_error>

#include "formats/transcript/saved_note.h"
#include "formats/transcript/segment_name.h"
#include "replayer/command_frame.h"
#include "replayer/commands.h"
#include "replayer/progress.h"
#include "replayer/reading_keys.h"
#include "replayer/show/verify_report.h"
#include "replayer/text_width.h"

namespace understudy::replayer {
namespace {

constexpr const char* kNotes =
    "\nRECORDING is a directory or one file. Every checksum of every record and chunk is compared, and\n"
    "every chunk decoded. A segment that cannot be used at all does not keep the others from being\n"
    "checked. Segments are chained: one that was taken out, put in, swapped, replaced or changed is\n"
    "named. That the oldest are gone is told, and no fault; nor is it that of one file by itself, or of\n"
    "what ctl record save kept, others followed. Without the key of an encrypted recording all but the\n"
    "contents is checked.\n"
    "\nWho keeps what is printed as \"chain ends at\" elsewhere, and gives it to --expect later, knows\n"
    "whether anything that was there then was deleted from the end. That whole runs are gone from there,\n"
    "or the end of a segment that was not closed, nothing else tells.\n"
    "\nExit codes: 0 whole, nothing is missing; 1 damaged, not closed by its writer, the recorder left\n"
    "something out, segments are missing, or what --expect names is not here; 2 a segment cannot be used\n"
    "(foreign, of a newer version, unreadable, the key is wrong), there is none, or bad usage.\n";

// Counts what is read of a file.
class WatchedFile final : public ReadableFile {
 public:
  WatchedFile(std::unique_ptr<ReadableFile> file, Progress& progress, std::uint64_t before,
              std::uint64_t total)
      : file_(std::move(file)), progress_(progress), before_(before), total_(total) {}
  std::error_code read(std::uint64_t offset, std::size_t length, ByteBuffer& out) const override {
    const std::error_code error = file_->read(offset, length, out);
    read_ = std::min(read_ + out.size(), file_->size());
    progress_.at(before_ + read_, total_);
    return error;
  }
  std::uint64_t size() const override { return file_->size(); }

 private:
  std::unique_ptr<ReadableFile> file_;
  Progress& progress_;
  std::uint64_t before_;
  std::uint64_t total_;
  mutable std::uint64_t read_ = 0;
};

std::uint64_t size_of(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

void verify_one(const std::filesystem::path& path, std::uint64_t before, std::uint64_t total,
                Progress& progress, const Keyring* keys, VerifyReport& report) {
  try {
    const WatchedFile file(open_file(path), progress, before, total);
    report.add(verify_segment(file, path.string(), keys), path);
  } catch (const WrongKeyError& error) {
    report.add_locked(path.string(), error.what());
  } catch (const RecordingError& error) {
    report.add_unusable(path.string(), error.what());
  } catch (const std::system_error& error) {
    report.add_unusable(path.string(),
                        path.string() + ": cannot be opened: " + error.code().message() + " (at byte 0)");
  }
}

// As a verify before this one printed it.
std::optional<Sha256Value> expected_head(const cxxopts::ParseResult& given) {
  if (given.count("expect") == 0) return std::nullopt;
  const std::string text = option(given, "expect");
  const auto value = parse_sha256(text);
  if (!value)
    usage("--expect \"" + text +
          "\" is no SHA-256 in 64 hexadecimal digits, as verify prints: chain ends at ...");
  return value;
}

// While that one was looked at a recorder may have closed it, and begun the next.
std::vector<std::filesystem::path> begun_since(const std::filesystem::path& last,
                                               const std::string& recording) {
  const auto name_of = [](const std::filesystem::path& path) {
    return parse_segment_name(path.filename().string());
  };
  std::vector<std::filesystem::path> segments = list_segments(recording);
  std::erase_if(segments, [&](const auto& segment) { return name_of(segment) <= name_of(last); });
  return segments;
}

int verify(const cxxopts::ParseResult& given, const std::string& recording) {
  const std::vector<std::filesystem::path> segments = list_segments(recording);
  const auto keys = reading_keys(given);
  const auto expected = expected_head(given);
  // In a directory this is what a crash at rotation leaves; by itself it is hardly what was meant.
  std::error_code error;
  const bool one_file = !std::filesystem::is_directory(recording, error);
  if (one_file && std::filesystem::is_empty(recording, error))
    throw RecordingError(recording, 0, "is empty: nothing was recorded in it");
  std::uint64_t total = 0;
  Output out;
  out.go_on_when_closed();
  VerifyReport report(out, recording, given.count("json") > 0, output_columns(kWrapColumns));
  if (expected) report.expect(*expected);
  if (one_file) report.looks_at_one_file();
  if (const auto last = read_saved_note(recording)) report.was_saved_up_to(*last);
  {
    Progress progress;
    std::uint64_t before = 0;
    const auto verify_all = [&](const std::vector<std::filesystem::path>& some) {
      for (const std::filesystem::path& segment : some) total += size_of(segment);
      for (const std::filesystem::path& segment : some) {
        verify_one(segment, before, total, progress, keys.get(), report);
        before += size_of(segment);
      }
    };
    verify_all(segments);
    if (report.goes_on() && !one_file) verify_all(begun_since(segments.back(), recording));
  }
  report.finish();
  return report.exit_code();
}

}  // namespace

int run_verify(int argc, char** argv) {
  cxxopts::Options options =
      command_options("verify", "Checks every checksum of a recording; says what is whole and what is lost.");
  options.add_options()("json", "the report as JSON");
  options.add_options()("expect", "fail unless the segment is here at which the chain ended once",
                        cxxopts::value<std::string>(), "SHA256");
  return run_command(options, kNotes, argc, argv, verify);
}

}  // namespace understudy::replayer
