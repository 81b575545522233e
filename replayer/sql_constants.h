// A statement's text apart from its constants, so that what is worked out for one text holds for all that
// differ from it in constants only. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace understudy::replayer {

struct SqlConstants {
  // Numbers and strings replaced by $n, in order, numbered on from the text's own parameters; comments left
  // out.
  std::string skeleton;
  // What stood there: a number as it was written, or the inside of a string. Views into the text.
  std::vector<std::string_view> constants;
  std::uint32_t parameters = 0;  // the highest of the text's own
};

// None where that takes a parser: dollar quotes, backslashes, what is never closed.
[[nodiscard]] std::optional<SqlConstants> split_constants(std::string_view sql);

}  // namespace understudy::replayer
