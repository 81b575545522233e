// Which segments of a recording's directory are kept, and which may go: the flight recorder's end of a
// recording. And the other way round, which of them are worth a recording of their own (`ctl record save`).
//
// Files are looked at from outside, by name, size and the time they were last written to. Used by the
// recorder thread (Retention) and by whoever saves.
#pragma once

#include <filesystem>
#include <vector>

#include "formats/transcript/segment_name.h"
#include "recorder/recorder_options.h"

namespace understudy::recorder {

struct SegmentFile {
  SegmentName name;
  std::filesystem::path path;
  std::uint64_t size_bytes = 0;
  TimeNs written_at = 0;  // last
};
// The clock of file systems, which steps with the machine's (proxy/clock.h does not).
[[nodiscard]] TimeNs wall_clock_ns();
// In order; files that go away meanwhile are left out. Empty where there is no such directory.
[[nodiscard]] std::vector<SegmentFile> segment_files(const std::filesystem::path& directory);

// With bounds on what is kept, segments have to be small beside it: at most a quarter.
[[nodiscard]] RecorderOptions with_small_segments(RecorderOptions options);

class Retention {
 public:
  struct Expired {
    std::uint64_t segments = 0;
    std::uint64_t bytes = 0;
    SegmentName last;
  };

  explicit Retention(const RecorderOptions& options) : options_(options) {}
  [[nodiscard]] bool wanted() const {
    return !options_.directory.empty() && (options_.keep_bytes > 0 || options_.keep_age > 0);
  }
  // Deletes what is too much. Of run `run`, segments from `incomplete` on are being written, and stay; of
  // others the last may be, and stays while something was written to it within the age of a segment. `now` is
  // wall_clock_ns().
  [[nodiscard]] Expired apply(unsigned run, unsigned incomplete, TimeNs now) const;

 private:
  [[nodiscard]] bool may_go(const SegmentFile& file, const SegmentFile* next, SegmentName incomplete,
                            TimeNs now) const;

  const RecorderOptions options_;
};

// A directory for its owner alone, which must not exist. Throws std::system_error.
void make_save_directory(const std::filesystem::path& path);
struct SavedSegments {
  std::size_t saved = 0;
  std::size_t expired = 0;  // deleted before they could be linked or copied: the oldest
};
// Links, or where that cannot be copies, the complete segments of a run (those below `incomplete`) that were
// written to at `since` or later into `to`, an empty directory, with a note that they were (saved_note.h).
// Throws std::system_error naming what could not be done. Where it throws or nothing was saved, nothing is
// left of `to`.
SavedSegments save_segments(const std::filesystem::path& from, unsigned run, unsigned incomplete,
                            TimeNs since, const std::filesystem::path& to);

}  // namespace understudy::recorder
