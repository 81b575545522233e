// What TCP reassembly is told to do, and what it counts. Values only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "formats/transcript/event.h"

namespace understudy::capture {

// Two segments may claim the same bytes and differ. Which one an end takes depends on its system; what was
// passed on stays so in any case.
enum class OverlapPolicy : std::uint8_t { kKeepFirst, kKeepLast };

struct ReassemblyOptions {
  std::vector<std::uint16_t> ports;  // of servers; empty: any
  OverlapPolicy overlap = OverlapPolicy::kKeepFirst;
  std::size_t connection_bytes = std::size_t{8} << 20;  // held for one connection while it waits for a hole
  std::size_t total_bytes = std::size_t{64} << 20;      // for all together
  std::size_t max_connections = 100'000;
  // A hole whose bytes the receiver says it has will not be sent again; it may only be late in the capture.
  TimeNs late_patience = 1'000'000'000;
  std::uint32_t late_packets = 128;  // of the same connection
  // Any other hole waits for its bytes to be sent again.
  TimeNs resend_patience = 120'000'000'000;
};

struct ReassemblyCounts {
  std::uint64_t packets = 0;
  std::uint64_t packet_bytes = 0;
  std::uint64_t unknown_link = 0;  // of a link type that is not read
  std::uint64_t not_tcp = 0;       // ARP, UDP, ...
  std::uint64_t malformed = 0;     // headers that are cut or contradict themselves
  std::uint64_t cut = 0;           // the capture kept only the beginning (snaplen)
  std::uint64_t other_ports = 0;
  std::uint64_t segments = 0;      // of TCP, on the ports wanted
  std::uint64_t out_of_place = 0;  // segments too far from their stream to belong to it
  std::uint64_t connections = 0;
  std::uint64_t connections_evicted = 0;  // too many at once
  std::uint64_t resent_bytes = 0;         // came more than once
  std::uint64_t conflicting_bytes = 0;    // of those: not the same as before, while both could be compared
  std::uint64_t lost_bytes = 0;           // never came
  std::uint64_t holes = 0;                // in so many places
  std::uint64_t held_peak_bytes = 0;
};

}  // namespace understudy::capture
