// Passwords outside of their quotes, letter by letter of the SQL around them.
//
// The rest of one behind what seems to be its closing quote: with standard_conforming_strings off, which no
// scanner can know, that quote belongs to it where a backslash is before it; and 'it's' is an everyday
// mistake. All to the next quote is hidden, and shown again where that one clearly begins a literal ('2030');
// where it does not, all that follows stays hidden.
//
// And one with no quotes at all, or with a name's: PASSWORD secret, PASSWORD "secret". Not in literals, where
// words may be words: 'alter user a: password changed'.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "formats/wire/secret_marks.h"

namespace understudy::wire {

// Whether it may stand directly behind a literal.
[[nodiscard]] bool may_follow_literal(char letter);

class StraySecrets {
 public:
  // What follows directly behind a password's closing quote. `doubtful`: a backslash is before that.
  void behind_password(char letter, bool doubtful);
  // The next word, and the one directly before. True for the PASSWORD of CREATE and ALTER ROLE, behind which
  // nothing but a password or NULL can be.
  bool word_ended(std::string_view word, bool quoted, std::string_view before);
  void statement_ended() { role_ = false; }
  // That PASSWORD has ended, and a password without quotes may come.
  void behind_word() {
    if (!in_rest()) state_ = State::kAwaited;
  }

  // The next letter, wanted where something is in doubt.
  [[nodiscard]] bool wants_letter() const { return state_ != State::kNone; }
  void letter(char letter, std::size_t at, SecretMarks& marks);
  [[nodiscard]] bool in_rest() const { return state_ == State::kRest || state_ == State::kQuote; }
  [[nodiscard]] bool hides() const { return state_ != State::kNone && state_ != State::kAwaited; }
  // Other passwords are in what is hidden.
  void show_no_more() { sure_ = true; }
  // The text ends here.
  void ended(SecretMarks& marks);

 private:
  enum class State : std::uint8_t {
    kNone,
    kRest,     // of a password, perhaps
    kQuote,    // and a quote behind it
    kAwaited,  // behind PASSWORD
    kBare,     // a password without quotes, or NULL, or the E of E''
    kName      // "secret"
  };

  void rest(char letter, std::size_t at, SecretMarks& marks);
  void bare(char letter, std::size_t at, SecretMarks& marks);

  State state_ = State::kNone;
  bool role_ = false;  // in CREATE or ALTER of ROLE, USER, GROUP
  bool begun_ = false;
  bool sure_ = false;       // shown no more
  bool lost_ = false;       // nor is its end known
  bool backslash_ = false;  // before
  std::size_t at_ = 0;
  std::string word_;
};

}  // namespace understudy::wire
