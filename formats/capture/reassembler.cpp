#include "formats/capture/reassembler.h"

#include <algorithm>

#include "formats/capture/link_layer.h"

namespace understudy::capture {
namespace {

constexpr TimeNs kTickInterval = 100'000'000;

}  // namespace

void Reassembler::take(const CapturedPacket& packet) {
  if (counts_.packets++ == 0) first_time_ = now_ = packet.time;
  counts_.packet_bytes += packet.bytes.size();
  if (packet.bytes.size() < packet.original_length) ++counts_.cut;
  went_back_ = std::max(went_back_, now_ - packet.time);
  tick(packet.time);
  const LinkPayload link = strip_link(packet.link_type, packet.bytes);
  switch (link.content) {
    case LinkContent::kIp:
      return take_ip(link.packet);
    case LinkContent::kOther:
      ++counts_.not_tcp;
      return;
    case LinkContent::kCut:
      ++counts_.malformed;
      return;
    case LinkContent::kUnknownLink:
      ++counts_.unknown_link;
      return;
  }
}

void Reassembler::take_ip(ByteView bytes) {
  const auto packet = decode_ip(bytes);
  if (!packet) {
    ++counts_.malformed;
    return;
  }
  if (packet->protocol != kProtocolTcp) {
    ++counts_.not_tcp;
    return;
  }
  if (!packet->is_fragment) return take_tcp(*packet);
  if (const auto whole = fragments_.add(*packet, now_)) take_tcp(*whole);
}

void Reassembler::take_tcp(const IpPacket& packet) {
  const auto segment = decode_tcp(packet.payload, packet.payload_length);
  if (!segment) {
    ++counts_.malformed;
    return;
  }
  if (!is_wanted(*segment)) {
    note_other_port(*segment);
    return;
  }
  ++counts_.segments;
  table_.take(packet.source, packet.destination, *segment, now_);
}

void Reassembler::note_other_port(const TcpSegment& segment) {
  ++counts_.other_ports;
  if (by_other_port_.empty()) by_other_port_.resize(std::size_t{1} << 16);
  ++by_other_port_[segment.source_port];
  ++by_other_port_[segment.destination_port];
}

std::vector<std::uint16_t> Reassembler::busiest_other_ports(std::size_t most) const {
  std::vector<std::uint16_t> ports;
  for (std::size_t port = 0; port < by_other_port_.size(); ++port) {
    if (by_other_port_[port] > 0) ports.push_back(static_cast<std::uint16_t>(port));
  }
  std::stable_sort(ports.begin(), ports.end(), [this](std::uint16_t a, std::uint16_t b) {
    return by_other_port_[a] > by_other_port_[b];
  });
  if (ports.size() > most) ports.resize(most);
  return ports;
}

bool Reassembler::is_wanted(const TcpSegment& segment) const {
  if (options_.ports.empty()) return true;
  return std::any_of(options_.ports.begin(), options_.ports.end(), [&segment](std::uint16_t port) {
    return segment.source_port == port || segment.destination_port == port;
  });
}

void Reassembler::tick(TimeNs now) {
  now_ = std::max(now_, now);
  if (now_ - ticked_at_ < kTickInterval) return;
  ticked_at_ = now_;
  table_.tick(now_);
}

void Reassembler::finish() {
  fragments_.finish();
  table_.finish(now_);
}

}  // namespace understudy::capture
