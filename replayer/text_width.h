// How wide text is on a terminal, and made to fit. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace understudy::replayer {

// Where neither a terminal nor COLUMNS says how wide it is: for text that is only wrapped, and for text that
// would lose its end.
inline constexpr std::size_t kWrapColumns = 100;
inline constexpr std::size_t kAbridgeColumns = 240;

// Of standard output: what the environment's COLUMNS says, or else the terminal; `otherwise` if neither does.
[[nodiscard]] std::size_t output_columns(std::size_t otherwise);

// How many a terminal takes for it.
[[nodiscard]] std::size_t columns_of(std::string_view utf8);
// Cut to so many characters, the last of which are then "...".
[[nodiscard]] std::string fitted(std::string line, std::size_t columns);
// Lines of at most so many characters, broken at blanks but for those beside a number, so that it stays with
// what it counts; all but the first begin with `indent` blanks. A longer word is left whole.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t columns, std::size_t indent);

}  // namespace understudy::replayer
