#include "recorder/recording_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "formats/transcript/segment_name.h"

namespace understudy::recorder {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const std::string& what, const fs::path& path) {
  throw std::system_error(errno, std::generic_category(), what + " " + path.string());
}

// Creates the directory, and those above it, for the owner alone.
void ensure_directory(const fs::path& path) {
  std::error_code ignored;
  if (path.has_parent_path() && path.parent_path() != path) {
    // What matters is whether the directory itself can be made.
    fs::create_directories(path.parent_path(), ignored);
  }
  if (::mkdir(path.c_str(), 0700) == 0) return;
  const int failure = errno;
  if (failure == EEXIST && fs::is_directory(path, ignored)) return;
  errno = failure;
  refuse("cannot create the recording directory", path);
}

// The directories that ensure_directory(path) will make.
std::vector<fs::path> missing_directories(const fs::path& path) {
  std::vector<fs::path> missing;
  std::error_code error;
  fs::path at = fs::absolute(path, error).lexically_normal();
  if (!at.has_filename()) at = at.parent_path();
  for (; at.has_relative_path() && !fs::exists(at, error) && !error; at = at.parent_path())
    missing.push_back(at);
  return missing;
}

// An advisory lock on a file in the directory, held while this exists.
class DirectoryLock {
 public:
  explicit DirectoryLock(const fs::path& directory) {
    const fs::path path = directory / ".lock";
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) refuse("cannot write to the recording directory: creating", path);
    while (::flock(fd_, LOCK_EX) != 0) {
      if (errno == EINTR) continue;
      ::close(fd_);
      refuse("cannot lock", path);
    }
  }
  ~DirectoryLock() { ::close(fd_); }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int fd_;
};

unsigned highest_run(const fs::path& directory) {
  unsigned highest = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const auto name = parse_segment_name(entry.path().filename().string());
    if (name) highest = std::max(highest, name->run);
  }
  return highest;
}

}  // namespace

RecordingDirectory::RecordingDirectory(fs::path path, bool durable)
    : path_(std::move(path)), made_(missing_directories(path_)), durable_(durable) {
  ensure_directory(path_);
  {
    const DirectoryLock lock(path_);
    run_ = highest_run(path_) + 1;
    first_ = create(1);  // from here on the number is taken
  }
  if (run_ > 1) run_before_ = last_before(path_, run_);
}

std::unique_ptr<WritableFile> RecordingDirectory::create(unsigned number) {
  if (number == 1 && first_ != nullptr) return std::move(first_);
  const fs::path path = path_of(number);
  std::error_code ignored;
  if (!fs::exists(path_, ignored)) ensure_directory(path_);  // somebody deleted it
  std::unique_ptr<WritableFile> file = create_file(path);
  // Also where create_file's mode was wider than the operator's umask: transcripts are for the owner alone.
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write, ignored);
  flush_entries();
  return file;
}

bool RecordingDirectory::present(unsigned number) const {
  std::error_code ignored;
  return fs::exists(path_of(number), ignored);
}

void RecordingDirectory::remove(unsigned number) {
  std::error_code ignored;
  fs::remove(path_of(number), ignored);
  flush_entries();
}

void RecordingDirectory::withdraw() {
  first_.reset();
  remove(1);
  if (made_.empty()) return;
  std::error_code error;
  {
    // Whoever opens the directory meanwhile has its own segment there once the lock is free.
    const DirectoryLock lock(path_);
    if (highest_run(path_) == 0) fs::remove(path_ / ".lock", error);
  }
  for (const fs::path& made : made_) {
    if (!fs::remove(made, error) || error) return;  // not empty
  }
}

fs::path RecordingDirectory::path_of(unsigned number) const {
  return path_ / format_segment_name({.run = run_, .segment = number});
}

// A new file survives a power loss only if the directory's entry for it does. Best effort: some file systems
// refuse.
void RecordingDirectory::flush_entries() const {
  if (!durable_) return;
  const int fd = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace understudy::recorder
