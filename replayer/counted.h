// "1 chunk", "3 chunks": numbers in reports. Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace understudy::replayer {

[[nodiscard]] inline std::string counted(std::uint64_t number, const std::string& what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

}  // namespace understudy::replayer
