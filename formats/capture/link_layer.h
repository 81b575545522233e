// Takes off what lies before the IP packet: Ethernet with VLAN tags, Linux cooked headers, loopback headers.
// Pure; any thread.
#pragma once

#include "formats/capture/packet.h"

namespace understudy::capture {

enum class LinkContent : std::uint8_t {
  kIp,          // `packet` is an IPv4 or IPv6 packet, and what the link may have padded it with
  kOther,       // ARP, LLDP, ...
  kCut,         // the packet ends inside the header
  kUnknownLink  // a link type that is not read
};
struct LinkPayload {
  LinkContent content = LinkContent::kOther;
  ByteView packet;
};

[[nodiscard]] LinkPayload strip_link(std::uint32_t link_type, ByteView bytes);
// Whether strip_link knows it.
[[nodiscard]] bool is_known_link(std::uint32_t link_type);

}  // namespace understudy::capture
