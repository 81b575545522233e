// Which session a CancelRequest means. Clients are given keys of the proxy's own making (the server's process
// id, kept because clients show it, with a random secret of the same length), so a key seen at the proxy
// opens nothing at the server, and a cancel always goes where the session is now.
//
// Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "formats/bytes.h"
#include "proxy/address.h"

namespace understudy::proxy {

class ServerTls;

// What is needed to cancel at the server, and to tell the session's owner.
struct CancelTarget {
  SocketAddress backend;
  std::string host;  // of the backend as configured, for TLS
  std::uint32_t process_id = 0;
  ByteBuffer server_key;  // secret; never logged, never recorded
  // The session's own connection is encrypted by this: the key must not travel in plain text.
  std::shared_ptr<const ServerTls> tls;
  std::uint32_t session_number = 0;
  bool moving = false;  // there is no server to be told at present: the session itself does it later
  // Called when a cancel is accepted, on the caller's thread; `sent`: it goes to the server.
  std::function<void(bool sent)> noticed;
};

class CancelRegistry {
 public:
  // A key for the client, as long as the target's. Empty when the system has no randomness to give.
  [[nodiscard]] ByteBuffer enroll(CancelTarget target);
  // Returns whether a cancel was ever accepted for it: one may still be on its way, and must not meet the
  // next client of the same server.
  bool remove(std::uint32_t process_id, ByteView client_key);
  // The session has moved: its client keeps its key. `target`.process_id is the new server's.
  void move(std::uint32_t process_id, ByteView client_key, CancelTarget target);
  // The same; returns what it was.
  [[nodiscard]] CancelTarget exchange(std::uint32_t process_id, ByteView client_key, CancelTarget target);
  // The session with that key, compared in constant time.
  [[nodiscard]] std::optional<CancelTarget> find(std::uint32_t process_id, ByteView client_key);

 private:
  struct Entry {
    ByteBuffer client_key;
    CancelTarget target;
    bool found = false;
  };
  mutable std::mutex mutex_;
  std::unordered_multimap<std::uint32_t, Entry> entries_;  // by process id
};

}  // namespace understudy::proxy
