// From packets to conversations: link, IP, fragments, TCP. The whole of passive capture that knows nothing of
// PostgreSQL.
//
//     CapturedPacket -> strip_link -> decode_ip -> FragmentAssembler -> decode_tcp -> ConnectionTable
//                                                                        -> ConversationListener
//
// Deterministic: the same packets give the same conversations. One thread at a time.
#pragma once

#include <vector>

#include "formats/capture/connection_table.h"
#include "formats/capture/fragments.h"
#include "formats/capture/packet.h"

namespace understudy::capture {

class Reassembler {
 public:
  // The factory is borrowed.
  Reassembler(ReassemblyOptions options, ConversationFactory& factory)
      : options_(std::move(options)), table_(factory, options_, counts_) {}

  void take(const CapturedPacket& packet);
  // Nothing was captured until then: who waits in vain is told. Live captures call it now and then.
  void tick(TimeNs now);
  // Ends every conversation.
  void finish();

  [[nodiscard]] const ReassemblyCounts& counts() const { return counts_; }
  // Of the packets of other ports than were wanted: those seen most, so many at most.
  [[nodiscard]] std::vector<std::uint16_t> busiest_other_ports(std::size_t most) const;
  [[nodiscard]] const FragmentCounts& fragments() const { return fragments_.counts(); }
  // Of the last packet. Packets whose clock stands before that of an earlier one count as of the same time.
  [[nodiscard]] TimeNs now() const { return now_; }
  [[nodiscard]] TimeNs first_time() const { return first_time_; }
  // How far, at most, a packet's clock stood before that of an earlier one.
  [[nodiscard]] TimeNs clock_went_back() const { return went_back_; }

 private:
  void take_ip(ByteView packet);
  void take_tcp(const IpPacket& packet);
  [[nodiscard]] bool is_wanted(const TcpSegment& segment) const;

  void note_other_port(const TcpSegment& segment);

  const ReassemblyOptions options_;
  ReassemblyCounts counts_;
  FragmentAssembler fragments_;
  ConnectionTable table_;
  std::vector<std::uint64_t> by_other_port_;  // empty until there is one
  TimeNs first_time_ = 0;
  TimeNs now_ = 0;
  TimeNs went_back_ = 0;
  TimeNs ticked_at_ = 0;
};

}  // namespace understudy::capture
