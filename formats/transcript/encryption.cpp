#include "formats/transcript/encryption.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "formats/crc32c.h"
#include "formats/transcript/chunk_head.h"

namespace understudy {
namespace {

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

void require(bool success) {
  if (!success) throw std::runtime_error("OpenSSL cannot encrypt with AES-256-GCM");
}

Context context_for(const SecretKey& key, const Nonce& nonce, ByteView bound, bool encrypt) {
  Context context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  require(context != nullptr && EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr,
                                                  key.bytes().data(), nonce.data(), encrypt ? 1 : 0) == 1);
  int length = 0;
  if (!bound.empty()) {
    require(EVP_CipherUpdate(context.get(), nullptr, &length, bound.data(), static_cast<int>(bound.size())) ==
            1);
  }
  return context;
}

// Nothing twice at one offset of one file: records and bodies are appended, never rewritten.
Nonce nonce_of(RecordType type, std::uint64_t offset) {
  Nonce nonce{};
  std::memcpy(nonce.data(), &offset, sizeof offset);
  nonce[sizeof offset] = static_cast<Byte>(type);
  return nonce;
}

// The checksum is of the encrypted bytes, which come of this.
ByteBuffer head_without_checksum(ChunkHead head) {
  head.body_crc32c = 0;
  ByteBuffer encoded;
  encode(head, encoded);
  return encoded;
}

}  // namespace

void random_bytes(std::span<Byte> out) {
  if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) {
    throw std::runtime_error("no random bits for a key");
  }
}

SecretKey::SecretKey(ByteView bytes) {
  if (bytes.size() != bytes_.size()) throw std::invalid_argument("a key has 32 bytes");
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

SecretKey::~SecretKey() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

SecretKey SecretKey::random() {
  std::array<Byte, kKeyBytes> bytes{};
  random_bytes(bytes);
  SecretKey key(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

void gcm_seal(const SecretKey& key, const Nonce& nonce, ByteView bound, ByteView plain, ByteBuffer& out) {
  const Context context = context_for(key, nonce, bound, true);
  const std::size_t begin = out.size();
  out.resize(begin + plain.size() + kTagBytes);
  int length = 0;
  if (!plain.empty()) {
    require(EVP_CipherUpdate(context.get(), out.data() + begin, &length, plain.data(),
                             static_cast<int>(plain.size())) == 1);
  }
  Byte* const end = out.data() + begin + plain.size();
  require(EVP_CipherFinal_ex(context.get(), end, &length) == 1);
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, end) == 1);
}

bool gcm_open(const SecretKey& key, const Nonce& nonce, ByteView bound, ByteView sealed, ByteBuffer& out) {
  out.clear();
  if (sealed.size() < kTagBytes) return false;
  const Context context = context_for(key, nonce, bound, false);
  const ByteView encrypted = sealed.first(sealed.size() - kTagBytes);
  std::array<Byte, kTagBytes> tag{};
  std::copy_n(sealed.last(kTagBytes).begin(), kTagBytes, tag.begin());
  out.resize(encrypted.size());
  int length = 0;
  const bool decrypted =
      encrypted.empty() || EVP_CipherUpdate(context.get(), out.data(), &length, encrypted.data(),
                                            static_cast<int>(encrypted.size())) == 1;
  Byte none = 0;
  if (decrypted && EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_CipherFinal_ex(context.get(), &none, &length) == 1) {
    return true;
  }
  OPENSSL_cleanse(out.data(), out.size());
  out.clear();
  return false;
}

ByteBuffer FileCipher::bound_to_file(ByteView bound) const {
  ByteBuffer all(header_.begin(), header_.end());
  append_bytes(all, bound);
  return all;
}

void FileCipher::seal(RecordType type, std::uint64_t offset, ByteView bound, ByteView plain,
                      ByteBuffer& out) const {
  gcm_seal(key_, nonce_of(type, offset), bound_to_file(bound), plain, out);
}

bool FileCipher::open(RecordType type, std::uint64_t offset, ByteView bound, ByteView sealed,
                      ByteBuffer& out) const {
  return gcm_open(key_, nonce_of(type, offset), bound_to_file(bound), sealed, out);
}

bool is_encrypted_body(ByteView body) {
  return body.size() >= kEncryptedOverheadBytes && load_le32(body.data()) == kEncryptedMagic;
}

ChunkHead encrypt_body(const FileCipher& cipher, const ChunkHead& head, std::uint64_t offset, ByteView body,
                       ByteBuffer& out) {
  ChunkHead stored = head;
  stored.stored_bytes = static_cast<std::uint32_t>(body.size() + kEncryptedOverheadBytes);
  const std::size_t begin = out.size();
  append_le32(out, kEncryptedMagic);
  append_le32(out, static_cast<std::uint32_t>(body.size() + kTagBytes));
  cipher.seal(RecordType::kChunk, offset, head_without_checksum(stored), body, out);
  stored.body_crc32c = crc32c(ByteView(out).subspan(begin));
  return stored;
}

bool decrypt_body(const FileCipher& cipher, const ChunkHead& head, std::uint64_t offset, ByteView body,
                  ByteBuffer& out) {
  out.clear();
  if (!is_encrypted_body(body) || load_le32(body.data() + 4) != body.size() - 8) return false;
  return cipher.open(RecordType::kChunk, offset, head_without_checksum(head), body.subspan(8), out);
}

}  // namespace understudy
