// One direction of a TCP conversation while it is put in order: what was passed on, and what waits for bytes
// before it. Positions count the stream's bytes from the first, so they never wrap; sequence numbers do, and
// are turned into the position next to what was passed on. (RFC 9293, 3.4.)
//
//     passed on |  hole  | held |  hole  | held, held |            positions ->
//
// Owned by its TcpConnection, which decides what may be passed on and when a hole is one for good.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "formats/capture/reassembly.h"

namespace understudy::capture {

class TcpStream {
 public:
  using Position = std::int64_t;

  // A piece that waits. `informed_to`: how far its sender had received the other stream when it sent it.
  struct Held {
    ByteBuffer bytes;
    Position informed_to = 0;
    TimeNs time = 0;
  };

  [[nodiscard]] bool begun() const { return begun_; }
  // Position 0 is the byte with this sequence number. `anchored`: that is certain, from the handshake.
  void begin(std::uint32_t sequence, bool anchored) {
    begun_ = true;
    anchored_ = anchored;
    first_sequence_ = next_sequence_ = sequence;
  }
  // The first bytes of a stream that was met in its middle: it begins with them, wherever it was thought to.
  void anchor(Position at) {
    if (!anchored_ && at > passed_) pass(at - passed_);
    anchored_ = true;
  }
  [[nodiscard]] bool anchored() const { return anchored_; }
  [[nodiscard]] std::uint32_t first_sequence() const { return first_sequence_; }
  // Below 0 for what came before the first.
  [[nodiscard]] Position position_of(std::uint32_t sequence) const {
    return passed_ + static_cast<std::int32_t>(sequence - next_sequence_);
  }

  // What was passed on (or given up), and the next position to be.
  [[nodiscard]] Position passed() const { return passed_; }
  void pass(Position count) {
    passed_ += count;
    next_sequence_ += static_cast<std::uint32_t>(count);
  }

  // Keeps bytes for later; what was passed on or is held already counts as sent again, and where it differs
  // the policy decides. Returns the change of memory held.
  std::int64_t hold(Position at, ByteView bytes, Position informed_to, TimeNs time, OverlapPolicy policy,
                    ReassemblyCounts& counts);
  // Makes a piece begin at this position, if one lies across it. Returns the change of memory held.
  std::int64_t split(Position at);
  [[nodiscard]] bool holds_any() const { return !held_.empty(); }
  [[nodiscard]] Position front_position() const { return held_.begin()->first; }
  [[nodiscard]] const Held& front() const { return held_.begin()->second; }
  // Takes the front piece out. Returns the memory it held, with it.
  [[nodiscard]] Held take_front(std::int64_t& memory);
  [[nodiscard]] static std::int64_t memory_of(const Held& held) {
    return static_cast<std::int64_t>(held.bytes.size()) + kOverheadBytes;
  }

  // The other end has received everything before this position, it says.
  void acknowledged(Position to) { acknowledged_ = std::max(acknowledged_, to); }
  [[nodiscard]] Position acknowledged() const { return acknowledged_; }
  // The sender ends its stream there.
  void end_at(Position end) {
    if (!end_) end_ = end;
  }
  [[nodiscard]] std::optional<Position> end() const { return end_; }
  // What `position` says of bytes: an acknowledgement of the end counts one more than there are.
  [[nodiscard]] Position without_end(Position position) const {
    return end_ && position > *end_ ? *end_ : position;
  }

 private:
  [[nodiscard]] std::map<Position, Held>::iterator piece_at_or_behind(Position at);
  std::int64_t put(Position at, Held piece);
  static void overlay(std::span<Byte> present, ByteView again, OverlapPolicy policy,
                      ReassemblyCounts& counts);
  std::int64_t inform_less(Position at, std::size_t size, Position informed_to);

  static constexpr std::int64_t kOverheadBytes = 128;  // of a piece in the map

  bool begun_ = false;
  bool anchored_ = false;
  std::uint32_t first_sequence_ = 0;
  std::uint32_t next_sequence_ = 0;  // of passed_
  Position passed_ = 0;
  Position acknowledged_ = 0;
  std::optional<Position> end_;
  std::map<Position, Held> held_;  // without overlaps, all behind passed_
};

}  // namespace understudy::capture
