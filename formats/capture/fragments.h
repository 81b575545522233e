// Puts fragmented IP packets together again. Bounded in number, size and time; fragments that contradict each
// other (overlap with different bytes, two ends) spoil their packet, which is then counted as lost, never
// guessed. Identical overlaps are duplicates. One thread at a time. (RFC 815; RFC 5722 on overlaps.)
#pragma once

#include <bitset>
#include <list>

#include "formats/capture/ip_packet.h"
#include "formats/transcript/event.h"

namespace understudy::capture {

struct FragmentCounts {
  std::uint64_t fragments = 0;
  std::uint64_t reassembled = 0;  // packets
  std::uint64_t conflicting = 0;  // packets whose fragments contradict each other
  std::uint64_t incomplete = 0;   // packets given up: too old, too many at once, or the capture ended
};

class FragmentAssembler {
 public:
  static constexpr std::size_t kMaxPackets = 256;
  static constexpr TimeNs kPatience = 30'000'000'000;  // as Linux's ipfrag_time

  // Takes a fragment. Returns the whole packet once it is complete; its payload is valid until the next call.
  [[nodiscard]] std::optional<IpPacket> add(const IpPacket& fragment, TimeNs now);
  // What is incomplete stays so.
  void finish();

  [[nodiscard]] const FragmentCounts& counts() const { return counts_; }

 private:
  static constexpr std::size_t kMaxBytes = 65'535 + 8;
  static constexpr std::size_t kUnits = kMaxBytes / 8 + 1;
  struct Packet {
    IpPacket first;  // addresses, protocol, id
    TimeNs begun_at = 0;
    ByteBuffer bytes;
    std::bitset<kUnits> present;  // of eight bytes each
    std::size_t length = 0;       // 0: the last fragment has not come
    bool spoiled = false;
  };
  Packet& packet_of(const IpPacket& fragment, TimeNs now);
  void drop_old(TimeNs now);
  void give_up(std::list<Packet>::iterator packet);
  [[nodiscard]] bool take(Packet& packet, const IpPacket& fragment) const;
  [[nodiscard]] static bool is_complete(const Packet& packet);

  std::list<Packet> packets_;  // oldest first; few
  ByteBuffer whole_;
  FragmentCounts counts_;
};

}  // namespace understudy::capture
