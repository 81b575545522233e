// How much one session said, counted event by event without decoding more than message headers. Holds some
// two hundred bytes however long the session is. A value; one thread at a time.
#pragma once

#include <array>
#include <string>

#include "formats/transcript/event.h"
#include "formats/wire/frame_scanner.h"

namespace understudy::replayer {

// Messages of many sessions, by direction and type.
struct MessageCounts {
  std::array<std::array<std::uint64_t, 256>, 2> by_type{};

  [[nodiscard]] std::uint64_t of(Direction direction, char type) const {
    return by_type[static_cast<std::size_t>(direction)][static_cast<unsigned char>(type)];
  }
  [[nodiscard]] std::uint64_t total(Direction direction) const;
};

class SessionTally {
 public:
  // The session's next event. Its messages are added to `counts` too when that is given.
  void take(const Event& event, MessageCounts* counts = nullptr);
  // Events are missing here, and what they were is not known: from here on bytes are counted, messages not.
  void lose() { hole_ = lost_ = true; }

  [[nodiscard]] std::uint64_t events() const { return events_; }
  // Of the first and the last event; 0 when there is none.
  [[nodiscard]] TimeNs first_time() const { return first_time_; }
  [[nodiscard]] TimeNs last_time() const { return last_time_; }
  [[nodiscard]] std::uint64_t bytes(Direction direction) const { return bytes_[index(direction)]; }
  [[nodiscard]] std::uint64_t messages(Direction direction) const { return messages_[index(direction)]; }
  // Query, Execute and FunctionCall messages: what a client asks to be run.
  [[nodiscard]] std::uint64_t requests() const { return requests_; }
  [[nodiscard]] std::uint64_t errors() const { return errors_; }
  [[nodiscard]] std::uint64_t gaps() const { return gaps_; }
  [[nodiscard]] std::uint64_t gap_bytes() const { return gap_bytes_; }
  // Something of it is missing: a gap, a damaged chunk.
  [[nodiscard]] bool has_hole() const { return hole_; }
  // Bytes among whose messages nothing was counted: behind a hole where they do not begin for sure, or before
  // the session could be joined.
  [[nodiscard]] std::uint64_t bytes_not_read() const { return bytes_not_read_; }
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] const CloseDetail& close_detail() const { return close_detail_; }

 private:
  static std::size_t index(Direction direction) { return static_cast<std::size_t>(direction); }
  void take_gap(const Event& event);
  void count_messages(Direction direction, ByteView piece, MessageCounts* counts);
  void count_message(Direction direction, char type, MessageCounts* counts);

  std::array<wire::FrameScanner, 2> scanners_;
  std::array<bool, 2> awaited_{};  // met in its middle: until a piece can be believed
  std::array<std::uint64_t, 2> bytes_{};
  std::array<std::uint64_t, 2> messages_{};
  std::uint64_t events_ = 0;
  TimeNs first_time_ = 0;
  TimeNs last_time_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t gaps_ = 0;
  std::uint64_t gap_bytes_ = 0;
  std::uint64_t bytes_not_read_ = 0;
  bool hole_ = false;
  bool lost_ = false;  // where messages begin
  bool closed_ = false;
  CloseDetail close_detail_;
};

}  // namespace understudy::replayer
