#include "proxy/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace understudy::proxy {
namespace {

[[noreturn]] void refuse(std::string_view text, const char* why) {
  throw std::invalid_argument("address \"" + std::string(text) + "\": " + why +
                              "; expected HOST:PORT, :PORT, [IPV6]:PORT or /SOCKET/DIRECTORY[:PORT]");
}

std::uint16_t parse_port(std::string_view whole, std::string_view digits) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || port == 0 || port > 65535) {
    refuse(whole, "the port must be a number from 1 to 65535");
  }
  return static_cast<std::uint16_t>(port);
}

SocketAddress unix_address(const Address& address) {
  SocketAddress result;
  auto& path = reinterpret_cast<sockaddr_un&>(result.storage);
  const std::string text = address.unix_path();
  if (text.size() >= sizeof path.sun_path) {
    throw std::runtime_error("Unix socket path \"" + text + "\" is longer than the system allows (" +
                             std::to_string(sizeof path.sun_path - 1) + " bytes)");
  }
  path.sun_family = AF_UNIX;
  std::memcpy(path.sun_path, text.c_str(), text.size() + 1);
  result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + 1);
  return result;
}

}  // namespace

Address Address::parse(std::string_view text, std::uint16_t default_port) {
  Address address;
  address.port = default_port;
  std::string_view host = text;
  if (!text.empty() && text.front() == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) refuse(text, "the bracket is not closed");
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') refuse(text, "after the bracket comes a colon and a port");
    if (!rest.empty()) address.port = parse_port(text, rest.substr(1));
  } else if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    if (text.find(':') != colon) refuse(text, "an IPv6 address is written in brackets");
    host = text.substr(0, colon);
    address.port = parse_port(text, text.substr(colon + 1));
  }
  if (text.empty()) refuse(text, "it is empty");
  if (host == text && text.find_first_not_of("0123456789") == std::string_view::npos)
    refuse(text, "a port by itself is written with a colon before it");
  address.host = host == "*" ? "" : std::string(host);
  return address;
}

std::string Address::unix_path() const { return host + "/.s.PGSQL." + std::to_string(port); }

std::string Address::to_string() const {
  if (is_unix()) return unix_path();
  const std::string suffix = ":" + std::to_string(port);
  if (host.empty()) return "*" + suffix;
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + suffix;
}

std::vector<SocketAddress> resolve(const Address& address, bool passive) {
  if (address.is_unix()) return {unix_address(address)};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = passive ? AI_PASSIVE : 0;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  const char* host = address.host.empty() ? (passive ? nullptr : "localhost") : address.host.c_str();
  const int error = getaddrinfo(host, port.c_str(), &hints, &found);
  if (error != 0) {
    throw std::runtime_error("cannot look up host \"" + address.host + "\": " + gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(found, freeaddrinfo);
  std::vector<SocketAddress> result;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    SocketAddress one;
    std::memcpy(&one.storage, entry->ai_addr, entry->ai_addrlen);
    one.length = entry->ai_addrlen;
    result.push_back(one);
  }
  return result;
}

std::string to_string(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.family() == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address.storage);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(in.sin_port));
  }
  if (address.family() == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(address.storage);
    inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(in.sin6_port));
  }
  return "unix:";
}

}  // namespace understudy::proxy
