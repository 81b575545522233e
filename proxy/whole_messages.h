// Keeps the beginning of a message back until the rest of it has come, so that whoever is behind sees
// messages whole, but for long ones. One a direction and session; used on its worker.
#pragma once

#include <algorithm>
#include <utility>

#include "formats/bytes.h"
#include "proxy/message_walker.h"

namespace understudy::proxy {

class WholeMessages {
 public:
  // What may be passed on of `bytes`, good until the next call. `walker` has walked all that was passed
  // before.
  [[nodiscard]] ByteView take(ByteView bytes, const MessageWalker& walker) {
    if (!tail_.empty()) {
      append_bytes(tail_, bytes);
      joined_ = std::exchange(tail_, {});
      bytes = joined_;
    }
    std::size_t at = std::min<std::size_t>(walker.left(), bytes.size());
    while (at < bytes.size()) {
      const ByteView rest = bytes.subspan(at);
      const std::size_t size =
          rest.size() < kHeaderBytes ? kHeaderBytes : std::size_t{load_be32(rest.data() + 1)} + 1;
      if (size > rest.size()) {
        if (size > kLong) break;
        tail_.assign(rest.begin(), rest.end());
        return bytes.first(at);
      }
      at += size;
    }
    return bytes;
  }
  [[nodiscard]] bool holds() const { return !tail_.empty(); }
  void forget() { tail_ = {}; }
  void release() {
    if (joined_.capacity() > kHeaderBytes) joined_ = {};
  }

 private:
  static constexpr std::size_t kHeaderBytes = 5;
  // Longer messages are passed as they come.
  static constexpr std::size_t kLong = 64U << 10;

  ByteBuffer tail_;
  ByteBuffer joined_;
};

}  // namespace understudy::proxy
