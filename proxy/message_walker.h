// Walks one direction of a session's stream message by message, however it is cut, without holding more than
// is asked for: the handler is told of a message when its type is seen, of its raw bytes as they come, and of
// its end, with the payload where it wanted that. Lengths were judged before (ProtocolTracker, or the login).
//
// One walker a direction and session; used on its worker.
#pragma once

#include <algorithm>

#include "formats/bytes.h"

namespace understudy::proxy {

class MessageWalker {
 public:
  // `handler` has
  //     std::size_t begin(char type)              how many bytes of the payload are wanted at the end
  //     void part(ByteView raw)                   within the bytes being fed
  //     void end(char type, ByteView payload, bool whole)
  // A payload that lies within one view is shown whole; of one that does not, as much as was wanted.
  template <typename Handler>
  void feed(ByteView bytes, Handler& handler) {
    while (!bytes.empty()) {
      if (!inside_ && bytes.size() >= kHeaderBytes) {
        const std::size_t size = std::size_t{load_be32(bytes.data() + 1)} + 1;
        if (bytes.size() >= size) {
          (void)handler.begin(static_cast<char>(bytes.front()));
          handler.part(bytes.first(size));
          handler.end(static_cast<char>(bytes.front()), bytes.subspan(kHeaderBytes, size - kHeaderBytes),
                      true);
          bytes = bytes.subspan(size);
          continue;
        }
      }
      bytes = bytes.subspan(step(bytes, handler));
    }
  }

  [[nodiscard]] bool at_boundary() const { return !inside_; }
  // Bytes still to come of a message whose header was seen; 0 at a boundary.
  [[nodiscard]] std::uint32_t left() const { return length_known_ ? left_ : 0; }
  void reset() { *this = MessageWalker(); }

 private:
  static constexpr std::size_t kHeaderBytes = 5;

  // Takes a piece of a message that does not lie within one view. Returns its size.
  template <typename Handler>
  std::size_t step(ByteView bytes, Handler& handler) {
    if (!inside_) {
      inside_ = true;
      header_have_ = 0;
      wanted_ = handler.begin(static_cast<char>(bytes.front()));
    }
    std::size_t taken = 0;
    while (header_have_ < kHeaderBytes && taken < bytes.size()) header_[header_have_++] = bytes[taken++];
    if (header_have_ == kHeaderBytes) {
      if (!length_known_) left_ = load_be32(header_ + 1) - 4;
      length_known_ = true;
      const std::size_t here = std::min<std::size_t>(left_, bytes.size() - taken);
      collect(bytes.subspan(taken, here));
      left_ -= static_cast<std::uint32_t>(here);
      taken += here;
    }
    handler.part(bytes.first(taken));
    if (length_known_ && left_ == 0) finish(handler);
    return taken;
  }

  void collect(ByteView piece) {
    const std::size_t room = wanted_ - collected_.size();
    append_bytes(collected_, piece.first(std::min(room, piece.size())));
    if (piece.size() > room) whole_ = false;
  }

  template <typename Handler>
  void finish(Handler& handler) {
    const ByteBuffer payload = std::move(collected_);
    const bool whole = whole_;
    collected_ = {};
    inside_ = length_known_ = false;
    whole_ = true;
    handler.end(static_cast<char>(header_[0]), payload, whole);
  }

  Byte header_[kHeaderBytes] = {};
  std::uint8_t header_have_ = 0;
  bool inside_ = false;
  bool length_known_ = false;
  std::size_t wanted_ = 0;
  bool whole_ = true;
  std::uint32_t left_ = 0;  // of the payload
  ByteBuffer collected_;
};

}  // namespace understudy::proxy
