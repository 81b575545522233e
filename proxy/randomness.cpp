#include "proxy/randomness.h"

#include <unistd.h>

#include <algorithm>

namespace understudy::proxy {

bool fill_random(std::span<Byte> out) {
  constexpr std::size_t kMostAtOnce = 256;  // that getentropy() gives
  while (!out.empty()) {
    const std::span<Byte> part = out.first(std::min(out.size(), kMostAtOnce));
    if (getentropy(part.data(), part.size()) != 0) return false;
    out = out.subspan(part.size());
  }
  return true;
}

}  // namespace understudy::proxy
