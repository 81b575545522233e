// One TCP segment as the packet has it. Pure; any thread. (RFC 9293, 3.1.)
#pragma once

#include <optional>

#include "formats/bytes.h"

namespace understudy::capture {

struct TcpSegment {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledged = 0;  // meaningful only with `ack`
  bool fin = false;
  bool syn = false;
  bool rst = false;
  bool ack = false;
  ByteView payload;                // what is here of it
  std::size_t payload_length = 0;  // as the packet says; more than is here when the capture cut it
};

// `length`: what the IP packet says its payload has; at least bytes.size(). None when the header is cut or
// impossible.
[[nodiscard]] inline std::optional<TcpSegment> decode_tcp(ByteView bytes, std::size_t length) {
  if (bytes.size() < 20) return std::nullopt;
  const std::size_t header = static_cast<std::size_t>(bytes[12] >> 4) * 4;
  if (header < 20 || bytes.size() < header) return std::nullopt;
  TcpSegment segment;
  segment.source_port = load_be16(bytes.data());
  segment.destination_port = load_be16(bytes.data() + 2);
  segment.sequence = load_be32(bytes.data() + 4);
  segment.acknowledged = load_be32(bytes.data() + 8);
  const unsigned flags = bytes[13];
  segment.fin = (flags & 1U) != 0;
  segment.syn = (flags & 2U) != 0;
  segment.rst = (flags & 4U) != 0;
  segment.ack = (flags & 16U) != 0;
  segment.payload = bytes.subspan(header);
  segment.payload_length = length - header;
  return segment;
}

}  // namespace understudy::capture
