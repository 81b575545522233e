// A keyed bijection on lists of digits of any radices: a Feistel network whose halves are the first half of
// the digits and the rest, 8 rounds. See tokens.h. One thread at a time.
//
// Round r adds to each digit of one half, modulo its radix, two bytes of a stream made of the other half:
//   seed = HMAC-SHA256(key, family 00 label 00 r, digits of the other half as u16), stream = SHA-256(seed,
//   0u32), ...
// A single digit has no other half: it becomes its place among all of its radix, sorted by their HMAC.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "formats/bytes.h"

struct evp_md_ctx_st;
struct evp_md_st;

namespace understudy::masking {

using Digits = std::vector<std::uint16_t>;

class KeyedPermutation {
 public:
  explicit KeyedPermutation(std::string_view key);
  ~KeyedPermutation();
  KeyedPermutation(const KeyedPermutation&) = delete;
  KeyedPermutation& operator=(const KeyedPermutation&) = delete;

  // Each digit is below its radix, before and after. `family` and `label` choose the bijection.
  void permute(std::string_view family, std::string_view label, Digits& digits, const Digits& radices);

 private:
  using Digest = std::array<Byte, 32>;
  [[nodiscard]] Digest sha256(ByteView prefix, ByteView text);
  [[nodiscard]] Digest hmac(ByteView message) { return sha256(outer_, sha256(inner_, message)); }
  void run_round(Byte round, Digits& digits, const Digits& radices);
  [[nodiscard]] std::uint16_t rank(std::uint16_t digit, std::uint16_t radix);

  evp_md_st* algorithm_;
  evp_md_ctx_st* context_;
  std::array<Byte, 64> inner_{};
  std::array<Byte, 64> outer_{};
  ByteBuffer message_;
  std::size_t prefix_bytes_ = 0;  // of message_: family and label
};

}  // namespace understudy::masking
