// Letters and words, as those who look for passwords in SQL and in connection strings read them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace understudy::wire {

inline char secret_lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
}
inline bool is_secret_blank(char letter) { return letter == ' ' || (letter >= '\t' && letter <= '\r'); }
inline bool begins_secret_word(char letter) {
  return (secret_lower(letter) >= 'a' && secret_lower(letter) <= 'z') || letter == '_' ||
         (letter & '\x80') != 0;
}
inline bool is_secret_digit(char letter) { return letter >= '0' && letter <= '9'; }
inline bool goes_on_secret_word(char letter) { return begins_secret_word(letter) || is_secret_digit(letter); }
inline bool is_password_word(std::string_view word) { return word == "password" || word == "sslpassword"; }

// The next letter of a word kept in lower case; longer ones are cut.
inline void note_secret_letter(std::string& word, char letter) {
  constexpr std::size_t kLongestWord = 24;
  if (word.size() < kLongestWord) word += secret_lower(letter);
}

// A place in a text that format() or RAISE fills, as a password: %s, %L, %1$I, %.
class FormatPlace {
 public:
  void restart() { *this = {}; }
  // The password's next letter; true where it ends a place. `strict`: %40s, as in a URI, is none.
  bool next(char letter, bool strict) {
    ++letters_;
    const bool goes_on =
        begun_ && (is_secret_digit(letter) || letter == '$' || letter == '-' || letter == '*');
    const bool ends = begun_ && (letter == 's' || letter == 'I' || letter == 'L') && !(strict && width_);
    width_ = goes_on && letter != '$' && (width_ || is_secret_digit(letter));
    begun_ = goes_on || letter == '%';
    from_first_ = letters_ == 1 ? letter == '%' : from_first_ && (goes_on || ends);
    all_ = from_first_ && (letters_ == 1 || (ends && letters_ <= kLongest));
    return ends;
  }
  [[nodiscard]] bool begun() const { return begun_; }
  [[nodiscard]] bool empty() const { return letters_ == 0; }
  // The password is a place and nothing else.
  [[nodiscard]] bool is_all() const { return all_; }

 private:
  static constexpr unsigned kLongest = 5;  // of those: %10$s

  unsigned letters_ = 0;
  bool begun_ = false;
  bool width_ = false;
  bool from_first_ = false;
  bool all_ = false;
};

}  // namespace understudy::wire
