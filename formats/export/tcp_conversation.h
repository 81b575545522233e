// What two peers said as the TCP segments they might have sent: handshake, segments of a network's size,
// acknowledgements of what the other had said, checksums, the end. What is missing is missing in the sequence
// numbers too. One conversation; holds no data. One thread at a time.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "formats/capture/addresses.h"
#include "formats/transcript/event.h"

namespace understudy::capture {

class TcpConversation {
 public:
  // Takes each packet: IP and all that is in it, valid during the call.
  using Packet = std::function<void(TimeNs time, ByteView packet, std::string_view comment)>;

  // Both ends are of one IP version.
  TcpConversation(const Endpoint& client, const Endpoint& server, Packet packet);

  // Stands with the next packet.
  void comment(std::string_view text);
  [[nodiscard]] bool comment_waits() const { return !comment_.empty(); }

  void open(TimeNs time);
  void data(Direction from, TimeNs time, ByteView bytes);
  // So many bytes were sent and acknowledged, and are not known. Below 2^30.
  void skip(Direction from, TimeNs time, std::uint64_t bytes);
  // A packet of nothing but its acknowledgement.
  void acknowledge(Direction from, TimeNs time);
  // The end of both streams, `by`'s first.
  void close(Direction by, TimeNs time);

 private:
  static constexpr std::size_t kSegmentBytes = 1400;
  static constexpr std::uint32_t kMostUnacknowledged = 256 * 1024;

  struct End {
    Endpoint endpoint;
    std::uint32_t next = 0;          // the number of its next byte
    std::uint32_t acknowledged = 0;  // up to where the other acknowledged
  };
  static std::size_t index(Direction direction) { return static_cast<std::size_t>(direction); }
  static Direction opposite(Direction direction) {
    return direction == Direction::kFromClient ? Direction::kFromServer : Direction::kFromClient;
  }
  void send(Direction from, TimeNs time, Byte flags, ByteView data);
  void append_ip_header(const End& from, const End& to, std::size_t payload_bytes);

  End ends_[2];
  Packet packet_;
  std::string comment_;
  ByteBuffer bytes_;  // the packet at hand
  std::uint16_t number_ = 0;
};

}  // namespace understudy::capture
