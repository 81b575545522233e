#include "formats/transcript/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <new>
#include <stdexcept>

#include "formats/transcript/segment_walk.h"

namespace understudy {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

void require(int success) {
  if (success != 1) throw std::runtime_error("OpenSSL cannot compute SHA-256");
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr) throw std::bad_alloc();
  require(EVP_DigestInit_ex(context_, EVP_sha256(), nullptr));
}

Sha256::~Sha256() { EVP_MD_CTX_free(context_); }

void Sha256::add(ByteView bytes) { require(EVP_DigestUpdate(context_, bytes.data(), bytes.size())); }

Sha256Value Sha256::value() const {
  Sha256 finished;
  require(EVP_MD_CTX_copy_ex(finished.context_, context_));
  Sha256Value value{};
  require(EVP_DigestFinal_ex(finished.context_, value.data(), nullptr));
  return value;
}

Sha256Value sha256(ByteView bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.value();
}

Sha256Value sha256_of_file(const ReadableFile& file, const std::string& name, std::uint64_t length) {
  Sha256 hash;
  ByteBuffer piece;
  const std::uint64_t end = std::min(length, file.size());
  for (std::uint64_t at = 0; at < end; at += piece.size()) {
    read_bytes(file, name, at, static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, end - at)),
               piece);
    if (piece.empty()) break;  // shorter than when it was opened
    hash.add(piece);
  }
  return hash.value();
}

std::string hexadecimal(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const Byte byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<Sha256Value> parse_sha256(std::string_view text) {
  Sha256Value value{};
  if (text.size() != 2 * value.size()) return std::nullopt;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char* const digits = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, value[i], 16);
    if (error != std::errc() || end != digits + 2) return std::nullopt;
  }
  return value;
}

}  // namespace understudy
