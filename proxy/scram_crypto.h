// The arithmetic that both sides of SCRAM-SHA-256 share (RFC 5802, RFC 7677), over OpenSSL's primitives. Any
// thread.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "formats/bytes.h"

namespace understudy::proxy {

using ScramDigest = std::array<Byte, 32>;

// A server that asks for more rounds than this wants to keep its client busy.
inline constexpr int kMaxScramIterations = 10'000'000;

[[nodiscard]] std::string to_base64(ByteView bytes);
// Empty when `text` is no base64.
[[nodiscard]] ByteBuffer from_base64(std::string_view text);
[[nodiscard]] ScramDigest hmac_sha256(const ScramDigest& key, std::string_view text);
[[nodiscard]] ScramDigest sha256(ByteView bytes);
// SaltedPassword: PBKDF2 with HMAC-SHA-256. Costs about a microsecond a round.
[[nodiscard]] ScramDigest salt_password(std::string_view password, ByteView salt, int iterations);
[[nodiscard]] ScramDigest exclusive_or(const ScramDigest& a, const ScramDigest& b);
// Takes as long whatever differs. Nothing is no secret: false for empty ones.
[[nodiscard]] bool same_secret(ByteView a, ByteView b);

// The value of attribute `name` in "a=...,b=...", or nothing.
[[nodiscard]] std::string_view scram_attribute(std::string_view message, char name);
// A fresh nonce of 24 characters from the system's randomness; empty when it has none to give.
[[nodiscard]] std::string make_scram_nonce();

// What lets one log in by SCRAM without the password: a client's key, and the server's to know the server by.
struct ScramKeys {
  ScramDigest client_key{};
  ScramDigest server_key{};
};

}  // namespace understudy::proxy
