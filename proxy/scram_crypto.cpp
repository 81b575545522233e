#include "proxy/scram_crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <memory>
#include <stdexcept>

#include "proxy/randomness.h"

namespace understudy::proxy {
namespace {

// OpenSSL 3 takes longer to look an algorithm up than to run it on a message of SCRAM: once a process and,
// as a context serves one thread, once a thread.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (algorithm == nullptr) throw std::runtime_error("OpenSSL has no SHA-256");
  return algorithm;
}

using MacContext = std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)>;

MacContext make_hmac_context() {
  const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> algorithm(EVP_MAC_fetch(nullptr, "HMAC", nullptr),
                                                                    EVP_MAC_free);
  MacContext context(algorithm ? EVP_MAC_CTX_new(algorithm.get()) : nullptr, EVP_MAC_CTX_free);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
  if (!context || EVP_MAC_CTX_set_params(context.get(), parameters) != 1)
    throw std::runtime_error("OpenSSL has no HMAC with SHA-256");
  return context;
}

}  // namespace

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

ScramDigest hmac_sha256(const ScramDigest& key, std::string_view text) {
  static thread_local const MacContext context = make_hmac_context();
  ScramDigest out{};
  std::size_t length = 0;
  if (EVP_MAC_init(context.get(), key.data(), key.size(), nullptr) != 1 ||
      EVP_MAC_update(context.get(), as_bytes(text).data(), text.size()) != 1 ||
      EVP_MAC_final(context.get(), out.data(), &length, out.size()) != 1)
    throw std::runtime_error("OpenSSL failed to compute an HMAC");
  return out;
}

ScramDigest sha256(ByteView bytes) {
  ScramDigest out{};
  if (EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, sha256_algorithm(), nullptr) != 1)
    throw std::runtime_error("OpenSSL failed to compute a SHA-256");
  return out;
}

ScramDigest salt_password(std::string_view password, ByteView salt, int iterations) {
  ScramDigest salted{};
  PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), salt.data(),
                    static_cast<int>(salt.size()), iterations, sha256_algorithm(),
                    static_cast<int>(salted.size()), salted.data());
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
  if (!fill_random(random)) return {};
  return to_base64(random);
}

}  // namespace understudy::proxy
