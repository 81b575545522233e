// A text of SQL, and what its strings say. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/sql_tokens.h"

namespace understudy::replayer {

// Every offset as it was. The parser's lexer takes time that grows with the square of how deep comments nest.
[[nodiscard]] std::string without_comments(std::string_view sql, const std::vector<proxy::SqlToken>& tokens);

// Of E'': backslashes that stand for themselves. False for any other escape.
[[nodiscard]] bool unescape_backslashes(std::string& value);

// Of E'': what it says, whichever escapes are in it.
[[nodiscard]] std::string unescaped(std::string_view value);

}  // namespace understudy::replayer
