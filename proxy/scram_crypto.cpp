#include "proxy/scram_crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

namespace understudy::proxy {

std::string to_base64(ByteView bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<Byte*>(out.data()), bytes.data(), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

ByteBuffer from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return {};
  ByteBuffer out(text.size() / 4 * 3);
  const int length =
      EVP_DecodeBlock(out.data(), reinterpret_cast<const Byte*>(text.data()), static_cast<int>(text.size()));
  if (length < 0) return {};
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  out.resize(static_cast<std::size_t>(length) - padding);
  return out;
}

ScramDigest hmac_sha256(ByteView key, std::string_view text) {
  ScramDigest out{};
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), as_bytes(text).data(), text.size(), out.data(),
       &length);
  return out;
}

ScramDigest sha256(ByteView bytes) {
  ScramDigest out{};
  EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha256(), nullptr);
  return out;
}

ScramDigest salt_password(std::string_view password, ByteView salt, int iterations) {
  ScramDigest salted{};
  PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), salt.data(),
                    static_cast<int>(salt.size()), iterations, EVP_sha256(), static_cast<int>(salted.size()),
                    salted.data());
  return salted;
}

ScramDigest exclusive_or(const ScramDigest& a, const ScramDigest& b) {
  ScramDigest out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<Byte>(a[i] ^ b[i]);
  return out;
}

bool same_secret(ByteView a, ByteView b) {
  return !a.empty() && a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view scram_attribute(std::string_view message, char name) {
  while (!message.empty()) {
    const std::size_t comma = message.find(',');
    const std::string_view part = message.substr(0, comma);
    if (part.size() >= 2 && part[0] == name && part[1] == '=') return part.substr(2);
    if (comma == std::string_view::npos) break;
    message.remove_prefix(comma + 1);
  }
  return {};
}

std::string make_scram_nonce() {
  std::array<Byte, 18> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) return {};
  return to_base64(random);
}

}  // namespace understudy::proxy
