// Recordings that begin and end while the proxy runs. The proxy's observer: shows each session that opens to
// the recording under way, if there is one and it wants the session; there is one at a time. When none is,
// sessions are not observed at all, and cost what they cost without a recorder.
//
//     (off) --begin(), start()--> recording --stop(), its duration or size is reached, finish()--> (off)
//
// Created and finished by main(), outlives the proxy's sessions. open_session on any worker; start(), stop(),
// mark(), save() and status() on any thread, several at once.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "proxy/observer.h"
#include "proxy/recording_join.h"
#include "recorder/control_options.h"
#include "recorder/recorder.h"
#include "recorder/recording_request.h"

namespace understudy::recorder {

// A recording as `record status` tells of it; one that has ended keeps its last numbers.
struct RecordingStatus {
  std::string name;  // empty: the one that `record` configures
  std::filesystem::path directory;
  std::string id;
  unsigned run = 0;
  TimeNs since = 0;
  TimeNs ended_at = 0;  // 0: it goes on
  std::string ended_by;
  bool whole = true;  // once ended: all is on record, nothing was shed or lost
  TimeNs duration = 0;
  std::uint64_t bytes = 0;
  std::string filter;
  std::uint64_t filtered = 0;  // sessions that opened meanwhile and were not wanted
  Statistics statistics;
  // Of sessions that were open when it began.
  std::uint64_t joined = 0;
  std::uint64_t waiting = 0;
  std::uint64_t left = 0;
  std::uint64_t passed_over = 0;
  std::uint64_t pinned = 0;
  std::uint64_t unseen = 0;
  std::uint64_t untracked = 0;
};

class RecordingControl final : public proxy::TrafficObserver {
 public:
  // Has sessions that are open shown to a recording that begins, or no longer to one that ends.
  struct Sessions {
    std::function<void(std::shared_ptr<proxy::JoinTally>)> began;
    std::function<void()> ended;
  };
  // Why a request came to nothing; `bad` when it makes no sense, else it is not possible now.
  struct Refusal {
    std::string why = {};
    bool bad = false;
  };

  RecordingControl(RecorderOptions recording, ControlOptions control, unsigned workers, std::string producer);
  ~RecordingControl() override;

  // Begins the recording that is configured. Throws std::system_error. Before there are sessions.
  void begin();
  // From here on, and until detach(), sessions hear of recordings. Main thread.
  void attach(Sessions sessions);
  void detach();
  // Ends what is being recorded, for good. False when something of any recording is not on record.
  bool finish();

  // Worker threads.
  [[nodiscard]] std::unique_ptr<proxy::SessionObserver> open_session(
      unsigned worker, const SessionDescriptor& descriptor) override;

  [[nodiscard]] std::optional<Refusal> start(RecordingRequest request);
  [[nodiscard]] std::optional<Refusal> stop();
  [[nodiscard]] std::optional<Refusal> mark(const std::string& text);
  struct Saved {
    std::filesystem::path directory;
    std::size_t segments = 0;
    std::size_t expired = 0;  // deleted before they were saved
  };
  // Keeps what was recorded in the last `last` (all of it, where that is 0) as a recording of its own. Others
  // begin and end recordings meanwhile, and save.
  [[nodiscard]] std::optional<Refusal> save(std::string name, TimeNs last, Saved& saved);
  // What is being recorded, or was last; nothing when nothing ever was.
  [[nodiscard]] std::optional<RecordingStatus> status() const;

 private:
  struct Active {
    std::string name;
    std::filesystem::path directory;
    RecordingFilter filter;
    TimeNs since = 0;
    TimeNs duration = 0;
    std::uint64_t bytes = 0;
    std::shared_ptr<proxy::JoinTally> joins = std::make_shared<proxy::JoinTally>();
    std::atomic<std::uint64_t> filtered{0};
    std::unique_ptr<Recorder> recorder;
  };
  using ActivePointer = std::shared_ptr<Active>;

  [[nodiscard]] ActivePointer current() const;
  void open(const ActivePointer& active);
  [[nodiscard]] std::optional<Refusal> begin_save(std::string& name, Saved& saved, ActivePointer& active,
                                                  unsigned& incomplete);
  [[nodiscard]] std::optional<Refusal> copy_saved(const Active& active, unsigned incomplete, TimeNs since,
                                                  Saved& saved) const;
  [[nodiscard]] std::optional<Refusal> name_directory(std::string& name, std::filesystem::path& out) const;
  bool end(const ActivePointer& active, const std::string& why);
  [[nodiscard]] static RecordingStatus status_of(const Active& active);
  void watch();

  const RecorderOptions recording_;
  const ControlOptions control_;
  const unsigned workers_;
  const std::string producer_;

  std::mutex changing_;    // held by whoever begins or ends a recording, or begins to save one
  Sessions sessions_;      // guarded by changing_
  bool all_whole_ = true;  // guarded by changing_
  bool finished_ = false;  // guarded by changing_

  mutable std::mutex mutex_;
  ActivePointer current_;                // guarded by mutex_, as are the next four
  ActivePointer closing_;                // its end is being written
  std::optional<RecordingStatus> last_;  // that ended
  bool ending_ = false;
  unsigned saving_ = 0;  // copies under way
  std::condition_variable changed_;

  std::thread watch_;  // ends a recording whose time is over or that is large enough
};

}  // namespace understudy::recorder
