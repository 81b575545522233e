#include "formats/wire/sql_text.h"

namespace understudy::wire {

namespace {

// Between two `quote`s, with every character of `doubled` twice.
std::string enclose(std::string_view text, char quote, std::string_view doubled) {
  std::string out(1, quote);
  for (const char c : text.substr(0, text.find('\0'))) {
    if (doubled.find(c) != std::string_view::npos) out += c;
    out += c;
  }
  return out += quote;
}

}  // namespace

std::string quote_identifier(std::string_view name) { return enclose(name, '"', "\""); }

std::string quote_literal(std::string_view text) {
  const bool has_backslash = text.substr(0, text.find('\0')).find('\\') != std::string_view::npos;
  return has_backslash ? "E" + enclose(text, '\'', "'\\") : enclose(text, '\'', "'");
}

}  // namespace understudy::wire
