// What may be said of SQL that is not parsed, because that would take too long or the parser cannot read it:
// by the words that its statements begin with, and by names that stand for a session's state. The careful
// answer where they do not tell. Any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "proxy/sql_tokens.h"
#include "proxy/statement_traits.h"

namespace understudy::proxy {

// The statements of a text, without their semicolons; no empty ones. Nothing where there are more than
// `most`, or where a semicolon may stand within one (CREATE RULE, CREATE FUNCTION ... BEGIN ATOMIC).
[[nodiscard]] std::optional<std::vector<std::span<const SqlToken>>> split_statements(
    std::string_view sql, std::span<const SqlToken> tokens, std::size_t most);

// One of them.
[[nodiscard]] StatementEffect judge_unread(std::string_view sql, std::span<const SqlToken> statement);

// A whole text as one; `tokens` are missing where it takes the server's own lexer.
[[nodiscard]] StatementEffect judge_unread_text(std::string_view sql,
                                                const std::optional<std::vector<SqlToken>>& tokens);

// A text of which only the beginning is at hand: by its first word.
[[nodiscard]] StatementEffect judge_beginning(std::string_view text);

}  // namespace understudy::proxy
