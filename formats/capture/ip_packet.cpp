#include "formats/capture/ip_packet.h"

#include <algorithm>

namespace understudy::capture {
namespace {

constexpr std::size_t kIpv6Header = 40;
constexpr int kMaxExtensionHeaders = 16;

std::optional<IpPacket> decode_v4(ByteView bytes) {
  if (bytes.size() < 20) return std::nullopt;
  const std::size_t header = std::size_t{bytes[0] & 15U} * 4;
  std::size_t total = load_be16(bytes.data() + 2);
  // A packet that the network card cuts (segmentation offload) may be captured before its length is known.
  if (total == 0) total = bytes.size();
  if (header < 20 || total < header || bytes.size() < header) return std::nullopt;
  IpPacket packet;
  packet.source = IpAddress::v4(bytes.data() + 12);
  packet.destination = IpAddress::v4(bytes.data() + 16);
  packet.protocol = bytes[9];
  packet.payload_length = total - header;
  packet.payload = bytes.subspan(header, std::min(packet.payload_length, bytes.size() - header));
  const std::uint16_t fragment = load_be16(bytes.data() + 6);
  packet.more_fragments = (fragment & 0x2000) != 0;
  packet.fragment_offset = std::uint32_t{fragment & 0x1FFFU} * 8;
  packet.is_fragment = packet.more_fragments || packet.fragment_offset != 0;
  packet.fragment_id = load_be16(bytes.data() + 4);
  return packet;
}

// Where an extension header leads: the bytes it takes, and the type of what follows. None when it is cut.
struct Extension {
  std::size_t bytes = 0;
  std::uint8_t next = 0;
};
std::optional<Extension> extension(std::uint8_t type, ByteView bytes) {
  if (bytes.size() < 8) return std::nullopt;
  constexpr std::uint8_t kAuthentication = 51;
  constexpr std::uint8_t kFragment = 44;
  std::size_t size = (std::size_t{bytes[1]} + 1) * 8;
  if (type == kAuthentication) size = (std::size_t{bytes[1]} + 2) * 4;
  if (type == kFragment) size = 8;
  if (bytes.size() < size) return std::nullopt;
  return Extension{size, bytes[0]};
}

bool is_extension(std::uint8_t type) {
  // Hop-by-hop, routing, fragment, authentication, destination options, mobility.
  return type == 0 || type == 43 || type == 44 || type == 51 || type == 60 || type == 135;
}

std::optional<IpPacket> decode_v6(ByteView bytes) {
  if (bytes.size() < kIpv6Header) return std::nullopt;
  IpPacket packet;
  packet.source = IpAddress::v6_from(bytes.data() + 8);
  packet.destination = IpAddress::v6_from(bytes.data() + 24);
  std::size_t length = load_be16(bytes.data() + 4);
  // 0: a jumbogram, or one that the network card is going to cut; the capture says how long it is.
  if (length == 0) length = bytes.size() - kIpv6Header;
  ByteView rest = bytes.subspan(kIpv6Header, std::min(length, bytes.size() - kIpv6Header));
  const std::size_t not_here = length - rest.size();
  std::uint8_t type = bytes[6];
  for (int headers = 0; is_extension(type) && !packet.is_fragment; ++headers) {
    const auto found = extension(type, rest);
    if (!found || headers == kMaxExtensionHeaders) return std::nullopt;
    if (type == 44) {
      const std::uint16_t where = load_be16(rest.data() + 2);
      packet.fragment_offset = where & 0xFFF8U;
      packet.more_fragments = (where & 1) != 0;
      packet.fragment_id = load_be32(rest.data() + 4);
      // Alone in its packet ("atomic") it is none.
      packet.is_fragment = packet.more_fragments || packet.fragment_offset != 0;
    }
    type = found->next;
    rest = rest.subspan(found->bytes);
  }
  packet.protocol = type;
  packet.payload = rest;
  packet.payload_length = rest.size() + not_here;
  return packet;
}

}  // namespace

std::optional<IpPacket> decode_ip(ByteView bytes) {
  if (bytes.empty()) return std::nullopt;
  const unsigned version = bytes[0] >> 4;
  if (version == 4) return decode_v4(bytes);
  if (version == 6) return decode_v6(bytes);
  return std::nullopt;
}

}  // namespace understudy::capture
