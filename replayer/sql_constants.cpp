#include "replayer/sql_constants.h"

#include <algorithm>
#include <charconv>

namespace understudy::replayer {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
// Of an identifier; bytes over 127 are letters of some language.
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) > 127;
}

class Splitter {
 public:
  explicit Splitter(std::string_view sql) : sql_(sql) { out_.skeleton.reserve(sql.size()); }

  std::optional<SqlConstants> run() {
    // A backslash may or may not escape, as the session is set.
    if (sql_.find('\\') != std::string_view::npos) return std::nullopt;
    count_parameters();
    while (at_ < sql_.size()) {
      if (!step()) return std::nullopt;
    }
    return std::move(out_);
  }

 private:
  bool step() {
    const char c = sql_[at_];
    const char next = at_ + 1 < sql_.size() ? sql_[at_ + 1] : '\0';
    if (c == '\'') return take_string();
    if (c == '"') return copy_through('"');
    if (c == '-' && next == '-') return skip_line();
    if (c == '/' && next == '*') return skip_comment();
    if (c == '$' && !is_digit(next)) return false;
    if (is_digit(c) || (c == '.' && is_digit(next))) return take_number();
    if (is_word(c)) return copy_word();
    out_.skeleton += c;
    ++at_;
    return true;
  }

  // Parameters look like words that begin with $; their numbers must not be given to constants.
  void count_parameters() {
    for (std::size_t i = sql_.find('$'); i != std::string_view::npos; i = sql_.find('$', i + 1)) {
      std::uint32_t number = 0;
      std::from_chars(sql_.data() + i + 1, sql_.data() + sql_.size(), number);
      out_.parameters = std::max(out_.parameters, std::min<std::uint32_t>(number, 65'535));
    }
  }

  void place(std::string_view constant) {
    out_.constants.push_back(constant);
    out_.skeleton += '$';
    out_.skeleton += std::to_string(out_.parameters + out_.constants.size());
  }

  bool take_string() {
    const std::size_t begin = ++at_;
    while (true) {
      at_ = sql_.find('\'', at_);
      if (at_ == std::string_view::npos) return false;
      if (at_ + 1 >= sql_.size() || sql_[at_ + 1] != '\'') break;
      at_ += 2;  // a doubled quote stands for one
    }
    place(sql_.substr(begin, at_ - begin));
    ++at_;
    return true;
  }

  bool take_number() {
    const std::size_t begin = at_;
    // Exponents and the like are words to us: 1e10, 0x1F, 1_000.
    while (at_ < sql_.size() && (is_word(sql_[at_]) || sql_[at_] == '.')) ++at_;
    place(sql_.substr(begin, at_ - begin));
    return true;
  }

  bool copy_word() {
    while (at_ < sql_.size() && is_word(sql_[at_])) out_.skeleton += sql_[at_++];
    // E'...', B'...', X'...', N'...', U&'...': what is inside depends on the letter.
    return at_ >= sql_.size() || sql_[at_] != '\'';
  }

  bool copy_through(char quote) {
    const std::size_t end = sql_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return false;
    out_.skeleton += sql_.substr(at_, end + 1 - at_);
    at_ = end + 1;
    return true;
  }

  bool skip_line() {
    at_ = std::min(sql_.find('\n', at_), sql_.size());
    return true;
  }

  bool skip_comment() {
    int depth = 0;  // they nest
    while (at_ + 1 < sql_.size()) {
      const std::string_view two = sql_.substr(at_, 2);
      const int change = two == "/*" ? 1 : two == "*/" ? -1 : 0;
      depth += change;
      at_ += change == 0 ? 1 : 2;
      if (depth == 0) {
        out_.skeleton += ' ';
        return true;
      }
    }
    return false;
  }

  std::string_view sql_;
  std::size_t at_ = 0;
  SqlConstants out_;
};

}  // namespace

std::optional<SqlConstants> split_constants(std::string_view sql) { return Splitter(sql).run(); }

}  // namespace understudy::replayer
