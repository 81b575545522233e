#include "formats/capture/link_layer.h"

namespace understudy::capture {
namespace {

constexpr std::uint16_t kIpv4 = 0x0800;
constexpr std::uint16_t kIpv6 = 0x86DD;
constexpr int kMaxTags = 8;

bool is_vlan_tag(std::uint16_t type) {
  return type == 0x8100 || type == 0x88A8 || type == 0x9100 || type == 0x9200;
}

// `type` says what `bytes` begin with; VLAN tags in between are four bytes each, the next type in the last
// two.
LinkPayload by_ether_type(std::uint16_t type, ByteView bytes) {
  for (int tags = 0; is_vlan_tag(type) && tags < kMaxTags; ++tags) {
    if (bytes.size() < 4) return {LinkContent::kCut, {}};
    type = load_be16(bytes.data() + 2);
    bytes = bytes.subspan(4);
  }
  if (type != kIpv4 && type != kIpv6) return {LinkContent::kOther, {}};
  return {LinkContent::kIp, bytes};
}

LinkPayload typed(ByteView bytes, std::size_t type_at, std::size_t header_bytes) {
  if (bytes.size() < header_bytes) return {LinkContent::kCut, {}};
  return by_ether_type(load_be16(bytes.data() + type_at), bytes.subspan(header_bytes));
}

bool is_ip_family(std::uint32_t family) {
  // AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24, 28 and 30 on the BSDs and macOS.
  return family == 2 || family == 10 || family == 24 || family == 28 || family == 30;
}

LinkPayload loopback(ByteView bytes, bool any_order) {
  if (bytes.size() < 4) return {LinkContent::kCut, {}};
  const bool known =
      is_ip_family(load_be32(bytes.data())) || (any_order && is_ip_family(load_le32(bytes.data())));
  if (!known) return {LinkContent::kOther, {}};
  return {LinkContent::kIp, bytes.subspan(4)};
}

}  // namespace

LinkPayload strip_link(std::uint32_t link_type, ByteView bytes) {
  switch (link_type) {
    case link_type::kEthernet:
      return typed(bytes, 12, 14);
    case link_type::kLinuxCooked:
      return typed(bytes, 14, 16);
    case link_type::kLinuxCooked2:
      return typed(bytes, 0, 20);
    case link_type::kNull:
      return loopback(bytes, true);
    case link_type::kLoop:
      return loopback(bytes, false);
    case link_type::kRaw:
    case link_type::kRawOfBsd:
    case link_type::kRawOfOpenBsd:
    case link_type::kIpv4:
    case link_type::kIpv6:
      return {LinkContent::kIp, bytes};
    default:
      return {LinkContent::kUnknownLink, {}};
  }
}

bool is_known_link(std::uint32_t link_type) {
  return strip_link(link_type, {}).content != LinkContent::kUnknownLink;
}

}  // namespace understudy::capture
