// Turns slabs into chunks and chunks into segments: compression, rotation, fsync, and what to do when the
// disk refuses.
//
// Owned by the Recorder; runs on the recorder thread. Time is passed in and files come from a SegmentStore,
// so all of it can be tested without a clock or a disk.
//
// What a crash can leave: complete segments (footer), and always one that is not: any prefix of one. An
// append that fails leaves a prefix too: nothing more is written to that file, and the chunk goes to a new
// one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "recorder/recorder_options.h"
#include "recorder/segment_store.h"
#include "recorder/session_ledger.h"
#include "recorder/statistics.h"

namespace understudy::recorder {

// Says one fact to the log. Called from the recorder thread.
using Report = std::function<void(const std::string& fact)>;

class SegmentAppender {
 public:
  // `store` is borrowed. `header` is the first segment's; later ones differ in number and time.
  SegmentAppender(SegmentStore& store, const RecorderOptions& options, SegmentHeader header, Report report);
  ~SegmentAppender();

  // Creates the first segment. Throws std::system_error.
  void open(TimeNs now);
  // Writes the slab as a chunk. False when it cannot be written at present: the caller offers it again at
  // retry_at(), or drops it.
  [[nodiscard]] bool append(const Slab& slab, TimeNs now);
  // Gives the slab up: its events are counted as lost, which the transcript tells as soon as it can.
  void drop(const Slab& slab);
  // Has the transcript tell of sessions that left no other trace.
  void add_overload(const LossRecord& loss);
  // The same of anything else, each told by itself.
  void add_loss(const LossRecord& loss) { losses_.push_back(loss); }
  // What is due: rotation by age, fsync, whether the segment is still there, losses to tell of.
  void tick(TimeNs now);
  // What was written so far is in complete segments from now on, unless the disk refuses.
  void cut(TimeNs now);
  // Of this run: segments with lower numbers are not written to any more.
  [[nodiscard]] unsigned first_incomplete() const { return next_segment_ - (segment_ != nullptr ? 1 : 0); }
  // Closes sessions still open (kRecordingEnded) and the segment. False when not all could be written.
  [[nodiscard]] bool finish(TimeNs now);

  [[nodiscard]] bool failing() const { return failing_; }
  [[nodiscard]] TimeNs retry_at() const { return retry_at_; }
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }

 private:
  struct Segment;
  std::error_code write_chunk(const Slab& slab);
  std::error_code tell_losses();
  [[nodiscard]] bool has_losses() const {
    return overload_.sessions != 0 || !losses_.empty() || ledger_.loss() != nullptr;
  }
  bool begin_segment(TimeNs now);
  [[nodiscard]] bool is_full() const;
  void rotate(TimeNs now);
  void complete(Segment& segment, bool last);
  void lose_segment(const std::error_code& error, const std::string& doing);
  void drop_segment();
  void fail(const std::error_code& error, const std::string& doing, TimeNs now);
  void segment_vanished(TimeNs now);
  void sync(TimeNs now);
  void count_stored_bytes();

  SegmentStore& store_;
  const RecorderOptions options_;
  SegmentHeader header_;
  Report report_;
  ChunkEncoder encoder_;
  SessionLedger ledger_;
  LossRecord overload_;  // told with the next append
  std::vector<LossRecord> losses_;
  ByteBuffer records_;
  std::optional<SegmentLink> previous_;  // the last segment left behind, as it was then
  std::unique_ptr<Segment> segment_;     // null while failing, and at the end
  unsigned next_segment_ = 1;
  TimeNs last_event_ = 0;
  bool failing_ = false;
  TimeNs retry_at_ = 0;
  TimeNs failing_since_ = 0;
  TimeNs reported_at_ = 0;
  std::error_code failure_;  // the last one, and what was being done
  std::string failure_text_;
  Statistics statistics_;
};

}  // namespace understudy::recorder
