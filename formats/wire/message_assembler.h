// Turns the pieces of one direction's byte stream after start-up into whole messages, for readers of
// transcripts. A message that lies within one piece is handed on as a view into it; one that spans pieces is
// collected, up to a cap, so that memory stays bounded however large a message is.
//
// One assembler a direction and session; one thread at a time.
#pragma once

#include <algorithm>

#include "formats/wire/content_hash.h"
#include "formats/wire/decoded.h"
#include "formats/wire/frame_scanner.h"

namespace understudy::wire {

struct Message {
  char type = 0;
  ByteView payload;                  // the first bytes of it, at most the cap; valid during the callback
  std::uint32_t payload_length = 0;  // all of it
  bool truncated = false;            // payload_length is over the cap
  std::uint64_t hash = 0;            // of the whole payload when truncated, else 0 (payload says all)
  std::uint64_t stream_offset = 0;   // of the type byte, counted from the first byte fed
};

class MessageAssembler {
 public:
  static constexpr std::size_t kDefaultCapBytes = std::size_t{16} << 20;

  explicit MessageAssembler(std::size_t cap_bytes = kDefaultCapBytes) : cap_bytes_(cap_bytes) {}

  // Calls `on_message(const Message&)` for every message that ends in `piece`. What it is called with does
  // not depend on how the stream is cut. Returns false once a length is broken, and calls nothing after that.
  template <typename OnMessage>
  bool feed(ByteView piece, OnMessage&& on_message) {
    if (scanner_.broken()) return false;
    if (payload_left_ > 0) {
      collect(piece);
      if (payload_left_ == 0) finish(on_message);
    }
    return scanner_.feed(piece, [&](const FrameHeader& frame) {
      begin(frame);
      if (payload_left_ == 0) finish(on_message);
      return true;
    });
  }

  // True between messages: none is half read.
  [[nodiscard]] bool at_boundary() const { return scanner_.at_boundary(); }
  [[nodiscard]] bool broken() const { return scanner_.broken(); }
  // Where in the stream the broken length is and what is wrong; only when broken().
  [[nodiscard]] DecodeError error() const;
  // Memory held for a message that spans pieces.
  [[nodiscard]] std::size_t held_bytes() const { return collected_.capacity(); }

 private:
  void begin(const FrameHeader& frame);
  void collect(ByteView piece);
  void take(ByteView part);
  void release();

  template <typename OnMessage>
  void finish(OnMessage&& on_message) {
    if (message_.truncated) message_.hash = hash_.value();
    if (collecting_) message_.payload = collected_;
    on_message(static_cast<const Message&>(message_));
    if (collecting_) release();
  }

  std::size_t cap_bytes_;
  FrameScanner scanner_;
  Message message_;
  std::uint64_t next_offset_ = 0;   // where the next message begins
  std::uint32_t payload_left_ = 0;  // of message_
  bool collecting_ = false;
  ByteBuffer collected_;
  ContentHash hash_;
};

}  // namespace understudy::wire
