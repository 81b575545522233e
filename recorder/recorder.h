// The observer that writes transcripts. Workers append to lanes (lane.h), full slabs pass through a bounded
// queue (slab_queue.h), one thread seals them into chunks and appends these to segments (segment_appender.h).
// No worker ever waits for that thread or for the disk: when the queue is full, sessions are shed.
//
//     session -> observer -> lane (a worker's slab) -> queue -> recorder thread -> chunk -> segment
//
// Created and finished by main(); must outlive the sessions that it observes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "proxy/observer.h"
#include "recorder/lane.h"
#include "recorder/recorder_options.h"
#include "recorder/retention.h"
#include "recorder/segment_appender.h"

namespace understudy::recorder {

// What a recorder is, besides how it records.
struct RecorderIdentity {
  std::string producer;  // "understudy 0.1.0 proxy"
  // Facts about the recording: "source" = the id of the recording that a replay replays.
  std::vector<std::pair<std::string, std::string>> attributes;
};

// 128 random bits in hexadecimal: two recordings made anywhere can be told apart. Throws std::system_error.
[[nodiscard]] std::string random_recording_id();

class Recorder final : public proxy::TrafficObserver {
 public:
  // Opens options.directory and starts the recorder thread. `workers`: how many threads will observe. Throws
  // std::system_error when nothing can be recorded there.
  Recorder(const RecorderOptions& options, unsigned workers, RecorderIdentity identity);
  // The same, into `store`; facts for the log go to `report`. For tests and other places than directories.
  Recorder(const RecorderOptions& options, unsigned workers, RecorderIdentity identity,
           std::unique_ptr<SegmentStore> store, Report report);
  // Finishes.
  ~Recorder() override;

  // On the worker's thread, as are all calls of what it returns, which may outlive the recorder. Never null.
  [[nodiscard]] std::unique_ptr<proxy::SessionObserver> open_session(
      unsigned worker, const SessionDescriptor& descriptor) override;

  // Writes what is left, closes sessions still open as kRecordingEnded and completes the segment. What is
  // observed later is not recorded. False when not everything could be written. Main thread; once.
  bool finish();

  // Any thread. An operator's mark: `text`, at the present time.
  void mark(std::string_view text);
  // Any thread. What was shown until now is in complete segments when it returns: the number of the first
  // that is not complete. Nothing when that was not to be had within `limit`: the disk refuses, or is slow.
  [[nodiscard]] std::optional<unsigned> cut(std::chrono::nanoseconds limit);
  // Any thread. Something is missing that no session tells of: a capture's drops.
  void add_loss(const LossRecord& loss);

  // Any thread.
  [[nodiscard]] Statistics statistics() const;
  [[nodiscard]] const std::string& recording_id() const { return recording_id_; }
  [[nodiscard]] unsigned run() const { return run_; }

 private:
  class ObservedSession;
  void run_thread();
  void write_queue(std::unique_ptr<Slab>& slab, SlabQueue::Clock::time_point until);
  void hand_over_lanes();
  void hand_over_losses();
  void serve_cuts(std::unique_ptr<Slab>& slab);
  void expire(TimeNs now);
  void finish_on_thread(std::unique_ptr<Slab> slab);
  void publish_statistics();

  const RecorderOptions options_;
  const std::string recording_id_;
  const std::unique_ptr<SegmentStore> store_;
  const unsigned run_;
  const Report report_;

  SlabQueue queue_;
  std::vector<std::shared_ptr<Lane>> lanes_;  // by worker
  std::atomic<bool> ending_ = false;

  // The recorder thread's.
  SegmentAppender appender_;
  TimeNs shedding_reported_at_ = 0;
  std::uint64_t shed_reported_ = 0;
  bool whole_ = false;  // read after the thread has ended
  const Retention retention_;
  TimeNs expire_at_ = 0;
  std::uint64_t segments_expired_ = 0;
  std::uint64_t expired_bytes_ = 0;

  std::mutex cuts_mutex_;
  std::condition_variable cut_;
  std::uint64_t cuts_asked_ = 0;              // guarded by cuts_mutex_, as are the next two
  std::uint64_t cuts_made_ = 0;               // or given up
  std::optional<unsigned> first_incomplete_;  // after the last; nothing: it was given up

  std::mutex losses_mutex_;
  std::vector<LossRecord> losses_;  // guarded by losses_mutex_

  mutable std::mutex statistics_mutex_;
  Statistics written_;  // guarded by statistics_mutex_

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace understudy::recorder
