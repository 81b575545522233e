// Encryption at rest: AES-256-GCM by OpenSSL. Each file has a random key of its own, wrapped in its header by
// the operator's (keyring.h); everything encrypted in a file is bound to its place in this very file. See
// formats/README.md, "Encryption". Values and pure functions but for the random bytes; any thread.
#pragma once

#include <array>
#include <span>

#include "formats/bytes.h"
#include "formats/transcript/chunk.h"
#include "formats/transcript/record.h"
#include "formats/transcript/sha256.h"

namespace understudy {

inline constexpr std::size_t kKeyBytes = 32;
inline constexpr std::size_t kTagBytes = 16;
inline constexpr std::size_t kWrappedKeyBytes = kKeyBytes + kTagBytes;
using Nonce = std::array<Byte, 12>;

// Throws std::runtime_error when the system has none.
void random_bytes(std::span<Byte> out);

// A key in memory, wiped when it goes.
class SecretKey {
 public:
  // `bytes`: kKeyBytes of them.
  explicit SecretKey(ByteView bytes);
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();
  [[nodiscard]] static SecretKey random();
  [[nodiscard]] ByteView bytes() const { return bytes_; }

 private:
  std::array<Byte, kKeyBytes> bytes_{};
};

// Appends the encrypted bytes and their tag to `out`. `bound` is not encrypted, and must be the same to
// decrypt. A nonce is used once with a key.
void gcm_seal(const SecretKey& key, const Nonce& nonce, ByteView bound, ByteView plain, ByteBuffer& out);
// Sets `out` to what was encrypted. False, and `out` empty, when key, nonce, `bound` or any bit of `sealed`
// is not what it was.
[[nodiscard]] bool gcm_open(const SecretKey& key, const Nonce& nonce, ByteView bound, ByteView sealed,
                            ByteBuffer& out);

// Encrypts and decrypts what one file holds.
class FileCipher {
 public:
  // `header`: of the body of the file's header.
  FileCipher(const SecretKey& key, const Sha256Value& header) : key_(key), header_(header) {}

  // What is at `offset` of the file, a part of a record of this type. Appends to `out`.
  void seal(RecordType type, std::uint64_t offset, ByteView bound, ByteView plain, ByteBuffer& out) const;
  // Sets `out`; false when the bytes are not what was written there.
  [[nodiscard]] bool open(RecordType type, std::uint64_t offset, ByteView bound, ByteView sealed,
                          ByteBuffer& out) const;

 private:
  [[nodiscard]] ByteBuffer bound_to_file(ByteView bound) const;

  SecretKey key_;
  Sha256Value header_;
};

// An encrypted chunk's body is a zstd skippable frame too, of another magic than records: there is nothing
// in it for zstd, and no record to be found.
inline constexpr std::uint32_t kEncryptedMagic = 0x184D2A56;
inline constexpr std::size_t kEncryptedOverheadBytes = 8 + kTagBytes;

[[nodiscard]] bool is_encrypted_body(ByteView body);
// Appends the body, which will be at `offset`, encrypted, and returns the head that describes it.
[[nodiscard]] ChunkHead encrypt_body(const FileCipher& cipher, const ChunkHead& head, std::uint64_t offset,
                                     ByteView body, ByteBuffer& out);
// Sets `out` to the body as it was before. False when anything in it or in `head` is not what was written.
[[nodiscard]] bool decrypt_body(const FileCipher& cipher, const ChunkHead& head, std::uint64_t offset,
                                ByteView body, ByteBuffer& out);

}  // namespace understudy
