// Bytes as text that programs read back: hexadecimal, and whether they are UTF-8 at all. (readable.h is for
// people.) Any thread.
#pragma once

#include <string>
#include <string_view>

#include "formats/bytes.h"

namespace understudy::replayer {

// Well-formed by RFC 3629 (no surrogates, nothing overlong), and without NUL: fit for JSON and for SQL.
[[nodiscard]] bool is_utf8(std::string_view text);
// Two lower-case digits a byte.
[[nodiscard]] std::string hex_text(ByteView bytes);
// Sixteen digits.
[[nodiscard]] std::string hash_text(std::uint64_t hash);

}  // namespace understudy::replayer
