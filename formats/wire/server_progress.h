// How far a server has come in answering its client, told from the bytes it sent. A replay keeps one for the
// recorded stream and one for the live stream of a session and lets a client message go once the live server
// has reached what the recorded one had (PostgreSQL documentation, "Message Flow").
//
// What counts are the messages that answer requests, for a server answers the same requests with the same
// ones. What does not: rows and COPY data (their number may differ), what comes unasked (notices,
// notifications, parameter status), and start-up, whose messages depend on how one logs in and are missing
// from transcripts where they held secrets. A message counts when its last byte has arrived.
//
// One thread at a time. Feeding costs a few nanoseconds a message.
#pragma once

#include <cstdint>

#include "formats/wire/frame_scanner.h"

namespace understudy::wire {

class ServerProgress {
 public:
  // A point in the server's stream.
  struct Mark {
    std::uint64_t ready_count = 0;
    std::uint32_t completions = 0;
    bool operator==(const Mark&) const = default;
  };

  // Bytes the server sent after the answer to SSLRequest and GSSENCRequest, if any, in pieces of any size.
  // Returns false on a broken length; then and afterwards nothing more is counted.
  bool feed(ByteView piece);

  // ReadyForQuery messages so far. 0 until the session is open.
  [[nodiscard]] std::uint64_t ready_count() const { return mark_.ready_count; }
  // Answers since the last ReadyForQuery: 1 2 3 t T n C I s V G H W E.
  [[nodiscard]] std::uint32_t completions() const { return mark_.completions; }
  // An ErrorResponse came since the last ReadyForQuery: the server skips what is left of the cycle.
  [[nodiscard]] bool error_in_cycle() const { return error_in_cycle_; }
  // ErrorResponse messages so far.
  [[nodiscard]] std::uint64_t errors() const { return errors_; }
  // As the last ReadyForQuery said: 'I' idle, 'T' in a transaction, 'E' in a failed one; 'I' before the
  // first.
  [[nodiscard]] char transaction_status() const { return transaction_status_; }
  // The server takes CopyData: since CopyInResponse or CopyBothResponse, until that command completed or
  // failed.
  [[nodiscard]] bool copy_in_active() const { return copy_in_active_; }
  [[nodiscard]] bool broken() const { return scanner_.broken(); }

  [[nodiscard]] Mark mark() const { return mark_; }
  // Whether this server has come at least as far as `recorded`. An error answers the rest of its cycle: the
  // other server may have gone further in it, this one will not.
  [[nodiscard]] bool reached(const Mark& recorded) const {
    if (mark_.ready_count != recorded.ready_count) return mark_.ready_count > recorded.ready_count;
    return mark_.completions >= recorded.completions || error_in_cycle_;
  }

 private:
  void count(char type, ByteView end);
  void ready(ByteView end);

  FrameScanner scanner_;
  Mark mark_;
  std::uint64_t errors_ = 0;
  bool error_in_cycle_ = false;
  char transaction_status_ = 'I';
  bool copy_in_active_ = false;
  // A message that counts and whose payload goes on in the next piece.
  char pending_type_ = 0;
  std::uint32_t pending_left_ = 0;
};

}  // namespace understudy::wire
