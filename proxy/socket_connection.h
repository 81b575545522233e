// A Connection over a TCP or Unix socket.
#pragma once

#include "proxy/address.h"
#include "proxy/connection.h"

namespace understudy::proxy {

// Applied to both sides' sockets; TCP only. Zero leaves the system's default.
struct SocketOptions {
  int keepalive_idle_s = 60;      // first probe after this much silence
  int keepalive_interval_s = 10;  // between probes
  int keepalive_count = 6;        // unanswered probes before the connection is dead
  int user_timeout_ms = 0;        // unacknowledged data before the connection is dead (TCP_USER_TIMEOUT)
  bool operator==(const SocketOptions&) const = default;
};

class SocketConnection final : public Connection {
 public:
  // Takes over `descriptor`, which must be non-blocking.
  SocketConnection(int descriptor, std::string peer, const SocketOptions& options);
  ~SocketConnection() override;
  SocketConnection(const SocketConnection&) = delete;
  SocketConnection& operator=(const SocketConnection&) = delete;

  struct Attempt;
  // Begins to connect; the socket becomes writable when it is decided, then connect_result() tells.
  [[nodiscard]] static Attempt connect(const SocketAddress& address, std::string peer,
                                       const SocketOptions& options);
  // Empty when connected, else the system's words.
  [[nodiscard]] std::string connect_result() const;

  [[nodiscard]] ReadResult read(std::span<Byte> scratch) override;
  [[nodiscard]] WriteResult write(ByteView bytes) override;
  void shutdown_write() override;
  [[nodiscard]] int descriptor() const override { return descriptor_; }
  [[nodiscard]] const std::string& peer() const override { return peer_; }
  [[nodiscard]] std::string error_text() const override;

 private:
  int descriptor_;
  int error_ = 0;
  std::string peer_;
};

struct SocketConnection::Attempt {
  std::unique_ptr<SocketConnection> connection;  // null: it failed at once
  std::string error;                             // why
  // A Unix socket whose backlog is full. A blocking connect() would wait there, so it is worth another try.
  bool try_again = false;
};

}  // namespace understudy::proxy
