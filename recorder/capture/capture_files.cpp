#include "recorder/capture/capture_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "formats/transcript/record.h"

namespace understudy::recorder {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr const char* kStandardInput = "-";

int open_file(const std::string& name) {
  if (name == kStandardInput) return STDIN_FILENO;
  const int descriptor = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw std::system_error(errno, std::generic_category(), name);
  return descriptor;
}

// A recording's segment begins as compressed files do that hold nothing, so it would pass for an empty
// capture.
void refuse_recording(const std::string& name, int descriptor) {
  Byte prefix[kRecordPrefixBytes];
  const ssize_t got = ::pread(descriptor, prefix, sizeof prefix, 0);
  if (got != static_cast<ssize_t>(sizeof prefix) || record_length(prefix) == 0) return;
  ::close(descriptor);
  throw std::runtime_error(name +
                           ": is a recording of understudy's, not a capture of packets: see understudy show "
                           "(export --format pcapng makes a capture of it)");
}

std::optional<TimeNs> first_packet_time(const std::string& name) {
  CaptureFileReader reader(name);
  std::optional<TimeNs> first;
  const auto note = [&first](const capture::CapturedPacket& packet) {
    if (!first) first = packet.time;
  };
  while (!first && reader.read(note)) {
  }
  return first;
}

}  // namespace

std::vector<std::string> in_order_of_capture(std::vector<std::string> files) {
  for (const std::string& file : files) {
    if (file == kStandardInput) continue;
    const int descriptor = open_file(file);
    refuse_recording(file, descriptor);
    ::close(descriptor);
  }
  if (files.size() < 2 || std::find(files.begin(), files.end(), kStandardInput) != files.end()) return files;
  std::vector<std::pair<TimeNs, std::string>> timed;
  for (const std::string& file : files) {
    const auto first = first_packet_time(file);
    if (!first) return files;
    timed.emplace_back(*first, file);
  }
  std::stable_sort(timed.begin(), timed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::transform(timed.begin(), timed.end(), files.begin(), [](auto& one) { return std::move(one.second); });
  return files;
}

CaptureFileReader::CaptureFileReader(std::string name, capture::SecretsHandler on_secrets)
    : name_(std::move(name)),
      descriptor_(open_file(name_)),
      buffer_(kPieceBytes),
      decompressor_(std::make_unique<capture::Decompressor>()),
      parser_(std::move(on_secrets)) {
  (void)::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL);
}

CaptureFileReader::~CaptureFileReader() {
  if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
}

bool CaptureFileReader::read(const capture::PacketHandler& on_packet) {
  const auto parse = [&](ByteView plain) {
    // Where it cannot be read on, the rest is only counted.
    (void)parser_.feed(plain, on_packet);
    return true;
  };
  ssize_t got = 0;
  do {
    got = ::read(descriptor_, buffer_.data(), buffer_.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) return end(std::generic_category().message(errno), raw_bytes_, 0);
  if (got > 0) {
    raw_bytes_ += static_cast<std::uint64_t>(got);
    if (decompressor_->feed(ByteView(buffer_).first(static_cast<std::size_t>(got)), parse)) return true;
    return end(decompressor_->error(), parser_.error_offset(), 0);
  }
  if (!decompressor_->finish(parse)) return end(decompressor_->error(), parser_.error_offset(), 0);
  if (!parser_.finish()) return end(parser_.error(), parser_.error_offset(), parser_.bytes_not_read());
  return false;
}

bool CaptureFileReader::end(const std::string& error, std::uint64_t offset, std::uint64_t bytes_left) {
  unread_ = {name_ == kStandardInput ? "standard input" : name_, error, offset, bytes_left};
  return false;
}

}  // namespace understudy::recorder
