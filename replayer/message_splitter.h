// One session's events as messages and happenings: the pieces of both sides go in, whole messages come out.
// Pushed by whoever walks a recording: SessionMessages (one session), the JSON export (all at once). Holds at
// most one message a side that spans pieces (up to the cap). One thread at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/event.h"
#include "formats/wire/message_assembler.h"
#include "replayer/idle_moment.h"

namespace understudy::replayer {

// Either a whole message, or an event that is no bytes (opened, closed, redacted, cancelled, gap, ...).
struct SessionItem {
  TimeNs time = 0;  // of a message: when its last byte passed
  bool is_message = false;
  Direction direction = Direction::kFromClient;  // of a message
  wire::Message message;                         // of a message
  Event event;                                   // of anything else
};

// Nothing but messages of known types, the last of which ends where the piece ends. That the middle of a
// message looks so is as good as impossible: every header in it would have to fit, to the byte.
[[nodiscard]] bool is_whole_messages(Direction direction, ByteView piece);

class MessageSplitter {
 public:
  explicit MessageSplitter(std::size_t cap_bytes = wire::MessageAssembler::kDefaultCapBytes)
      : cap_bytes_(cap_bytes), client_(cap_bytes), server_(cap_bytes) {}

  // Behind a gap of a capture, where both sides go on between messages, messages are handed out again. For
  // those who show what is there; whoever compares or plays must stop where something is missing.
  void go_on_behind_capture_gaps() { goes_on_ = true; }
  // A session whose opening is missing is taken up between transactions (idle_moment.h). For those who run
  // what they read, or compare it with what was run.
  void begin_between_transactions() { first_.emplace(); }

  // The session's next event, once next() has said null. Its data must live until it says so again.
  void take(const Event& event);
  // The next item that the event completes, valid until the next call; null when there is no other.
  [[nodiscard]] const SessionItem* next();
  // Events are missing here: bytes that follow are not messages any more.
  void lose(const std::string& why) {
    if (hole_.empty()) hole_ = why;
  }
  // Between events: gives back memory that large pieces took. The last item is not valid after it.
  void release();
  // Items are left of the event taken.
  [[nodiscard]] bool pending() const { return event_waiting_ || next_message_ < messages_.size(); }

  // Why bytes from some point on are not messages any more: a gap, a damaged chunk, a length that is none.
  // Empty while all is well. Nothing is invented: from there on only events are handed out.
  [[nodiscard]] const std::string& hole() const { return hole_; }
  // Bytes of either side that came behind the hole, so far.
  [[nodiscard]] std::uint64_t bytes_behind_hole() const { return bytes_behind_hole_; }
  // A session that was open before its first event may be met inside a message. Each side is listened to from
  // its first piece that is whole messages and nothing else, or both between transactions; the bytes passed
  // over until then.
  [[nodiscard]] std::uint64_t bytes_before_joining() const { return bytes_before_joining_; }
  // The last piece of a side ended inside a message.
  [[nodiscard]] bool inside_message(Direction direction) const {
    return !(direction == Direction::kFromClient ? client_ : server_).at_boundary();
  }

 private:
  void take_piece(const Event& event);
  void take_gap(const Event& event);
  [[nodiscard]] bool joined(const Event& event);

  std::size_t cap_bytes_;
  bool goes_on_ = false;
  std::optional<FirstIdleMoment> first_;
  wire::MessageAssembler client_;
  wire::MessageAssembler server_;
  std::vector<wire::Message> messages_;  // of the piece at hand; views into it
  std::size_t next_message_ = 0;
  ByteBuffer spanning_;  // payload of the message that began in an earlier piece
  bool begun_ = false;
  bool client_awaited_ = false;  // until a piece can be believed
  bool server_awaited_ = false;
  bool event_waiting_ = false;
  SessionItem item_;
  std::string hole_;
  std::uint64_t bytes_behind_hole_ = 0;
  std::uint64_t bytes_before_joining_ = 0;
};

}  // namespace understudy::replayer
