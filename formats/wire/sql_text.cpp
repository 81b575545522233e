#include "formats/wire/sql_text.h"

namespace understudy::wire {

namespace {

// `opening`, the text with every character of `doubled` twice, and `closing`.
std::string enclose(std::string_view opening, std::string_view text, std::string_view doubled, char closing) {
  std::string out(opening);
  for (const char c : text) {
    if (doubled.find(c) != std::string_view::npos) out += c;
    out += c;
  }
  out += closing;
  return out;
}

std::string_view up_to_nul(std::string_view text) { return text.substr(0, text.find('\0')); }

}  // namespace

std::string quote_identifier(std::string_view name) { return enclose("\"", up_to_nul(name), "\"", '"'); }

std::string quote_literal(std::string_view text) {
  const std::string_view whole = up_to_nul(text);
  const bool has_backslash = whole.find('\\') != std::string_view::npos;
  return has_backslash ? enclose("E'", whole, "'\\", '\'') : enclose("'", whole, "'", '\'');
}

}  // namespace understudy::wire
