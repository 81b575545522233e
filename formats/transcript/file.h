// Files as the transcript sees them, so that tests can shrink, flip, fill up and fail them. Lifetimes:
// readers and writers borrow a file by reference; the caller keeps it alive longer.
#pragma once

#include <filesystem>
#include <memory>
#include <system_error>

#include "formats/bytes.h"

namespace understudy {

// Append-only. One thread at a time.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  // Writes all of `bytes` or reports why not; after an error an unknown part of them may be in the file.
  [[nodiscard]] virtual std::error_code append(ByteView bytes) = 0;
  // Makes what was appended survive a power loss.
  [[nodiscard]] virtual std::error_code sync() = 0;
};

// Random access, safe for several threads at once.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  // Reads up to `length` bytes at `offset` into `out` (resized to what was there, shorter at the end of the
  // file: never more memory than the file can fill).
  [[nodiscard]] virtual std::error_code read(std::uint64_t offset, std::size_t length,
                                             ByteBuffer& out) const = 0;
  // When it was opened: a file that still grows is read as it was then.
  [[nodiscard]] virtual std::uint64_t size() const = 0;
};

// Creates `path` (which must not exist yet) or throws std::system_error naming it.
[[nodiscard]] std::unique_ptr<WritableFile> create_file(const std::filesystem::path& path);
// Opens `path` or throws std::system_error naming it.
[[nodiscard]] std::unique_ptr<ReadableFile> open_file(const std::filesystem::path& path);

}  // namespace understudy
