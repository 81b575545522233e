// What the most frequent statements mean, from their words alone: without a parser, which takes a hundred
// times as long. Any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "proxy/sql_tokens.h"
#include "proxy/statement_traits.h"

namespace understudy::proxy {

// Plain transaction control; INSERT, UPDATE, DELETE and MERGE that name nothing which changes the session;
// SELECT and VALUES that call nothing but safe functions. Nothing when one of the statements is none of
// these, or is not surely one: then it takes the parser. The server may still find a statement wrong that is
// answered here.
[[nodiscard]] std::optional<std::vector<StatementEffect>> judge_by_words(std::string_view sql,
                                                                         std::span<const SqlToken> tokens);

// Likewise one statement: not empty, without semicolons.
[[nodiscard]] std::optional<StatementEffect> judge_statement_by_words(std::string_view sql,
                                                                      std::span<const SqlToken> tokens);

// Any name that could change the session, wherever it stands.
[[nodiscard]] bool names_session_state(std::string_view sql, const SqlToken& token);

// A parenthesis in a statement may call a function that is not PostgreSQL's own.
[[nodiscard]] bool calls_unknown_code(std::string_view sql, std::span<const SqlToken> tokens);

}  // namespace understudy::proxy
