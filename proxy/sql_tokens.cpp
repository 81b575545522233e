#include "proxy/sql_tokens.h"

#include <algorithm>
#include <utility>

namespace understudy::proxy {
namespace {

constexpr std::string_view kBlanks = " \t\n\r\f";
constexpr std::string_view kSymbols = "()[],;:.+-*/<>=~!@#%^&|?`";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool continues_word(char c) { return begins_word(c) || is_digit(c) || c == '$'; }

class Lexer {
 public:
  explicit Lexer(std::string_view sql) : sql_(sql) {
    tokens_.reserve(std::min<std::size_t>(sql.size() / 4, 1024));
  }

  bool run() {
    while (skip_blanks() && at_ < sql_.size()) {
      if (!read_token()) return false;
    }
    return at_ == sql_.size();
  }
  std::vector<SqlToken> take() { return std::move(tokens_); }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
  }

  // False at a comment that is never closed.
  bool skip_blanks() {
    for (;;) {
      at_ = std::min(sql_.find_first_not_of(kBlanks, at_), sql_.size());
      if (peek() == '-' && peek(1) == '-') {
        at_ = std::min(sql_.find_first_of("\n\r", at_), sql_.size());
      } else if (peek() == '/' && peek(1) == '*') {
        if (!skip_comment()) return false;
      } else {
        return true;
      }
    }
  }

  // They nest, unlike C's.
  bool skip_comment() {
    std::size_t depth = 0;
    do {
      at_ = sql_.find_first_of("/*", at_);
      if (at_ == std::string_view::npos) return false;
      if (peek() == '/' && peek(1) == '*') {
        ++depth;
        at_ += 2;
      } else if (peek() == '*' && peek(1) == '/') {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0);
    return true;
  }

  bool read_token() {
    const std::size_t begin = at_;
    const char c = peek();
    if (begins_word(c)) return read_word(begin);
    if (c == '\'') return !after_escapes_ && read_quoted('\'') && add(SqlTokenKind::kString, begin);
    if (c == '"') return read_quoted('"') && add(SqlTokenKind::kQuotedName, begin);
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return read_number(begin);
    if (c == '$') return is_digit(peek(1)) ? read_parameter(begin) : read_dollar_quoted(begin);
    if (c == '\0' || kSymbols.find(c) == std::string_view::npos) return false;
    ++at_;
    return add(SqlTokenKind::kSymbol, begin);
  }

  bool add(SqlTokenKind kind, std::size_t begin) {
    tokens_.push_back({kind, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(at_)});
    after_escapes_ = false;
    return true;
  }

  bool read_word(std::size_t begin) {
    while (continues_word(peek())) ++at_;
    const char first = static_cast<char>(sql_[begin] | 0x20);
    if (at_ - begin != 1) return add(SqlTokenKind::kWord, begin);
    if (first == 'u' && peek() == '&' && (peek(1) == '\'' || peek(1) == '"')) return false;
    if (peek() != '\'' || (first != 'e' && first != 'b' && first != 'x' && first != 'n'))
      return add(SqlTokenKind::kWord, begin);
    if (first != 'e') return read_quoted('\'') && add(SqlTokenKind::kString, begin);
    if (!read_escapes() || !add(SqlTokenKind::kString, begin)) return false;
    after_escapes_ = true;
    return true;
  }

  // A doubled quote stands for itself.
  bool read_quoted(char quote) {
    do {
      at_ = sql_.find(quote, at_ + 1);
      if (at_ == std::string_view::npos) return false;
      ++at_;
    } while (peek() == quote);
    return true;
  }

  bool read_escapes() {
    do {
      at_ = sql_.find_first_of("'\\", at_ + 1);
      while (at_ != std::string_view::npos && sql_[at_] == '\\') at_ = sql_.find_first_of("'\\", at_ + 2);
      if (at_ == std::string_view::npos) return false;
      ++at_;
    } while (peek() == '\'');
    return true;
  }

  void skip_digits() {
    while (is_digit(peek())) ++at_;
  }

  bool read_number(std::size_t begin) {
    skip_digits();
    if (peek() == '.') {
      ++at_;
      skip_digits();
    }
    if ((peek() | 0x20) == 'e') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      skip_digits();
    }
    // Servers before 15 began a word there; 16 knows 0x1F and 1_000.
    return !continues_word(peek()) && add(SqlTokenKind::kNumber, begin);
  }

  bool read_parameter(std::size_t begin) {
    ++at_;
    skip_digits();
    return !continues_word(peek()) && add(SqlTokenKind::kParameter, begin);
  }

  bool read_dollar_quoted(std::size_t begin) {
    ++at_;
    if (is_digit(peek())) return false;
    while (continues_word(peek()) && peek() != '$') ++at_;
    if (peek() != '$') return false;
    ++at_;
    const std::string_view tag = sql_.substr(begin, at_ - begin);
    const std::size_t close = sql_.find(tag, at_);
    if (close == std::string_view::npos) return false;
    at_ = close + tag.size();
    return add(SqlTokenKind::kString, begin);
  }

  std::string_view sql_;
  std::size_t at_ = 0;
  bool after_escapes_ = false;
  std::vector<SqlToken> tokens_;
};

// What stands between two brackets, or two semicolons.
struct Level {
  std::size_t run = 0;   // since the last comma
  std::size_t peak = 0;  // the longest of those before
  [[nodiscard]] std::size_t longest() const { return std::max(run, peak); }
};

// The innermost becomes a part of the one around it.
void close_level(std::vector<Level>& levels) {
  const std::size_t inner = levels.back().longest();
  levels.pop_back();
  levels.back().run += inner + 1;
}

}  // namespace

std::optional<std::vector<SqlToken>> read_sql_tokens(std::string_view sql) {
  Lexer lexer(sql);
  if (!lexer.run()) return std::nullopt;
  return lexer.take();
}

std::size_t nesting_bound(std::string_view sql, std::span<const SqlToken> tokens) {
  std::vector<Level> levels(1);
  for (const SqlToken& token : tokens) {
    const char c = token.kind == SqlTokenKind::kSymbol ? sql[token.begin] : 'x';
    if (c == '(' || c == '[') {
      levels.emplace_back();
    } else if ((c == ')' || c == ']') && levels.size() > 1) {
      close_level(levels);
    } else if (c == ',' || (c == ';' && levels.size() == 1)) {
      levels.back() = {.run = 0, .peak = levels.back().longest()};
    } else {
      ++levels.back().run;
    }
  }
  while (levels.size() > 1) close_level(levels);
  return levels.front().longest();
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return lower;
}

}  // namespace understudy::proxy
