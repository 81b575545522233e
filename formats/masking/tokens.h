// Keyed tokens: what stands in a masked recording where a value was. A token has its value's length, shape
// and classes of characters; equal values have equal tokens and, within a family, different values different
// ones. `understudy mask-sql` prints the same in SQL (replayer/mask/mask_functions.cpp): what changes here
// changes there.
//
// The permutation is a Feistel network over the characters that change, each counted modulo the size of its
// class, with HMAC-SHA256 for its rounds; where a token would leave its value's shape it is permuted on until
// it is back in it (cycle walking: Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002), so it
// stays a bijection.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace understudy::masking {

class Tokens {
 public:
  // One thread at a time. `key` is copied.
  explicit Tokens(std::string_view key);
  ~Tokens();
  Tokens(const Tokens&) = delete;
  Tokens& operator=(const Tokens&) = delete;

  // The token of a value in text form; nothing when the bytes are no UTF-8. The shortest key anybody should
  // use has kMinKeyBytes.
  [[nodiscard]] std::optional<std::string> mask(std::string_view value, std::string_view family);

  static constexpr std::size_t kMinKeyBytes = 16;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace understudy::masking
