// Where the words, names and constants of a text of SQL begin and end, without knowing what they mean
// (PostgreSQL documentation, "Lexical Structure"). Any thread.
//
// Plain strings are read as with standard_conforming_strings on, its default since 9.1: as libpg_query reads
// them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace understudy::proxy {

enum class SqlTokenKind : std::uint8_t {
  kWord,        // a keyword or a name without quotes
  kQuotedName,  // "..."
  kString,      // '...', E'...', B'...', $tag$...$tag$
  kNumber,
  kParameter,  // $1
  kSymbol,     // one character: punctuation, or a part of an operator
};

// Offsets in bytes; a text is at most 4 GiB.
struct SqlToken {
  SqlTokenKind kind = SqlTokenKind::kSymbol;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  [[nodiscard]] std::string_view of(std::string_view sql) const { return sql.substr(begin, end - begin); }
  [[nodiscard]] bool is(std::string_view sql, char symbol) const {
    return kind == SqlTokenKind::kSymbol && sql[begin] == symbol;
  }
};

// Blanks and comments left out. Nothing where this takes the server's own lexer: what is never closed, U&'',
// a number that runs into a word, E'' continued on the next line, a character that begins nothing.
[[nodiscard]] std::optional<std::vector<SqlToken>> read_sql_tokens(std::string_view sql);

// At most how deep a parser could nest what it makes of these: the longest way through them without a comma.
[[nodiscard]] std::size_t nesting_bound(std::string_view sql, std::span<const SqlToken> tokens);

// In lower case as the server does it for names without quotes: ASCII only.
[[nodiscard]] std::string to_lower(std::string_view text);

}  // namespace understudy::proxy
