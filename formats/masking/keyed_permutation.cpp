#include "formats/masking/keyed_permutation.h"

#include <openssl/evp.h>

#include <algorithm>
#include <stdexcept>

namespace understudy::masking {
namespace {

constexpr Byte kRounds = 8;
constexpr Byte kSingle = 0xFF;  // in place of a round's number
constexpr std::size_t kDigitsABlock = 16;

}  // namespace

KeyedPermutation::KeyedPermutation(std::string_view key)
    : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
  if (algorithm_ == nullptr || context_ == nullptr) throw std::runtime_error("OpenSSL has no SHA-256");
  if (key.size() <= inner_.size()) {
    std::copy(key.begin(), key.end(), inner_.begin());
  } else {
    const Digest digest = sha256({}, as_bytes(key));
    std::copy(digest.begin(), digest.end(), inner_.begin());
  }
  for (std::size_t i = 0; i < inner_.size(); ++i) {  // RFC 2104
    outer_[i] = inner_[i] ^ 0x5C;
    inner_[i] = inner_[i] ^ 0x36;
  }
}

KeyedPermutation::~KeyedPermutation() {
  EVP_MD_CTX_free(context_);
  EVP_MD_free(algorithm_);
}

KeyedPermutation::Digest KeyedPermutation::sha256(ByteView prefix, ByteView text) {
  Digest out{};
  EVP_DigestInit_ex2(context_, algorithm_, nullptr);
  EVP_DigestUpdate(context_, prefix.data(), prefix.size());
  EVP_DigestUpdate(context_, text.data(), text.size());
  EVP_DigestFinal_ex(context_, out.data(), nullptr);
  return out;
}

void KeyedPermutation::permute(std::string_view family, std::string_view label, Digits& digits,
                               const Digits& radices) {
  message_.clear();
  append_bytes(message_, as_bytes(family));
  message_.push_back(0);
  append_bytes(message_, as_bytes(label));
  message_.push_back(0);
  prefix_bytes_ = message_.size();
  if (digits.size() == 1) {
    digits[0] = rank(digits[0], radices[0]);
  } else if (digits.size() > 1) {
    for (Byte round = 0; round < kRounds; ++round) run_round(round, digits, radices);
  }
}

void KeyedPermutation::run_round(Byte round, Digits& digits, const Digits& radices) {
  const std::size_t middle = digits.size() / 2;
  const bool first_half = round % 2 == 0;
  message_.resize(prefix_bytes_);
  message_.push_back(round);
  const std::size_t end_of_other = first_half ? digits.size() : middle;
  for (std::size_t i = first_half ? middle : 0; i < end_of_other; ++i) append_be16(message_, digits[i]);
  const Digest seed = hmac(message_);
  Digest block{};
  const std::size_t begin = first_half ? 0 : middle;
  const std::size_t end = first_half ? middle : digits.size();
  for (std::size_t i = begin; i < end; ++i) {
    const std::size_t at = (i - begin) % kDigitsABlock;
    if (at == 0) {
      ByteBuffer number;
      append_be32(number, static_cast<std::uint32_t>((i - begin) / kDigitsABlock));
      block = sha256(seed, number);
    }
    const std::uint32_t added = load_be16(block.data() + 2 * at);
    digits[i] = static_cast<std::uint16_t>((digits[i] + added) % radices[i]);
  }
}

std::uint16_t KeyedPermutation::rank(std::uint16_t digit, std::uint16_t radix) {
  const auto place = [this](std::uint16_t value) {
    message_.resize(prefix_bytes_);
    message_.push_back(kSingle);
    append_be16(message_, value);
    return hmac(message_);
  };
  const Digest own = place(digit);
  std::uint16_t before = 0;
  for (std::uint16_t other = 0; other < radix; ++other) {
    if (place(other) < own) ++before;
  }
  return before;
}

}  // namespace understudy::masking
