#include "formats/transcript/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace understudy {
namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(int fd, std::filesystem::path directory) : file_(fd), directory_(std::move(directory)) {}

  std::error_code append(ByteView bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return last_error();
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }

  // Data and size, but not access times: what a reader needs to find the bytes again. The first time, the
  // file's name in its directory too.
  std::error_code sync() override {
    if (::fdatasync(file_.get()) != 0) return last_error();
    if (directory_.empty()) return {};
    const std::error_code error = sync_directory();
    if (!error) directory_.clear();
    return error;
  }

 private:
  std::error_code sync_directory() {
    const int fd = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return last_error();
    const Descriptor directory(fd);
    // Some file systems (network ones) cannot sync a directory and say so; there is nothing to be done about
    // it.
    if (::fsync(fd) != 0 && errno != EINVAL) return last_error();
    return {};
  }

  Descriptor file_;
  std::filesystem::path directory_;  // empty once synced
};

class PosixReadableFile final : public ReadableFile {
 public:
  PosixReadableFile(int fd, std::uint64_t size) : file_(fd), size_(size) {}

  std::error_code read(std::uint64_t offset, std::size_t length, ByteBuffer& out) const override {
    out.resize(static_cast<std::size_t>(std::min<std::uint64_t>(length, size_ - std::min(offset, size_))));
    std::size_t have = 0;
    while (have < out.size()) {
      const ssize_t got =
          ::pread(file_.get(), out.data() + have, out.size() - have, static_cast<off_t>(offset + have));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return last_error();
      if (got == 0) break;  // shorter than when it was opened
      have += static_cast<std::size_t>(got);
    }
    out.resize(have);
    return {};
  }

  std::uint64_t size() const override { return size_; }

 private:
  Descriptor file_;
  std::uint64_t size_;
};

int open_or_throw(const std::filesystem::path& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0640);
  if (fd < 0) throw std::system_error(last_error(), path.string());
  return fd;
}

}  // namespace

std::unique_ptr<WritableFile> create_file(const std::filesystem::path& path) {
  const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
  return std::make_unique<PosixWritableFile>(open_or_throw(path, O_WRONLY | O_CREAT | O_EXCL), directory);
}

std::unique_ptr<ReadableFile> open_file(const std::filesystem::path& path) {
  const int fd = open_or_throw(path, O_RDONLY);
  struct stat status = {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    const std::error_code error =
        S_ISREG(status.st_mode) ? last_error() : std::make_error_code(std::errc::not_supported);
    ::close(fd);
    throw std::system_error(error, path.string() + ": not a regular file");
  }
  return std::make_unique<PosixReadableFile>(fd, static_cast<std::uint64_t>(status.st_size));
}

}  // namespace understudy
