// What exports say of bytes that were not read as messages, on standard error. Any thread.
#pragma once

#include <cstdio>

#include "formats/command.h"

namespace understudy::replayer {

inline void tell_not_read(std::uint64_t bytes) {
  if (bytes == 0) return;
  std::fprintf(
      stderr,
      "understudy export: left out %s that could not be read as messages: behind gaps or damage, or before "
      "a session could be joined\n",
      format_size(bytes).c_str());
}

}  // namespace understudy::replayer
