// One session of a recording as messages: what each side said, in the order it passed the proxy, and what
// happened to the session between. The base of show, export and diff. Holds one decoded chunk and at most one
// message a side that spans pieces (up to the cap). One thread at a time.
#pragma once

#include <optional>
#include <string>

#include "formats/transcript/recording.h"
#include "replayer/message_splitter.h"

namespace understudy::replayer {

class SessionMessages {
 public:
  SessionMessages(const Recording& recording, const SessionSummary& summary,
                  std::size_t cap_bytes = wire::MessageAssembler::kDefaultCapBytes);

  // See message_splitter.h.
  void go_on_behind_capture_gaps() { splitter_.go_on_behind_capture_gaps(); }
  void begin_between_transactions() { splitter_.begin_between_transactions(); }

  // The next item, valid until the next call; null at the end.
  [[nodiscard]] const SessionItem* next();

  // A time not after the next item's, known without decoding anything; none at the end.
  [[nodiscard]] std::optional<TimeNs> next_time_lower_bound();
  // Lets go of the decoded chunk when nothing of it is due any more, so that idle sessions pin no memory. The
  // last item is not valid after it.
  void release() {
    if (splitter_.pending()) return;
    splitter_.release();
    cursor_.release();
  }

  // What became of the session's bytes (message_splitter.h).
  [[nodiscard]] const std::string& hole() const { return splitter_.hole(); }
  [[nodiscard]] std::uint64_t bytes_behind_hole() const { return splitter_.bytes_behind_hole(); }
  [[nodiscard]] std::uint64_t bytes_before_joining() const { return splitter_.bytes_before_joining(); }
  [[nodiscard]] bool inside_message(Direction direction) const { return splitter_.inside_message(direction); }

 private:
  SessionCursor cursor_;
  MessageSplitter splitter_;
  TimeNs time_ = 0;  // of the event at hand
};

}  // namespace understudy::replayer
