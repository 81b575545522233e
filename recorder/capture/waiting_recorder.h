// Writes transcripts for a source that can wait, a file: what is observed is sealed and appended when a slab
// is full, on the caller's thread. Nothing is shed. An error of the disk ends it: the source is still there
// to be read again.
//
// Not a Recorder (recorder.h), which never lets anybody wait and has threads for it. One thread.
#pragma once

#include "proxy/observer.h"
#include "recorder/recorder.h"
#include "recorder/recording_directory.h"

namespace understudy::recorder {

class WaitingRecorder final : public proxy::TrafficObserver {
 public:
  // Opens options.directory. Throws std::system_error when nothing can be recorded there.
  WaitingRecorder(const RecorderOptions& options, RecorderIdentity identity);
  ~WaitingRecorder() override;

  [[nodiscard]] std::unique_ptr<proxy::SessionObserver> open_session(
      unsigned worker, const SessionDescriptor& descriptor) override;
  // Something is missing that no session tells of.
  void add_loss(const LossRecord& loss) { appender_.add_loss(loss); }

  // Why nothing more is recorded; empty while all is well.
  [[nodiscard]] const std::string& failure() const { return failure_; }
  // Writes what is left and closes what is open as of `last`, the end of the source. False when not
  // everything could be written. Once.
  bool finish(TimeNs last);
  // Instead of finish(): there was nothing to record, and nothing is left behind. Once.
  void withdraw();
  [[nodiscard]] Statistics statistics() const;
  [[nodiscard]] unsigned run() const { return run_; }

 private:
  class Session;
  void append(SessionId session, TimeNs time, EventKind kind, ByteView data);
  void seal();

  const RecorderOptions options_;
  const std::unique_ptr<RecordingDirectory> store_;
  const unsigned run_;
  std::string failure_;
  std::uint64_t passwords_hidden_ = 0;
  SegmentAppender appender_;
  Slab slab_;
};

}  // namespace understudy::recorder
