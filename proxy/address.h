// Where to listen or connect: a TCP host and port, or the directory of a Unix socket, written as PostgreSQL's
// own tools and pgbouncer write them.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

namespace understudy::proxy {

struct Address {
  std::string host;  // name or number; empty: every interface; starting with '/': a Unix socket's directory
  std::uint16_t port = 5432;

  bool operator==(const Address&) const = default;
  // "host:port", "host", ":port", "[::1]:port", "/dir", "/dir:port". Throws std::invalid_argument saying what
  // is wrong and what is expected.
  [[nodiscard]] static Address parse(std::string_view text, std::uint16_t default_port = 5432);
  [[nodiscard]] bool is_unix() const { return !host.empty() && host.front() == '/'; }
  // "127.0.0.1:5432", "[::1]:5432", "/run/postgresql/.s.PGSQL.5432".
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] std::string unix_path() const;
};

// An address the kernel takes.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
};

// Looks the address up (may block on DNS). Throws std::runtime_error naming the host. `passive` for
// listening.
[[nodiscard]] std::vector<SocketAddress> resolve(const Address& address, bool passive);

// "192.0.2.7:49152", "[::1]:49152", "unix:" as transcripts and logs print a peer.
[[nodiscard]] std::string to_string(const SocketAddress& address);

}  // namespace understudy::proxy
