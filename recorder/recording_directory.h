// The directory a recording lives in: created if absent, private to its owner (transcripts hold production
// data), with a run number of its own for every process that records into it. Nothing in it is ever
// overwritten.
//
// Owned by the Recorder; constructed by the main thread, then used by the recorder thread.
#pragma once

#include <filesystem>
#include <vector>

#include "recorder/segment_store.h"

namespace understudy::recorder {

class RecordingDirectory final : public SegmentStore {
 public:
  // Takes the next run number, under a lock that another process opening the directory at the same time waits
  // for, by creating the run's first segment. Throws std::system_error naming what could not be done.
  // `durable`: creations and removals are flushed too.
  RecordingDirectory(std::filesystem::path path, bool durable);

  [[nodiscard]] unsigned run() const override { return run_; }
  [[nodiscard]] std::optional<RunLink> run_before() const override { return run_before_; }
  [[nodiscard]] std::unique_ptr<WritableFile> create(unsigned number) override;
  [[nodiscard]] bool present(unsigned number) const override;
  void remove(unsigned number) override;
  // Takes the run back, of which nothing is worth keeping: its first segment, and the directory (and those
  // above it) if it was made here and nobody else has put anything there. Call it last.
  void withdraw();

 private:
  [[nodiscard]] std::filesystem::path path_of(unsigned number) const;
  void flush_entries() const;

  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // directories that were not there; the deepest first
  bool durable_;
  unsigned run_ = 1;
  std::optional<RunLink> run_before_;
  std::unique_ptr<WritableFile> first_;  // until it is asked for
};

}  // namespace understudy::recorder
