#include "formats/capture/fragments.h"

#include <algorithm>

namespace understudy::capture {

std::optional<IpPacket> FragmentAssembler::add(const IpPacket& fragment, TimeNs now) {
  ++counts_.fragments;
  drop_old(now);
  Packet& packet = packet_of(fragment, now);
  if (packet.spoiled) return std::nullopt;
  if (!take(packet, fragment)) {
    packet.spoiled = true;
    ++counts_.conflicting;
    ByteBuffer().swap(packet.bytes);
    return std::nullopt;
  }
  if (!is_complete(packet)) return std::nullopt;
  ++counts_.reassembled;
  IpPacket whole = packet.first;
  whole_ = std::move(packet.bytes);
  whole.payload = whole_;
  whole.payload_length = whole_.size();
  whole.is_fragment = whole.more_fragments = false;
  whole.fragment_offset = 0;
  packets_.remove_if([&packet](const Packet& one) { return &one == &packet; });
  return whole;
}

void FragmentAssembler::finish() {
  while (!packets_.empty()) give_up(packets_.begin());
}

FragmentAssembler::Packet& FragmentAssembler::packet_of(const IpPacket& fragment, TimeNs now) {
  for (Packet& packet : packets_) {
    const IpPacket& first = packet.first;
    if (first.fragment_id == fragment.fragment_id && first.protocol == fragment.protocol &&
        first.source == fragment.source && first.destination == fragment.destination) {
      return packet;
    }
  }
  if (packets_.size() == kMaxPackets) give_up(packets_.begin());
  Packet& added = packets_.emplace_back();
  added.first = fragment;
  added.first.payload = {};
  added.begun_at = now;
  return added;
}

void FragmentAssembler::drop_old(TimeNs now) {
  while (!packets_.empty() && now - packets_.front().begun_at > kPatience) give_up(packets_.begin());
}

void FragmentAssembler::give_up(std::list<Packet>::iterator packet) {
  if (!packet->spoiled) ++counts_.incomplete;
  packets_.erase(packet);
}

bool FragmentAssembler::take(Packet& packet, const IpPacket& fragment) const {
  const std::size_t offset = fragment.fragment_offset;
  const ByteView bytes = fragment.payload;
  const std::size_t end = offset + bytes.size();
  const bool cut = bytes.size() != fragment.payload_length;
  if (cut || bytes.empty() || end > kMaxBytes) return false;
  if (fragment.more_fragments && bytes.size() % 8 != 0) return false;
  if (!fragment.more_fragments) {
    if ((packet.length != 0 && packet.length != end) || packet.bytes.size() > end) return false;
    packet.length = end;
  }
  if (packet.length != 0 && end > packet.length) return false;
  if (packet.bytes.size() < end) packet.bytes.resize(end);
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    const std::size_t unit = (offset + at) / 8;
    const std::size_t step = std::min<std::size_t>(8, bytes.size() - at);
    Byte* const place = packet.bytes.data() + offset + at;
    if (packet.present[unit] && !std::equal(place, place + step, bytes.data() + at)) return false;
    std::copy_n(bytes.data() + at, step, place);
    packet.present[unit] = true;
  }
  return true;
}

bool FragmentAssembler::is_complete(const Packet& packet) {
  return packet.length != 0 && packet.present.count() == (packet.length + 7) / 8;
}

}  // namespace understudy::capture
