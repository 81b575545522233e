#include "recorder/capture/tls_opener.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <new>

namespace understudy::recorder {
namespace {

constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kIvBytes = 12;
constexpr std::size_t kFixedIvBytes = 4;  // with an explicit nonce
constexpr std::size_t kExplicitBytes = 8;

ByteBuffer hmac(const EVP_MD* hash, ByteView key, ByteView data) {
  ByteBuffer out(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  if (HMAC(hash, key.data(), static_cast<int>(key.size()), data.data(), data.size(), out.data(), &size) ==
      nullptr) {
    throw std::bad_alloc();
  }
  out.resize(size);
  return out;
}

// HKDF-Expand-Label (RFC 8446, 7.1) of at most one hash's length, which is all that is needed here.
ByteBuffer expand_label(const EVP_MD* hash, ByteView secret, std::string_view label, std::size_t length) {
  ByteBuffer info;
  append_be16(info, static_cast<std::uint16_t>(length));
  info.push_back(static_cast<Byte>(6 + label.size()));
  append_bytes(info, as_bytes("tls13 "));
  append_bytes(info, as_bytes(label));
  info.push_back(0);  // no context
  info.push_back(1);  // the first block of HKDF-Expand
  ByteBuffer out = hmac(hash, secret, info);
  out.resize(length);
  return out;
}

// PRF of TLS 1.2 (RFC 5246, 5).
ByteBuffer expand_key(const EVP_MD* hash, ByteView secret, ByteView seed, std::size_t length) {
  ByteBuffer out;
  ByteBuffer a(seed.begin(), seed.end());
  while (out.size() < length) {
    a = hmac(hash, secret, a);
    ByteBuffer block = a;
    append_bytes(block, seed);
    append_bytes(out, hmac(hash, secret, block));
  }
  out.resize(length);
  return out;
}

}  // namespace

std::optional<TlsSuite> tls_suite(std::uint16_t number, bool tls13) {
  const bool gcm = !tls13;
  switch (number) {
    case 0x1301:
      return tls13 ? std::optional(TlsSuite{EVP_aes_128_gcm(), EVP_sha256(), 16, false}) : std::nullopt;
    case 0x1302:
      return tls13 ? std::optional(TlsSuite{EVP_aes_256_gcm(), EVP_sha384(), 32, false}) : std::nullopt;
    case 0x1303:
      return tls13 ? std::optional(TlsSuite{EVP_chacha20_poly1305(), EVP_sha256(), 32, false}) : std::nullopt;
    case 0x009C:  // RSA
    case 0x009E:  // DHE_RSA
    case 0xC02B:  // ECDHE_ECDSA
    case 0xC02F:  // ECDHE_RSA
      return gcm ? std::optional(TlsSuite{EVP_aes_128_gcm(), EVP_sha256(), 16, true}) : std::nullopt;
    case 0x009D:
    case 0x009F:
    case 0xC02C:
    case 0xC030:
      return gcm ? std::optional(TlsSuite{EVP_aes_256_gcm(), EVP_sha384(), 32, true}) : std::nullopt;
    case 0xCCA8:  // ECDHE_RSA
    case 0xCCA9:  // ECDHE_ECDSA
    case 0xCCAA:  // DHE_RSA
      return gcm ? std::optional(TlsSuite{EVP_chacha20_poly1305(), EVP_sha256(), 32, false}) : std::nullopt;
    default:
      return std::nullopt;
  }
}

void TlsOpener::Free::operator()(evp_cipher_ctx_st* context) const { EVP_CIPHER_CTX_free(context); }

TlsOpener TlsOpener::tls13(const TlsSuite& suite, ByteView secret) {
  TlsOpener opener(suite);
  opener.tls13_ = true;
  opener.set_secret(secret);
  return opener;
}

TlsOpener TlsOpener::tls12(const TlsSuite& suite, ByteView master_secret, ByteView client_random,
                           ByteView server_random, bool clients) {
  ByteBuffer seed;
  append_bytes(seed, as_bytes("key expansion"));
  append_bytes(seed, server_random);
  append_bytes(seed, client_random);
  const std::size_t iv_bytes = suite.explicit_nonce ? kFixedIvBytes : kIvBytes;
  const ByteBuffer block = expand_key(suite.hash, master_secret, seed, 2 * (suite.key_bytes + iv_bytes));
  // client's key, server's key, client's IV, server's IV: there are no keys for authentication alone.
  const ByteView all = block;
  TlsOpener opener(suite);
  opener.set_key(all.subspan(clients ? 0 : suite.key_bytes, suite.key_bytes),
                 all.subspan(2 * suite.key_bytes + (clients ? 0 : iv_bytes), iv_bytes));
  return opener;
}

void TlsOpener::set_secret(ByteView secret) {
  secret_.assign(secret.begin(), secret.end());
  set_key(expand_label(suite_.hash, secret_, "key", suite_.key_bytes),
          expand_label(suite_.hash, secret_, "iv", kIvBytes));
}

void TlsOpener::set_key(ByteView key, ByteView iv) {
  std::copy(iv.begin(), iv.end(), iv_.begin());
  sequence_ = 0;
  if (!context_) context_.reset(EVP_CIPHER_CTX_new());
  if (!context_ || EVP_DecryptInit_ex(context_.get(), suite_.cipher, nullptr, key.data(), nullptr) != 1) {
    throw std::bad_alloc();
  }
}

void TlsOpener::update() {
  set_secret(expand_label(suite_.hash, secret_, "traffic upd",
                          static_cast<std::size_t>(EVP_MD_get_size(suite_.hash))));
}

std::optional<TlsOpener::Opened> TlsOpener::open(ByteView header, ByteView body) {
  std::array<Byte, kIvBytes> nonce = iv_;
  ByteBuffer number;
  append_be32(number, static_cast<std::uint32_t>(sequence_ >> 32));
  append_be32(number, static_cast<std::uint32_t>(sequence_));
  if (suite_.explicit_nonce) {
    if (body.size() < kExplicitBytes) return std::nullopt;
    std::copy_n(body.begin(), kExplicitBytes, nonce.begin() + kFixedIvBytes);
    body = body.subspan(kExplicitBytes);
  } else {
    for (std::size_t n = 0; n < number.size(); ++n) nonce[kIvBytes - number.size() + n] ^= number[n];
  }
  if (body.size() < kTagBytes) return std::nullopt;
  ByteBuffer associated;
  if (!tls13_) append_bytes(associated, number);
  append_bytes(associated, header);
  if (!tls13_) {  // with the length of the content, not of the record
    associated[associated.size() - 2] = static_cast<Byte>((body.size() - kTagBytes) >> 8);
    associated[associated.size() - 1] = static_cast<Byte>(body.size() - kTagBytes);
  }
  if (!decrypt(nonce, associated, body)) return std::nullopt;
  ++sequence_;
  if (!tls13_) return Opened{header[0], plain_};
  // Behind the content stands its true type, and behind that zeroes.
  std::size_t end = plain_.size();
  while (end > 0 && plain_[end - 1] == 0) --end;
  if (end == 0) return std::nullopt;
  return Opened{plain_[end - 1], ByteView(plain_).first(end - 1)};
}

bool TlsOpener::decrypt(ByteView nonce, ByteView associated, ByteView sealed) {
  const ByteView text = sealed.first(sealed.size() - kTagBytes);
  ByteBuffer tag(sealed.end() - kTagBytes, sealed.end());
  plain_.resize(text.size() + kTagBytes);
  EVP_CIPHER_CTX* const context = context_.get();
  int length = 0;
  int rest = 0;
  const bool authentic =
      EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
      EVP_DecryptUpdate(context, nullptr, &length, associated.data(), static_cast<int>(associated.size())) ==
          1 &&
      EVP_DecryptUpdate(context, plain_.data(), &length, text.data(), static_cast<int>(text.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(context, plain_.data() + length, &rest) == 1;
  plain_.resize(authentic ? static_cast<std::size_t>(length + rest) : 0);
  return authentic;
}

}  // namespace understudy::recorder
