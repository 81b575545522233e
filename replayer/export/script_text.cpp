#include "replayer/export/script_text.h"

#include <algorithm>
#include <charconv>

#include "replayer/readable.h"
#include "replayer/value_text.h"

namespace understudy::replayer {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_high(char c) { return static_cast<unsigned char>(c) >= 0x80; }
bool is_word_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_high(c);
}
bool is_word(char c) { return is_word_start(c) || is_digit(c); }
bool is_line_end(char c) { return c == '\n' || c == '\r'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\f' || c == '\v' || is_line_end(c); }
char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// One walk over the text, token by token, each copied to the statement at hand.
class ScriptScanner {
 public:
  ScriptScanner(std::string_view sql, const ScriptSettings& settings, std::span<const std::string> parameters)
      : sql_(sql), settings_(settings), parameters_(parameters) {}

  ScriptText scan() {
    if (!settings_.safe_encoding && std::any_of(sql_.begin(), sql_.end(), is_high))
      refuse("its client_encoding hides ASCII characters in longer ones");
    while (at_ < sql_.size() && result_.refusal.empty()) scan_token();
    if (result_.refusal.empty() && depth_ > 0) refuse("its parentheses are not balanced");
    end_statement();
    if (!result_.refusal.empty()) result_.statements.clear();
    return std::move(result_);
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
  }
  void refuse(std::string why) {
    if (result_.refusal.empty()) result_.refusal = std::move(why);
  }
  // Copies so many characters that belong to no comment.
  void copy(std::size_t count) {
    current_.text.append(sql_.substr(at_, count));
    current_.ends_in_comment = false;
    at_ = std::min(at_ + count, sql_.size());
  }

  void scan_token() {
    const char c = peek();
    if (is_space(c)) return scan_space();
    if (c == '-' && peek(1) == '-') return scan_line_comment();
    if (c == '/' && peek(1) == '*') return scan_comment();
    if (c == ';' && depth_ == 0) {
      ++at_;
      return end_statement();
    }
    has_tokens_ = true;
    if (c == '\'') return scan_plain(false);
    if (c == '"') return scan_quoted(at_, '"', false);
    if (c == '$') return scan_dollar();
    if (c == ':') return scan_colon();
    if (is_word_start(c)) return scan_word();
    if (is_digit(c)) return scan_number();
    if (c == '\\')
      return refuse("it has a backslash outside quotes, which psql takes for a command of its own");
    if (c == '(') ++depth_;
    if (c == ')' && depth_ > 0) --depth_;
    copy(1);
  }

  void scan_space() {
    if (!current_.text.empty()) return copy(1);
    ++at_;
  }

  void scan_line_comment() {
    std::size_t end = at_;
    while (end < sql_.size() && !is_line_end(sql_[end])) ++end;
    copy(end - at_);
    current_.ends_in_comment = true;
  }

  void scan_comment() {
    std::size_t depth = 0;
    std::size_t end = at_;
    do {
      if (end + 1 >= sql_.size()) return refuse("a comment in it has no end");
      const std::string_view two = sql_.substr(end, 2);
      depth += two == "/*" ? 1 : 0;
      depth -= two == "*/" ? 1 : 0;
      end += two == "/*" || two == "*/" ? 2 : 1;
    } while (depth > 0);
    copy(end - at_);
  }

  // Copies from at_ to the end of what is quoted by the `quote` at `begin`; a doubled one is part of it.
  void scan_quoted(std::size_t begin, char quote, bool backslash_escapes) {
    for (std::size_t i = begin + 1; i < sql_.size(); ++i) {
      if (sql_[i] == '\\' && backslash_escapes) {
        ++i;
      } else if (sql_[i] == quote) {
        if (i + 1 < sql_.size() && sql_[i + 1] == quote) {
          ++i;
          continue;
        }
        return copy(i + 1 - at_);
      }
    }
    refuse("a quote in it has no end");
  }

  // A literal without prefix reads backslashes as standard_conforming_strings says. In the script it has
  // none, or is E'...': then it means the same whatever psql and the server believe.
  void scan_plain(bool national) {
    std::size_t end = at_;
    bool backslash = false;
    do {
      const std::size_t closing = end_of_plain(end, backslash);
      if (closing == std::string_view::npos) return refuse("a quote in it has no end");
      end = closing + 1;
    } while (continues(end));
    if (!backslash) return copy(end - at_);
    if (national) return refuse("it has an N'...' literal with a backslash");
    if (!current_.text.empty() && is_word(current_.text.back())) current_.text += ' ';
    current_.text += 'E';
    for (; at_ < end; ++at_) {
      if (sql_[at_] == '\\' && settings_.standard_strings) current_.text += '\\';
      current_.text += sql_[at_];
    }
    current_.ends_in_comment = false;
  }

  // `begin`: the opening quote.
  [[nodiscard]] std::size_t end_of_plain(std::size_t begin, bool& backslash) const {
    for (std::size_t i = begin + 1; i < sql_.size(); ++i) {
      if (sql_[i] == '\\') {
        backslash = true;
        if (!settings_.standard_strings) ++i;
      } else if (sql_[i] == '\'') {
        if (i + 1 == sql_.size() || sql_[i + 1] != '\'') return i;
        ++i;
      }
    }
    return std::string_view::npos;
  }

  // A literal goes on in another quote after white space with a line end; then `at` is moved to that quote.
  [[nodiscard]] bool continues(std::size_t& at) const {
    std::size_t next = at;
    bool line_end = false;
    while (next < sql_.size() && is_space(sql_[next])) line_end = is_line_end(sql_[next++]) || line_end;
    if (!line_end || next == sql_.size() || sql_[next] != '\'') return false;
    at = next;
    return true;
  }

  void scan_word() {
    std::size_t end = at_;
    while (end < sql_.size() && (is_word(sql_[end]) || sql_[end] == '$')) ++end;
    const std::string_view word = sql_.substr(at_, end - at_);
    if (current_.command.empty()) {
      current_.command_at = current_.text.size();
      std::transform(word.begin(), word.end(), std::back_inserter(current_.command), upper);
    }
    const char prefix = word.size() == 1 ? upper(word.front()) : '\0';
    const char next = end < sql_.size() ? sql_[end] : '\0';
    if (prefix == 'U' && next == '&' && end + 1 < sql_.size() &&
        (sql_[end + 1] == '\'' || sql_[end + 1] == '"'))
      return scan_quoted(end + 1, sql_[end + 1], false);
    if (next == '\'' && prefix == 'E') return scan_quoted(end, '\'', true);
    if (next == '\'' && (prefix == 'B' || prefix == 'X')) return scan_quoted(end, '\'', false);
    copy(end - at_);
    if (next == '\'' && prefix == 'N') scan_plain(true);
  }

  // Versions differ in where a number with letters after it ends. Where that could matter, say no.
  void scan_number() {
    std::size_t end = at_;
    while (end < sql_.size() && is_word(sql_[end])) ++end;
    if (end < sql_.size() && (sql_[end] == '$' || sql_[end] == '\''))
      return refuse("it has a number that runs into a quote");
    copy(end - at_);
  }

  void scan_dollar() {
    if (is_digit(peek(1))) return scan_parameter();
    std::size_t end = at_ + 1;
    while (end < sql_.size() && is_word(sql_[end])) ++end;
    if (end == sql_.size() || sql_[end] != '$') return refuse("it has a stray dollar sign");
    const std::string_view delimiter = sql_.substr(at_, end + 1 - at_);
    const std::size_t closing = sql_.find(delimiter, end + 1);
    if (closing == std::string_view::npos) return refuse("a dollar quote in it has no end");
    copy(closing + delimiter.size() - at_);
  }

  void scan_parameter() {
    std::size_t number = 0;
    const char* const begin = sql_.data() + at_ + 1;
    const auto [end, error] = std::from_chars(begin, sql_.data() + sql_.size(), number);
    const std::size_t length = static_cast<std::size_t>(end - begin) + 1;
    const char next = peek(length);
    if (next == '$' || next == '\'') return refuse("it has a parameter that runs into a quote");
    if (parameters_.empty()) return copy(length);
    if (error != std::errc() || number == 0 || number > parameters_.size())
      return refuse("it has a parameter without a value");
    // Behind a colon a value would be the name of a variable, or a cast.
    const char last = current_.text.empty() ? ' ' : current_.text.back();
    if (is_word(last) || last == '\'' || last == ':') current_.text += ' ';
    // $1[2] and ($1).name would else be taken for the type's.
    const bool enclosed = next == '[' || next == '.';
    const std::string& value = parameters_[number - 1];
    current_.text += enclosed ? "(" + value + ")" : value;
    current_.ends_in_comment = false;
    at_ += length;
    if (is_word(next)) current_.text += ' ';
  }

  // psql replaces :name, :'name', :"name" and :{?name} when it knows such a variable.
  void scan_colon() {
    const char next = peek(1);
    if (next == ':' || next == '=') return copy(2);
    if (is_word(next) || next == '\'' || next == '"' || next == '{') current_.text += '\\';
    copy(1);
  }

  void end_statement() {
    if (has_tokens_) result_.statements.push_back(std::move(current_));
    current_ = {};
    has_tokens_ = false;
  }

  const std::string_view sql_;
  const ScriptSettings& settings_;
  const std::span<const std::string> parameters_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  bool has_tokens_ = false;  // else the statement is but space and comments
  ScriptStatement current_;
  ScriptText result_;
};

}  // namespace

void ScriptSettings::follow(std::string_view name, std::string_view value) {
  if (name == "standard_conforming_strings") standard_strings = value != "off";
  // Once unsafe, never sure again: psql may not have followed.
  if (name == "client_encoding") safe_encoding = safe_encoding && is_safe_encoding(value);
}

ScriptText to_script(std::string_view sql, const ScriptSettings& settings,
                     std::span<const std::string> parameters) {
  return ScriptScanner(sql, settings, parameters).scan();
}

std::string one_message(std::span<const ScriptStatement> statements) {
  std::string out;
  for (const ScriptStatement& statement : statements) {
    if (!out.empty()) out += "\\;\n";
    out += statement.text;
    if (statement.ends_in_comment) out += '\n';
  }
  return out + ";\n";
}

std::string comment_text(std::string_view text, std::size_t limit_bytes) {
  std::string out;
  for (const char c : readable_text(text, limit_bytes)) {
    const auto byte = static_cast<Byte>(c);
    out += is_high(c) ? "\\x" + hex_text(ByteView(&byte, 1)) : std::string(1, c);
  }
  return out;
}

bool is_safe_encoding(std::string_view client_encoding) {
  // Those that only clients may use (PostgreSQL documentation, "Character Set Support").
  static constexpr std::string_view kUnsafe[] = {"BIG5", "GB18030",        "GBK", "JOHAB",
                                                 "SJIS", "SHIFT_JIS_2004", "UHC"};
  return std::find(std::begin(kUnsafe), std::end(kUnsafe), client_encoding) == std::end(kUnsafe);
}

}  // namespace understudy::replayer
