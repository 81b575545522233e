// The byte-level vocabulary of every format: views, big-endian integers (the wire protocol) and
// little-endian integers and varints (transcripts). No allocation except where a function appends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace understudy {

using Byte = std::uint8_t;
using ByteView = std::span<const Byte>;
using ByteBuffer = std::vector<Byte>;

[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Network (big-endian) integers, as the wire protocol sends them. The caller guarantees the bytes exist.
[[nodiscard]] inline std::uint16_t load_be16(const Byte* p) {
  return static_cast<std::uint16_t>((p[0] << 8) | p[1]);
}
[[nodiscard]] inline std::uint32_t load_be32(const Byte* p) {
  std::uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return __builtin_bswap32(value);
}
inline void append_be16(ByteBuffer& out, std::uint16_t value) {
  out.push_back(static_cast<Byte>(value >> 8));
  out.push_back(static_cast<Byte>(value));
}
inline void append_be32(ByteBuffer& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<Byte>(value >> shift));
}

// Little-endian integers, as transcripts store them.
[[nodiscard]] inline std::uint32_t load_le32(const Byte* p) {
  std::uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
[[nodiscard]] inline std::uint64_t load_le64(const Byte* p) {
  std::uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
inline void append_le32(ByteBuffer& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<Byte>(value >> shift));
}
inline void append_le64(ByteBuffer& out, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<Byte>(value >> shift));
}

inline void append_bytes(ByteBuffer& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// LEB128: seven bits a byte, least significant first; at most ten bytes for 64 bits.
inline void append_varint(ByteBuffer& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<Byte>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<Byte>(value));
}
// Zigzag maps small negatives to small varints.
inline void append_signed_varint(ByteBuffer& out, std::int64_t value) {
  append_varint(out, (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}

// A bounds-checked cursor over untrusted bytes. Every read past the end (or a varint over 64 bits) sets
// `failed()` and yields zero or an empty view; a decoder reads a whole struct and checks once.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : bytes_(bytes) {}

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t offset() const { return offset_; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - offset_; }
  // True when everything was read and nothing was missing.
  [[nodiscard]] bool finished() const { return !failed_ && remaining() == 0; }

  std::uint8_t u8() { return need(1) ? bytes_[offset_++] : std::uint8_t{0}; }
  std::uint16_t be16() { return need(2) ? load_be16(advance(2)) : std::uint16_t{0}; }
  std::uint32_t be32() { return need(4) ? load_be32(advance(4)) : 0U; }
  std::uint32_t le32() { return need(4) ? load_le32(advance(4)) : 0U; }
  std::uint64_t le64() { return need(8) ? load_le64(advance(8)) : 0U; }
  ByteView bytes(std::size_t count) { return need(count) ? ByteView(advance(count), count) : ByteView(); }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (!need(1)) return 0;
      const Byte byte = bytes_[offset_++];
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) {
        if (shift == 63 && byte > 1) failed_ = true;
        return failed_ ? 0 : value;
      }
    }
    failed_ = true;
    return 0;
  }
  std::int64_t signed_varint() {
    const std::uint64_t raw = varint();
    return static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
  }

  // A NUL-terminated string without its NUL, as the wire protocol's String type.
  std::string_view c_string() {
    const void* end = failed_ || remaining() == 0
                          ? nullptr
                          : std::memchr(bytes_.data() + offset_, 0, bytes_.size() - offset_);
    if (end == nullptr) {
      failed_ = true;
      return {};
    }
    const std::size_t length =
        static_cast<std::size_t>(static_cast<const Byte*>(end) - (bytes_.data() + offset_));
    const std::string_view text = as_text(bytes_.subspan(offset_, length));
    offset_ += length + 1;
    return text;
  }

 private:
  bool need(std::size_t count) {
    if (failed_ || remaining() < count) failed_ = true;
    return !failed_;
  }
  const Byte* advance(std::size_t count) {
    const Byte* at = bytes_.data() + offset_;
    offset_ += count;
    return at;
  }

  ByteView bytes_;
  std::size_t offset_ = 0;
  bool failed_ = false;
};

}  // namespace understudy
