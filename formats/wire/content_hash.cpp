#include "formats/wire/content_hash.h"

#include <algorithm>
#include <bit>

namespace understudy::wire {

namespace {

// The five primes of the specification.
constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87;
constexpr std::uint64_t kPrime2 = 0xC2B2AE3D27D4EB4F;
constexpr std::uint64_t kPrime3 = 0x165667B19E3779F9;
constexpr std::uint64_t kPrime4 = 0x85EBCA77C2B2AE63;
constexpr std::uint64_t kPrime5 = 0x27D4EB2F165667C5;

std::uint64_t mix(std::uint64_t lane, std::uint64_t input) {
  return std::rotl(lane + input * kPrime2, 31) * kPrime1;
}

std::uint64_t merge(std::uint64_t hash, std::uint64_t lane) {
  return (hash ^ mix(0, lane)) * kPrime1 + kPrime4;
}

// The last up to 31 bytes.
std::uint64_t mix_tail(std::uint64_t hash, const Byte* p, std::size_t left) {
  for (; left >= 8; p += 8, left -= 8) hash = std::rotl(hash ^ mix(0, load_le64(p)), 27) * kPrime1 + kPrime4;
  if (left >= 4) {
    hash = std::rotl(hash ^ (load_le32(p) * kPrime1), 23) * kPrime2 + kPrime3;
    p += 4;
    left -= 4;
  }
  for (; left > 0; ++p, --left) hash = std::rotl(hash ^ (*p * kPrime5), 11) * kPrime1;
  return hash;
}

std::uint64_t avalanche(std::uint64_t hash) {
  hash = (hash ^ (hash >> 33)) * kPrime2;
  hash = (hash ^ (hash >> 29)) * kPrime3;
  return hash ^ (hash >> 32);
}

}  // namespace

ContentHash::ContentHash() : lanes_{kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1} {}

void ContentHash::stripe(const Byte* p) {
  for (std::size_t lane = 0; lane < 4; ++lane) lanes_[lane] = mix(lanes_[lane], load_le64(p + lane * 8));
}

void ContentHash::update(ByteView piece) {
  total_bytes_ += piece.size();
  const Byte* p = piece.data();
  std::size_t left = piece.size();
  if (tail_bytes_ > 0) {
    const std::size_t step = std::min(left, kStripeBytes - tail_bytes_);
    std::copy_n(p, step, tail_ + tail_bytes_);
    tail_bytes_ += step;
    p += step;
    left -= step;
    if (tail_bytes_ < kStripeBytes) return;
    stripe(tail_);
  }
  for (; left >= kStripeBytes; p += kStripeBytes, left -= kStripeBytes) stripe(p);
  std::copy_n(p, left, tail_);
  tail_bytes_ = left;
}

std::uint64_t ContentHash::value() const {
  std::uint64_t hash = kPrime5;
  if (total_bytes_ >= kStripeBytes) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
           std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_) hash = merge(hash, lane);
  }
  return avalanche(mix_tail(hash + total_bytes_, tail_, tail_bytes_));
}

std::uint64_t content_hash(ByteView bytes) {
  ContentHash hash;
  hash.update(bytes);
  return hash.value();
}

}  // namespace understudy::wire
