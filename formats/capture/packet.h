// What a capture is made of: packets, as a network interface or a capture file gives them, before anything is
// known of what is in them. Values only.
#pragma once

#include <cstdint>

#include "formats/transcript/event.h"

namespace understudy::capture {

// How the first bytes of a packet are to be read: the numbers of tcpdump.org's registry ("Link-layer header
// types"), as they stand in capture files.
namespace link_type {
inline constexpr std::uint32_t kNull = 0;           // BSD loopback: family in the writer's byte order
inline constexpr std::uint32_t kEthernet = 1;       // VLAN tags included
inline constexpr std::uint32_t kRawOfBsd = 12;      // DLT_RAW, as libpcap says it on most systems
inline constexpr std::uint32_t kRawOfOpenBsd = 14;  // and on OpenBSD
inline constexpr std::uint32_t kRaw = 101;          // IPv4 or IPv6, nothing before it
inline constexpr std::uint32_t kLoop = 108;         // OpenBSD loopback: family in network order
inline constexpr std::uint32_t kLinuxCooked = 113;  // SLL: what Linux gives for `-i any`
inline constexpr std::uint32_t kIpv4 = 228;
inline constexpr std::uint32_t kIpv6 = 229;
inline constexpr std::uint32_t kLinuxCooked2 = 276;  // SLL2
}  // namespace link_type

struct CapturedPacket {
  TimeNs time = 0;
  std::uint32_t link_type = 0;
  ByteView bytes;                     // what was kept of it; valid during the call that hands it out
  std::uint32_t original_length = 0;  // on the wire; more than bytes.size() when it was cut (snaplen)
};

// What a capture file says of the packets it does not have.
struct CaptureDrops {
  std::uint64_t by_kernel = 0;     // the capturing process was too slow
  std::uint64_t by_interface = 0;  // the network card or its driver
};

}  // namespace understudy::capture
