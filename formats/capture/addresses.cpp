#include "formats/capture/addresses.h"

#include <arpa/inet.h>

#include <algorithm>

namespace understudy::capture {

IpAddress IpAddress::v4(const Byte* four) {
  IpAddress address;
  address.bytes[10] = address.bytes[11] = 0xFF;
  std::copy_n(four, 4, address.bytes.begin() + 12);
  return address;
}

IpAddress IpAddress::v6_from(const Byte* sixteen) {
  IpAddress address;
  address.v6 = true;
  std::copy_n(sixteen, 16, address.bytes.begin());
  return address;
}

std::string Endpoint::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  const std::string number = ":" + std::to_string(port);
  if (address.v6) {
    ::inet_ntop(AF_INET6, address.bytes.data(), text, sizeof text);
    return "[" + std::string(text) + "]" + number;
  }
  ::inet_ntop(AF_INET, address.bytes.data() + 12, text, sizeof text);
  return text + number;
}

}  // namespace understudy::capture

std::size_t std::hash<understudy::capture::Flow>::operator()(
    const understudy::capture::Flow& flow) const noexcept {
  // Whoever chooses addresses and ports could choose colliding ones, at worst slowing down who watches him:
  // the table is bounded. So a good mix is enough.
  constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15;
  std::uint64_t mixed = (std::uint64_t{flow.a.port} << 16) | flow.b.port;
  for (const auto* address : {&flow.a.address, &flow.b.address}) {
    for (const std::size_t half : {0U, 8U}) {
      mixed = (mixed ^ understudy::load_le64(address->bytes.data() + half)) * kMultiplier;
      mixed ^= mixed >> 29;
    }
  }
  return mixed;
}
