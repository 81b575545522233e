// A 64-bit hash of bytes that arrive in pieces, for comparing what is too large to hold. It is XXH64 (the
// xxHash specification, seed 0), which zstd frames carry as their checksum; it is fast and spreads well, but
// a hostile writer can make collisions.
#pragma once

#include "formats/bytes.h"

namespace understudy::wire {

// One thread at a time. The result does not depend on how the bytes are cut into pieces.
class ContentHash {
 public:
  ContentHash();
  void update(ByteView piece);
  // Of everything so far; more may follow.
  [[nodiscard]] std::uint64_t value() const;

 private:
  static constexpr std::size_t kStripeBytes = 32;
  void stripe(const Byte* p);

  std::uint64_t lanes_[4];
  Byte tail_[kStripeBytes] = {};
  std::size_t tail_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
};

[[nodiscard]] std::uint64_t content_hash(ByteView bytes);

}  // namespace understudy::wire
