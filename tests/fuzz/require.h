// What a fuzzer holds to: a finding says where, and is an abort.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace understudy {

inline void require(bool holds, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%d: not as required\n", file, line);
  std::abort();
}

}  // namespace understudy
