// Where segments are put, as the recorder sees it: a directory in production (recording_directory.h), files
// that fail, fill up or stall in tests. Used by the recorder thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "formats/transcript/file.h"
#include "formats/transcript/run_link.h"

namespace understudy::recorder {

class SegmentStore {
 public:
  virtual ~SegmentStore() = default;
  // This process's run: the store never gives the same one twice.
  [[nodiscard]] virtual unsigned run() const = 0;
  // What runs before this one left there, when it began; none: nothing.
  [[nodiscard]] virtual std::optional<RunLink> run_before() const { return std::nullopt; }
  // Creates the run's segment `number`, which must not exist. Throws std::system_error naming it.
  [[nodiscard]] virtual std::unique_ptr<WritableFile> create(unsigned number) = 0;
  // False when the segment is no longer where it was created (somebody deleted it).
  [[nodiscard]] virtual bool present(unsigned number) const = 0;
  // Takes back a segment into which nothing could be written. Failing to is no error: it stays.
  virtual void remove(unsigned number) = 0;
};

}  // namespace understudy::recorder
