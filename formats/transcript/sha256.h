// SHA-256 by OpenSSL, a piece at a time: what chains a recording's segments (formats/README.md, "The chain").
// One thread at a time.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "formats/bytes.h"
#include "formats/transcript/file.h"

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace understudy {

using Sha256Value = std::array<Byte, 32>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(ByteView bytes);
  // Of all that was added so far; more may follow.
  [[nodiscard]] Sha256Value value() const;

 private:
  evp_md_ctx_st* context_;
};

[[nodiscard]] Sha256Value sha256(ByteView bytes);
// Of the file's first `length` bytes, a piece at a time; of fewer where it is shorter. Throws RecordingError
// when it cannot be read.
[[nodiscard]] Sha256Value sha256_of_file(const ReadableFile& file, const std::string& name,
                                         std::uint64_t length);
// In hexadecimal; and back: none of anything but 64 digits.
[[nodiscard]] std::string hexadecimal(ByteView bytes);
[[nodiscard]] std::optional<Sha256Value> parse_sha256(std::string_view text);

}  // namespace understudy
