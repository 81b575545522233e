#include "tests/recorder/support.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace understudy::recorder {
namespace {

class FaultyFile final : public WritableFile {
 public:
  FaultyFile(std::unique_ptr<WritableFile> file, Disk& disk) : file_(std::move(file)), disk_(disk) {}
  std::error_code append(ByteView bytes) override {
    const auto [allowed, error] = disk_.before_append(bytes.size());
    if (const std::error_code real = file_->append(bytes.first(allowed))) return real;
    return error;
  }
  std::error_code sync() override { return disk_.before_flush(); }

 private:
  std::unique_ptr<WritableFile> file_;
  Disk& disk_;
};

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "understudy-recorder-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void Disk::fail_with(std::error_code error) {
  const std::lock_guard guard(mutex_);
  error_ = error;
}

void Disk::leave_room_for(std::uint64_t bytes) {
  const std::lock_guard guard(mutex_);
  room_ = bytes;
}

void Disk::stall() {
  const std::lock_guard guard(mutex_);
  stalled_ = true;
}

void Disk::release() {
  const std::lock_guard guard(mutex_);
  stalled_ = false;
  changed_.notify_all();
}

void Disk::await_stalled() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return waiting_ > 0; });
}

unsigned Disk::flushes() const {
  const std::lock_guard lock(mutex_);
  return flushes_;
}

std::error_code Disk::before_flush() {
  {
    const std::lock_guard lock(mutex_);
    ++flushes_;
  }
  return before_append(0).second;
}

unsigned Disk::attempts() const {
  const std::lock_guard guard(mutex_);
  return attempts_;
}

std::error_code Disk::before_create() {
  const std::lock_guard guard(mutex_);
  ++attempts_;
  return error_;
}

std::pair<std::size_t, std::error_code> Disk::before_append(std::size_t bytes) {
  std::unique_lock lock(mutex_);
  ++waiting_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return !stalled_; });
  --waiting_;
  if (error_) return {0, error_};
  const std::size_t allowed = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, room_));
  if (room_ != UINT64_MAX) room_ -= allowed;
  if (allowed == bytes) return {bytes, {}};
  return {allowed, std::make_error_code(std::errc::no_space_on_device)};
}

std::unique_ptr<WritableFile> FaultyStore::create(unsigned number) {
  if (const std::error_code error = disk_.before_create()) throw std::system_error(error, "creating");
  return std::make_unique<FaultyFile>(directory_.create(number), disk_);
}

SeenBySession read_all(const std::filesystem::path& path) {
  const Recording recording(path);
  EventStream stream(recording);
  SeenBySession seen;
  while (const auto event = stream.next()) {
    seen[event->session].push_back({event->time, event->kind, std::string(as_text(event->data))});
  }
  return seen;
}

std::vector<Seen> read_session(const std::filesystem::path& path, SessionId session) {
  const Recording recording(path);
  SessionCursor cursor(recording, session);
  std::vector<Seen> seen;
  while (const auto event = cursor.next()) {
    seen.push_back({event->time, event->kind, std::string(as_text(event->data))});
  }
  return seen;
}

Gap gap_of(const Seen& event) {
  Gap gap;
  EXPECT_EQ(event.kind, EventKind::kGap);
  EXPECT_TRUE(decode(as_bytes(event.data), gap));
  return gap;
}

CloseReason close_reason_of(const Seen& event) {
  CloseDetail detail;
  EXPECT_EQ(event.kind, EventKind::kClosed);
  EXPECT_TRUE(decode(as_bytes(event.data), detail));
  return detail.reason;
}

std::size_t count_kind(const std::vector<Seen>& events, EventKind kind) {
  return static_cast<std::size_t>(
      std::count_if(events.begin(), events.end(), [&](const Seen& event) { return event.kind == kind; }));
}

void await(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the awaited condition never came";
    std::this_thread::yield();
  }
}

SessionDescriptor descriptor(std::uint32_t number, TimeNs opened_at) {
  SessionDescriptor value;
  value.id.number = number;
  value.opened_at = opened_at;
  value.startup_parameters = {{"user", "alice"}, {"database", "shop"}};
  value.peer = "192.0.2.7:49152";
  value.backend = "127.0.0.1:5432";
  return value;
}

}  // namespace understudy::recorder
