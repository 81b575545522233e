#include "recorder/retention.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <system_error>

#include "formats/transcript/saved_note.h"

namespace understudy::recorder {

namespace fs = std::filesystem;

TimeNs wall_clock_ns() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count();
}

std::vector<SegmentFile> segment_files(const fs::path& directory) {
  std::vector<SegmentFile> files;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    const auto name = parse_segment_name(at->path().filename().string());
    struct stat told {};
    if (!name || ::stat(at->path().c_str(), &told) != 0) continue;
    files.push_back({*name, at->path(), static_cast<std::uint64_t>(told.st_size),
                     TimeNs{told.st_mtim.tv_sec} * kSecond + told.st_mtim.tv_nsec});
  }
  std::sort(files.begin(), files.end(),
            [](const SegmentFile& one, const SegmentFile& other) { return one.name < other.name; });
  return files;
}

RecorderOptions with_small_segments(RecorderOptions options) {
  if (options.keep_bytes > 0) options.segment_bytes = std::min(options.segment_bytes, options.keep_bytes / 4);
  if (options.keep_age > 0) options.segment_age = std::min(options.segment_age, options.keep_age / 4);
  return options;
}

bool Retention::may_go(const SegmentFile& file, const SegmentFile* next, SegmentName incomplete,
                       TimeNs now) const {
  if (file.name.run == incomplete.run) return file.name < incomplete;
  const bool last_of_run = next == nullptr || next->name.run != file.name.run;
  return !last_of_run || now - file.written_at > options_.segment_age;
}

Retention::Expired Retention::apply(unsigned run, unsigned incomplete, TimeNs now) const {
  const std::vector<SegmentFile> files = segment_files(options_.directory);
  std::uint64_t total = 0;
  for (const SegmentFile& file : files) total += file.size_bytes;
  Expired expired;
  std::optional<std::uint32_t> stays;  // of that run one stays, and so do those behind it
  for (const SegmentFile& file : files) {
    if (stays == file.name.run) continue;
    const bool too_much = options_.keep_bytes > 0 && total > options_.keep_bytes;
    const bool too_old = options_.keep_age > 0 && now - file.written_at > options_.keep_age;
    const SegmentFile* const next = &file == &files.back() ? nullptr : &file + 1;
    std::error_code error;
    const bool goes =
        (too_much || too_old) && may_go(file, next, {run, incomplete}, now) && fs::remove(file.path, error);
    if (!goes) {
      stays = file.name.run;
      continue;
    }
    total -= file.size_bytes;
    ++expired.segments;
    expired.bytes += file.size_bytes;
    expired.last = file.name;
  }
  return expired;
}

namespace {

// False when it has gone meanwhile: the oldest expire.
bool link_or_copy(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_hard_link(from, to, error);
  if (!error) return true;
  // Another file system, or one without links. A file that is deleted while it is copied is copied in full.
  if (!fs::copy_file(from, to, error)) {
    if (!fs::exists(from)) return false;
    throw fs::filesystem_error("cannot copy", from, to, error);
  }
  fs::permissions(to, fs::perms::owner_read | fs::perms::owner_write);
  return true;
}

}  // namespace

void make_save_directory(const fs::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return;
  throw std::system_error(errno, std::generic_category(), "cannot create " + path.string());
}

SavedSegments save_segments(const fs::path& from, unsigned run, unsigned incomplete, TimeNs since,
                            const fs::path& to) {
  std::error_code ignored;
  try {
    SavedSegments result;
    std::optional<SegmentName> last;
    for (const SegmentFile& file : segment_files(from)) {
      if (file.name.run != run || file.name.segment >= incomplete || file.written_at < since) continue;
      const bool saved = link_or_copy(file.path, to / file.path.filename());
      ++(saved ? result.saved : result.expired);
      if (saved) last = file.name;
    }
    if (last) {
      write_saved_note(to, *last);
    } else {
      fs::remove_all(to, ignored);
    }
    return result;
  } catch (const std::system_error&) {
    fs::remove_all(to, ignored);
    throw;
  }
}

}  // namespace understudy::recorder
