// The sessions of a recording in order of opening, found by a thread of its own a bounded number ahead:
// however many there are, few are held.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "formats/transcript/recording.h"

namespace understudy::replayer {

class SessionDirectory {
 public:
  struct Entry {
    SessionSummary summary;
    bool continuing = false;  // open before the recording began, or before it was joined
  };

  // Every session, or those of one of several parts among whom they are dealt out in turn.
  explicit SessionDirectory(const Recording& recording, unsigned part = 0, unsigned parts = 1);
  ~SessionDirectory();
  SessionDirectory(const SessionDirectory&) = delete;
  SessionDirectory& operator=(const SessionDirectory&) = delete;

  // The next session to open; null at the end. Waits for the thread when it is behind. One reader. Throws
  // what made reading fail (a segment that has gone away).
  [[nodiscard]] const Entry* peek();
  [[nodiscard]] Entry take();
  // Sessions whose opening is lost to damage; known at the end, until then 0. Those of all parts are the
  // first part's.
  [[nodiscard]] std::uint64_t lost() const;

 private:
  void run();

  const Recording& recording_;
  const unsigned part_;
  const unsigned parts_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> ahead_;
  bool done_ = false;
  bool ending_ = false;
  std::uint64_t lost_ = 0;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace understudy::replayer
