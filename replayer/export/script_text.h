// Recorded SQL rewritten so that psql, reading it from a script, sends the server what the client sent: cut
// into statements, parameters in place, and nothing outside quotes that psql would take for one of its own
// commands or variables (psql documentation, "SQL Interpolation", "Meta-Commands"). What it cannot be sure of
// it refuses: a script that runs shell commands because of what a client once sent must not be.
//
// Follows the lexical rules of PostgreSQL's scanner and of psql's (PostgreSQL documentation, "Lexical
// Structure"). Pure functions, any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace understudy::replayer {

struct ScriptStatement {
  std::string text;              // without a semicolon
  std::string command;           // its first word, in capitals
  std::size_t command_at = 0;    // where that is in the text
  bool ends_in_comment = false;  // of the kind that ends with the line
};

struct ScriptText {
  std::vector<ScriptStatement> statements;  // empty ones are left out
  std::string refusal;                      // why it cannot be in a script; then there are no statements
};

// How the session that sent it read its strings.
struct ScriptSettings {
  bool standard_strings = true;  // standard_conforming_strings
  // In client_encoding no byte of a character longer than one looks like ASCII.
  bool safe_encoding = true;

  // What the server told of a setting.
  void follow(std::string_view name, std::string_view value);
};

// `parameters`: literals to put where $1, $2, ... stand; when there are none, $1 is left as it is.
[[nodiscard]] ScriptText to_script(std::string_view sql, const ScriptSettings& settings,
                                   std::span<const std::string> parameters = {});

// The statements as one message to the server, up to the semicolon at which psql sends them.
[[nodiscard]] std::string one_message(std::span<const ScriptStatement> statements);

// Recorded text for a comment: one line of ASCII, whatever the encoding psql is in by then.
[[nodiscard]] std::string comment_text(std::string_view text, std::size_t limit_bytes);

// Whether to_script() may trust the bytes of text in this client_encoding.
[[nodiscard]] bool is_safe_encoding(std::string_view client_encoding);

}  // namespace understudy::replayer
