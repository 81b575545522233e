// Who speaks with whom: IP addresses and ports, as keys of tables and as text. Values only.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>

#include "formats/bytes.h"

namespace understudy::capture {

struct IpAddress {
  // An IPv4 address takes the last four bytes, behind the prefix of mapped ones, and is told apart by `v6`.
  std::array<Byte, 16> bytes{};
  bool v6 = false;
  auto operator<=>(const IpAddress&) const = default;
  [[nodiscard]] static IpAddress v4(const Byte* four);
  [[nodiscard]] static IpAddress v6_from(const Byte* sixteen);
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
  // "192.0.2.7:49152", "[::1]:49152": as transcripts print a peer.
  [[nodiscard]] std::string to_string() const;
};

// One of the two ends of a conversation. Which one is the server is for others to find out.
enum class Side : std::uint8_t { kA = 0, kB = 1 };
[[nodiscard]] constexpr Side other(Side side) { return side == Side::kA ? Side::kB : Side::kA; }
[[nodiscard]] constexpr std::size_t index_of(Side side) { return static_cast<std::size_t>(side); }

// The two ends in an order that does not depend on who sent a packet: a before b.
struct Flow {
  Endpoint a;
  Endpoint b;
  bool operator==(const Flow&) const = default;
  [[nodiscard]] const Endpoint& end(Side side) const { return side == Side::kA ? a : b; }
};

}  // namespace understudy::capture

template <>
struct std::hash<understudy::capture::Flow> {
  std::size_t operator()(const understudy::capture::Flow& flow) const noexcept;
};
