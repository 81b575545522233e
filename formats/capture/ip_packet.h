// One IPv4 or IPv6 packet: whose it is, what it carries, and whether it is a fragment. Pure; any thread. (RFC
// 791, RFC 8200; RFC 2675 for packets over 64 KiB, which Linux makes on loopback.)
#pragma once

#include <optional>

#include "formats/capture/addresses.h"

namespace understudy::capture {

inline constexpr std::uint8_t kProtocolTcp = 6;

struct IpPacket {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;       // of the payload, or of what the fragments carry
  ByteView payload;                // what is here of it
  std::size_t payload_length = 0;  // as the packet says; more than is here when the capture cut it
  bool is_fragment = false;
  bool more_fragments = false;
  std::uint32_t fragment_id = 0;
  std::uint32_t fragment_offset = 0;  // bytes
};

// None when it is no IP packet, or its headers are cut or contradict themselves.
[[nodiscard]] std::optional<IpPacket> decode_ip(ByteView bytes);

}  // namespace understudy::capture
