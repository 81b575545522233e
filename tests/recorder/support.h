// What the recorder's tests share: a directory that goes away, a store whose disk can be made to fail or
// stall, and what a recording holds as plain values.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "formats/transcript/recording.h"
#include "recorder/recording_directory.h"
#include "recorder/segment_store.h"

namespace understudy::recorder {

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The disk under a FaultyStore: works until told otherwise. Any thread.
class Disk {
 public:
  // Every append and creation fails with this from now on; {} mends it.
  void fail_with(std::error_code error);
  // Appends succeed for so many bytes more; the one that exceeds them writes what fits and fails with ENOSPC.
  void leave_room_for(std::uint64_t bytes);
  // Appends wait until release().
  void stall();
  void release();
  // Waits until an append is waiting.
  void await_stalled();

  [[nodiscard]] unsigned attempts() const;
  // How often a file was flushed to the disk.
  [[nodiscard]] unsigned flushes() const;

  [[nodiscard]] std::error_code before_create();
  [[nodiscard]] std::error_code before_flush();
  // Returns how many of `bytes` may be written and the error that follows.
  std::pair<std::size_t, std::error_code> before_append(std::size_t bytes);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::error_code error_;
  std::uint64_t room_ = UINT64_MAX;
  bool stalled_ = false;
  unsigned waiting_ = 0;
  unsigned attempts_ = 0;
  unsigned flushes_ = 0;
};

// Files in a real directory, on a disk that obeys `disk`.
class FaultyStore final : public SegmentStore {
 public:
  FaultyStore(const std::filesystem::path& path, Disk& disk) : directory_(path, false), disk_(disk) {}
  [[nodiscard]] unsigned run() const override { return directory_.run(); }
  [[nodiscard]] std::optional<RunLink> run_before() const override { return directory_.run_before(); }
  [[nodiscard]] std::unique_ptr<WritableFile> create(unsigned number) override;
  [[nodiscard]] bool present(unsigned number) const override { return directory_.present(number); }
  void remove(unsigned number) override { directory_.remove(number); }

 private:
  RecordingDirectory directory_;
  Disk& disk_;
};

// An event as a value.
struct Seen {
  TimeNs time = 0;
  EventKind kind = EventKind::kClientBytes;
  std::string data;
  bool operator==(const Seen&) const = default;
};
using SeenBySession = std::map<SessionId, std::vector<Seen>>;

// All events of the recording, by session, as EventStream gives them.
[[nodiscard]] SeenBySession read_all(const std::filesystem::path& path);
// One session's events, as SessionCursor gives them.
[[nodiscard]] std::vector<Seen> read_session(const std::filesystem::path& path, SessionId session);
[[nodiscard]] Gap gap_of(const Seen& event);
[[nodiscard]] CloseReason close_reason_of(const Seen& event);
[[nodiscard]] std::size_t count_kind(const std::vector<Seen>& events, EventKind kind);

// Polls until `condition` holds; fails the test after a minute.
void await(const std::function<bool()>& condition);

[[nodiscard]] SessionDescriptor descriptor(std::uint32_t number, TimeNs opened_at);

}  // namespace understudy::recorder
