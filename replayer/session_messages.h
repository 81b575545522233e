// One session of a recording as messages: what each side said, in the order it passed the proxy, and what
// happened to the session between. The base of show, export and diff. Holds one decoded chunk and at most one
// message that spans pieces (up to the cap). One thread at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/recording.h"
#include "formats/wire/message_assembler.h"

namespace understudy::replayer {

// Either a whole message, or an event that is no bytes (opened, closed, redacted, cancelled, gap, ...).
struct SessionItem {
  TimeNs time = 0;  // of a message: when its last byte passed
  bool is_message = false;
  Direction direction = Direction::kFromClient;  // of a message
  wire::Message message;                         // of a message
  Event event;                                   // of anything else
};

class SessionMessages {
 public:
  SessionMessages(const Recording& recording, const SessionSummary& summary,
                  std::size_t cap_bytes = wire::MessageAssembler::kDefaultCapBytes);

  // The next item, valid until the next call; null at the end.
  [[nodiscard]] const SessionItem* next();

  // A time not after the next item's, known without decoding anything; none at the end.
  [[nodiscard]] std::optional<TimeNs> next_time_lower_bound();
  // Lets go of the decoded chunk when nothing of it is due any more, so that idle sessions pin no memory. The
  // last item is not valid after it.
  void release() {
    if (next_message_ == messages_.size()) cursor_.release();
  }

  // Why bytes from some point on are not messages any more: a gap, a damaged chunk, a length that is none.
  // Empty while all is well. Nothing is invented: from there on only events are handed out.
  [[nodiscard]] const std::string& hole() const { return hole_; }
  // Bytes of either side that came behind the hole, so far.
  [[nodiscard]] std::uint64_t bytes_behind_hole() const { return bytes_behind_hole_; }
  // The last piece of a side ended inside a message.
  [[nodiscard]] bool inside_message(Direction direction) const { return !assembler(direction).at_boundary(); }

 private:
  void take_piece(const Event& event);
  [[nodiscard]] const wire::MessageAssembler& assembler(Direction direction) const {
    return direction == Direction::kFromClient ? client_ : server_;
  }

  SessionCursor cursor_;
  wire::MessageAssembler client_;
  wire::MessageAssembler server_;
  std::vector<wire::Message> messages_;  // of the piece at hand; views into it
  std::size_t next_message_ = 0;
  ByteBuffer spanning_;  // payload of the message that began in an earlier piece
  SessionItem item_;
  std::string hole_;
  std::uint64_t bytes_behind_hole_ = 0;
};

}  // namespace understudy::replayer
