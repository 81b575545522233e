// One end of a byte stream to a client or a server, never blocking. What is behind it (a TCP or Unix socket,
// a transcript client inside this process) is of no concern to the sessions that speak through it.
//
// Owned by one session; used by that session's worker only.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "formats/bytes.h"

namespace understudy::proxy {

class TlsConnection;

enum class IoStatus : std::uint8_t {
  kOk,          // some bytes moved
  kWouldBlock,  // none now; the event loop will say when
  kClosed,      // the peer sent end-of-file (read), or is gone (write)
  kError        // see Connection::error_text
};

struct ReadResult {
  IoStatus status = IoStatus::kWouldBlock;
  ByteView bytes;     // valid until the next read; may point into the caller's scratch or the connection
  bool more = false;  // more may be waiting: the read was as long as it could be
};
struct WriteResult {
  IoStatus status = IoStatus::kOk;
  std::size_t written = 0;  // bytes taken, possibly fewer than offered
};

class Connection {
 public:
  virtual ~Connection() = default;
  // Reads what is there, into `scratch` unless the connection has memory of its own to show.
  [[nodiscard]] virtual ReadResult read(std::span<Byte> scratch) = 0;
  [[nodiscard]] virtual WriteResult write(ByteView bytes) = 0;
  // No more bytes will be written; the peer reads end-of-file after what was written.
  virtual void shutdown_write() = 0;
  // The descriptor to watch, or -1 when readiness is signalled inside the process.
  [[nodiscard]] virtual int descriptor() const = 0;
  // The peer's address as transcripts and logs print it.
  [[nodiscard]] virtual const std::string& peer() const = 0;
  // The last error in words, after kError.
  [[nodiscard]] virtual std::string error_text() const = 0;

  // A read may bring bytes without the descriptor becoming readable: the connection holds them already.
  [[nodiscard]] virtual bool holds_bytes() const { return false; }
  // A read cannot go on before the descriptor is writable.
  [[nodiscard]] virtual bool read_wants_write() const { return false; }
  // Not null when the stream is encrypted on its way.
  [[nodiscard]] virtual const TlsConnection* tls() const { return nullptr; }
};

}  // namespace understudy::proxy
