#include "formats/export/session_ends.h"

#include <arpa/inet.h>

#include <charconv>

namespace understudy::capture {
namespace {

constexpr std::uint16_t kUsualPort = 5432;
constexpr std::uint16_t kFirstEphemeral = 49152;

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(port) : std::nullopt;
}

// Of "db1:5432" and "/run/postgresql/.s.PGSQL.5432".
std::uint16_t port_of(std::string_view backend) {
  const std::size_t before = backend.find_last_of(":.");
  if (before == std::string_view::npos) return kUsualPort;
  return parse_port(backend.substr(before + 1)).value_or(kUsualPort);
}

// 198.18.0.0/15 and 2001:db8::/32: another address and port for each session.
Endpoint invented_client(SessionId id, bool v6) {
  Endpoint out;
  const std::uint32_t number = id.number;
  out.port = static_cast<std::uint16_t>(kFirstEphemeral + (number >> 16) % 0x4000);
  if (v6) {
    Byte bytes[16] = {0x20, 0x01, 0x0D, 0xB8};
    for (unsigned i = 0; i < 4; ++i) {
      bytes[8 + i] = static_cast<Byte>(id.run >> (24 - 8 * i));
      bytes[12 + i] = static_cast<Byte>(number >> (24 - 8 * i));
    }
    out.address = IpAddress::v6_from(bytes);
  } else {
    const Byte bytes[4] = {198, static_cast<Byte>(18 + id.run % 2), static_cast<Byte>(number >> 8),
                           static_cast<Byte>(number)};
    out.address = IpAddress::v4(bytes);
  }
  return out;
}

Endpoint invented_server(std::string_view backend, bool v6) {
  static constexpr Byte kV4[4] = {198, 51, 100, 1};
  static constexpr Byte kV6[16] = {0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return {v6 ? IpAddress::v6_from(kV6) : IpAddress::v4(kV4), port_of(backend)};
}

}  // namespace

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;
  std::string host(text.substr(0, colon));
  Byte bytes[16];
  if (::inet_pton(AF_INET, host.c_str(), bytes) == 1) return Endpoint{IpAddress::v4(bytes), *port};
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return std::nullopt;
  host = host.substr(1, host.size() - 2);
  if (::inet_pton(AF_INET6, host.c_str(), bytes) != 1) return std::nullopt;
  return Endpoint{IpAddress::v6_from(bytes), *port};
}

SessionEnds session_ends(const SessionDescriptor& session, bool own_client) {
  const auto client = own_client ? parse_endpoint(session.peer) : std::nullopt;
  const auto server = parse_endpoint(session.backend);
  const bool v6 = client ? client->address.v6 : server && server->address.v6;
  SessionEnds out;
  const bool own_server = server && server->address.v6 == v6;
  out.client = client ? *client : invented_client(session.id, v6);
  out.server = own_server ? *server : invented_server(session.backend, v6);
  out.invented = !client || !own_server;
  return out;
}

}  // namespace understudy::capture
