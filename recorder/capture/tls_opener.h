// Opens the records of one direction of a TLS session whose secret is known: AES-GCM and ChaCha20-Poly1305,
// TLS 1.2 and 1.3. (RFC 8446, 5.2, 7.1 to 7.3; RFC 5246, 6.3; RFC 5288; RFC 7905.) OpenSSL does the
// arithmetic. One thread.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "formats/bytes.h"

struct evp_cipher_ctx_st;
struct evp_cipher_st;
struct evp_md_st;

namespace understudy::recorder {

// A cipher suite whose records can be opened.
struct TlsSuite {
  const evp_cipher_st* cipher = nullptr;
  const evp_md_st* hash = nullptr;  // of its key schedule
  std::size_t key_bytes = 0;
  bool explicit_nonce = false;  // eight bytes in each record (AES-GCM in TLS 1.2)
};
// None for the others: CBC, CCM, ...
[[nodiscard]] std::optional<TlsSuite> tls_suite(std::uint16_t number, bool tls13);

class TlsOpener {
 public:
  // TLS 1.3: from a traffic secret.
  [[nodiscard]] static TlsOpener tls13(const TlsSuite& suite, ByteView secret);
  // TLS 1.2: from the master secret and both randoms.
  [[nodiscard]] static TlsOpener tls12(const TlsSuite& suite, ByteView master_secret, ByteView client_random,
                                       ByteView server_random, bool clients);

  // The record's content, without padding (TLS 1.3), and its type. None when it is not authentic. `header`:
  // its first five bytes.
  struct Opened {
    std::uint8_t type = 0;
    ByteView content;  // valid until the next call
  };
  [[nodiscard]] std::optional<Opened> open(ByteView header, ByteView body);
  // TLS 1.3: the sender goes on with its next secret.
  void update();

 private:
  explicit TlsOpener(const TlsSuite& suite) : suite_(suite) {}
  void set_secret(ByteView secret);
  void set_key(ByteView key, ByteView iv);
  [[nodiscard]] bool decrypt(ByteView nonce, ByteView associated, ByteView sealed);

  struct Free {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  TlsSuite suite_;
  bool tls13_ = false;
  ByteBuffer secret_;
  std::array<Byte, 12> iv_{};
  std::uint64_t sequence_ = 0;
  std::unique_ptr<evp_cipher_ctx_st, Free> context_;
  ByteBuffer plain_;
};

}  // namespace understudy::recorder
