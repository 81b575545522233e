#include "formats/crc32c.h"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace understudy {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // Castagnoli's, bits reversed

// kTables[k][b]: the effect of byte b followed by k zero bytes ("slicing by eight").
constexpr auto kTables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t crc = tables[k - 1][byte];
      tables[k][byte] = (crc >> 8) ^ tables[0][crc & 0xFF];
    }
  }
  return tables;
}();

#if defined(__x86_64__)
// One instruction takes eight bytes but has a latency of three cycles, so three streams side by side keep it
// busy. Their checksums are joined by moving the first ones over the bytes that follow: `Shift` holds that
// move (a linear map) as four tables.
constexpr std::size_t kStreamBytes = 1024;

using Shift = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr Shift make_shift(std::size_t zero_bytes) {
  std::array<std::uint32_t, 32> columns{};
  for (unsigned bit = 0; bit < 32; ++bit) {
    std::uint32_t crc = std::uint32_t{1} << bit;
    for (std::size_t i = 0; i < zero_bytes; ++i) crc = (crc >> 8) ^ kTables[0][crc & 0xFF];
    columns[bit] = crc;
  }
  Shift shift{};
  for (unsigned byte = 0; byte < 4; ++byte) {
    for (unsigned value = 0; value < 256; ++value) {
      std::uint32_t crc = 0;
      for (unsigned bit = 0; bit < 8; ++bit) {
        if ((value >> bit & 1) != 0) crc ^= columns[byte * 8 + bit];
      }
      shift[byte][value] = crc;
    }
  }
  return shift;
}

const Shift& stream_shift() {
  static const Shift shift = make_shift(kStreamBytes);
  return shift;
}

std::uint32_t apply(const Shift& shift, std::uint32_t crc) {
  return shift[0][crc & 0xFF] ^ shift[1][crc >> 8 & 0xFF] ^ shift[2][crc >> 16 & 0xFF] ^ shift[3][crc >> 24];
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(ByteView bytes, std::uint32_t previous) {
  std::uint64_t crc = ~previous;
  const Byte* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 3 * kStreamBytes; left -= 3 * kStreamBytes, p += 3 * kStreamBytes) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < kStreamBytes; i += 8) {
      crc = _mm_crc32_u64(crc, load_le64(p + i));
      second = _mm_crc32_u64(second, load_le64(p + kStreamBytes + i));
      third = _mm_crc32_u64(third, load_le64(p + 2 * kStreamBytes + i));
    }
    crc = apply(stream_shift(), static_cast<std::uint32_t>(crc)) ^ second;
    crc = apply(stream_shift(), static_cast<std::uint32_t>(crc)) ^ third;
  }
  for (; left >= 8; left -= 8, p += 8) crc = _mm_crc32_u64(crc, load_le64(p));
  std::uint32_t tail = static_cast<std::uint32_t>(crc);
  for (; left > 0; --left, ++p) tail = _mm_crc32_u8(tail, *p);
  return ~tail;
}
#endif

}  // namespace

std::uint32_t crc32c_portable(ByteView bytes, std::uint32_t previous) {
  std::uint32_t crc = ~previous;
  const Byte* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    const std::uint32_t low = load_le32(p) ^ crc;
    crc = kTables[7][low & 0xFF] ^ kTables[6][low >> 8 & 0xFF] ^ kTables[5][low >> 16 & 0xFF] ^
          kTables[4][low >> 24] ^ kTables[3][p[4]] ^ kTables[2][p[5]] ^ kTables[1][p[6]] ^ kTables[0][p[7]];
  }
  for (; left > 0; --left, ++p) crc = (crc >> 8) ^ kTables[0][(crc ^ *p) & 0xFF];
  return ~crc;
}

std::uint32_t crc32c(ByteView bytes, std::uint32_t previous) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return crc32c_sse42(bytes, previous);
#endif
  return crc32c_portable(bytes, previous);
}

}  // namespace understudy
