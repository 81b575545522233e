// CRC-32C (Castagnoli), the checksum of transcripts: the polynomial that processors compute by themselves
// (SSE4.2), so that checking everything costs nothing that can be measured. Pure functions, any thread.
#pragma once

#include "formats/bytes.h"

namespace understudy {

// The checksum of `bytes`, or of what `previous` is the checksum of followed by `bytes`.
[[nodiscard]] std::uint32_t crc32c(ByteView bytes, std::uint32_t previous = 0);

// The same without the processor's instruction: what other machines run, and what tests compare with.
[[nodiscard]] std::uint32_t crc32c_portable(ByteView bytes, std::uint32_t previous = 0);

}  // namespace understudy
