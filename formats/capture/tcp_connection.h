// One TCP connection: both streams put in order, and in order with each other. A segment says by its
// acknowledgement what its sender had received; so it is passed on only after that much of the other stream,
// however late either was captured, and a reply never comes before its request.
//
// A hole is one for good when the receiver has acknowledged its bytes and they still do not come
// (late_patience, late_packets), when nobody sends them again (resend_patience), when what waits behind it is
// too much, or when the connection ends. Then its length is told, which is known to the byte.
//
// Owned by the ConnectionTable. One thread at a time.
#pragma once

#include <array>

#include "formats/capture/conversation.h"
#include "formats/capture/tcp_segment.h"
#include "formats/capture/tcp_stream.h"

namespace understudy::capture {

// Bytes that all connections hold together.
struct ReassemblyMemory {
  std::int64_t held = 0;
};

class TcpConnection {
 public:
  // All borrowed, and must outlive it.
  TcpConnection(ConversationListener& listener, const ReassemblyOptions& options, ReassemblyCounts& counts,
                ReassemblyMemory& memory)
      : listener_(listener), options_(options), counts_(counts), memory_(memory) {}

  // `now` never runs backwards.
  void take(Side from, const TcpSegment& segment, TimeNs now);
  // A SYN that is not this connection's: its ports are used again.
  [[nodiscard]] bool contradicts(Side from, const TcpSegment& syn) const;
  // A segment that can be one of this connection's, sent again after its end.
  [[nodiscard]] bool is_late(Side from, const TcpSegment& segment) const;
  // Looks whether a hole has been waited for long enough.
  void check_patience(TimeNs now);
  // Tells what is still to be told, then the end.
  void close(ConversationEnd end, std::optional<Side> by, TimeNs now);

  [[nodiscard]] bool closed() const { return closed_; }
  // Something waits for bytes before it.
  [[nodiscard]] bool stalled() const { return stalled_since_ != 0; }
  [[nodiscard]] bool has_data() const { return has_data_; }

 private:
  using Position = TcpStream::Position;
  struct Hole {
    Side side = Side::kA;
    Position length = 0;    // 0: the two sides wait for each other
    Position known_to = 0;  // then: the other one had received this side that far
    bool received = false;
  };

  [[nodiscard]] TcpStream& stream(Side side) { return streams_[index_of(side)]; }
  void begin_streams(Side from, const TcpSegment& segment);
  void take_payload(Side from, Position at, const TcpSegment& segment, Position informed_to, TimeNs now);
  bool take_place(Side from, Position at, Position informed_to, TimeNs now);
  bool take_reset(Side from, const TcpSegment& segment, TimeNs now);
  [[nodiscard]] bool may_pass(Side from, Position informed_to);
  void pass_on(Side from, ByteView bytes, Position informed_to, TimeNs now);
  void pass_front(Side from, TimeNs now);
  void advance(TimeNs now);
  bool pass_what_may(TimeNs now);
  void note_stall(bool moved, TimeNs now);
  [[nodiscard]] bool waits(Side side) const;
  [[nodiscard]] std::optional<Hole> first_hole();
  void give_up(const Hole& hole, TimeNs now);
  void lose(Side side, Position count, TimeNs now);
  bool tell_ends(TimeNs now);
  void account(std::int64_t change);

  ConversationListener& listener_;
  const ReassemblyOptions& options_;
  ReassemblyCounts& counts_;
  ReassemblyMemory& memory_;
  std::array<TcpStream, 2> streams_;
  std::array<bool, 2> end_told_{};
  std::int64_t held_ = 0;
  TimeNs stalled_since_ = 0;  // 0: nothing waits
  std::uint32_t stalled_packets_ = 0;
  std::uint32_t astray_ = 0;  // segments in a row that are not where they should be
  bool has_data_ = false;
  bool closed_ = false;
};

}  // namespace understudy::capture
