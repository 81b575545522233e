#include "replayer/mask/statement_text.h"

#include <algorithm>
#include <cstdint>

namespace understudy::replayer {
namespace {

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | ((code >> 18) & 0x07));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

// Up to `longest` digits of the base from `at` on, which is moved behind them.
std::uint32_t take_digits(std::string_view text, std::size_t& at, std::size_t longest, std::uint32_t base) {
  std::uint32_t value = 0;
  for (const std::size_t end = std::min(at + longest, text.size()); at < end; ++at) {
    const char c = text[at];
    const char lower = static_cast<char>(c | 0x20);
    const std::uint32_t digit = c >= '0' && c <= '9'           ? static_cast<std::uint32_t>(c - '0')
                                : lower >= 'a' && lower <= 'f' ? static_cast<std::uint32_t>(lower - 'a' + 10)
                                                               : base;
    if (digit >= base) break;
    value = value * base + digit;
  }
  return value;
}

}  // namespace

std::string without_comments(std::string_view sql, const std::vector<proxy::SqlToken>& tokens) {
  std::string text(sql.size(), ' ');
  for (std::size_t i = 0; i < sql.size(); ++i) {
    if (sql[i] == '\n') text[i] = '\n';
  }
  for (const proxy::SqlToken& token : tokens)
    text.replace(token.begin, token.end - token.begin, token.of(sql));
  return text;
}

bool unescape_backslashes(std::string& value) {
  for (std::size_t at = value.find('\\'); at != std::string::npos; at = value.find('\\', at + 1)) {
    if (at + 1 == value.size() || value[at + 1] != '\\') return false;
    value.erase(at, 1);
  }
  return true;
}

std::string unescaped(std::string_view value) {
  constexpr std::string_view kLetters = "bfnrt";
  constexpr std::string_view kMeanings = "\b\f\n\r\t";
  std::string out;
  for (std::size_t at = 0; at < value.size();) {
    if (value[at] != '\\' || at + 1 == value.size()) {
      out += value[at++];
      continue;
    }
    const char letter = value[++at];
    if (const std::size_t known = kLetters.find(letter); known != std::string_view::npos) {
      out += kMeanings[known];
      ++at;
    } else if (letter >= '0' && letter <= '7') {
      out += static_cast<char>(take_digits(value, at, 3, 8));
    } else if (letter == 'x') {
      out += static_cast<char>(take_digits(value, ++at, 2, 16));
    } else if (letter == 'u' || letter == 'U') {
      append_utf8(out, take_digits(value, ++at, letter == 'u' ? 4 : 8, 16));
    } else {
      out += letter;
      ++at;
    }
  }
  return out;
}

}  // namespace understudy::replayer
