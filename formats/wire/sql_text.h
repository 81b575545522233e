// SQL identifiers and literals as text that means the same whatever the server's settings (PostgreSQL
// documentation, "Lexical Structure"). Any thread. A NUL cannot be part of either: the text ends at it.
#pragma once

#include <string>
#include <string_view>

namespace understudy::wire {

// "name" with its double quotes doubled. Always quoted, so no list of reserved words is needed.
[[nodiscard]] std::string quote_identifier(std::string_view name);
// 'text' with its single quotes doubled; E'...' when it has backslashes, so that standard_conforming_strings
// does not matter.
[[nodiscard]] std::string quote_literal(std::string_view text);

}  // namespace understudy::wire
