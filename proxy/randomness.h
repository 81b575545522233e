// The kernel's random bytes: for salts, nonces and cancel keys. (getentropy(3); OpenSSL's generator takes ten
// times as long for so few.) Any thread.
#pragma once

#include <span>

#include "formats/bytes.h"

namespace understudy::proxy {

// False when the system has none to give; `out` is not to be used then.
[[nodiscard]] bool fill_random(std::span<Byte> out);

}  // namespace understudy::proxy
