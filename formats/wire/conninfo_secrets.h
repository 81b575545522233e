// Passwords of connection strings: password=secret and postgresql://user:secret@host in the text of an SQL
// literal, letter by letter and with the literal's own quoting taken off. (PostgreSQL documentation,
// "Connection Strings".)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "formats/wire/secret_marks.h"
#include "formats/wire/secret_words.h"

namespace understudy::wire {

class ConninfoSecrets {
 public:
  // `linked`: the statement is one that takes connection strings, of whatever words they are made.
  explicit ConninfoSecrets(bool linked) : linked_(linked) {}

  // The next letter, which is the byte at `at` of what is scanned.
  void letter(char letter, std::size_t at, SecretMarks& marks);
  // The literal ends here; its text may go on in another.
  void ended(SecretMarks& marks);
  // Nothing follows any more.
  void settle(SecretMarks& marks);
  // Something unknown came between: what is in doubt stays hidden, and a word begins.
  void doubt_no_more() {
    revocable_ = false;
    word_.clear();
  }

  [[nodiscard]] bool open() const;                             // in a password, or where one begins
  [[nodiscard]] bool awaiting() const;                         // and it has not come, or not to its end
  [[nodiscard]] bool has_place() const { return has_place_; }  // format() is to fill one in
  void forget_place() { has_place_ = false; }

 private:
  enum class State : std::uint8_t {
    kText,
    kAfterPassword,  // the word, then blanks
    kValue,          // behind password=
    kQuotedValue,    // behind password='
    kUri,            // behind postgresql:
    kUriPassword     // or its port
  };

  void text(char letter);
  void word_ended(char next);
  void after_password(char letter);
  void begin_value(State state);
  void value(char letter, std::size_t at, SecretMarks& marks);
  void quoted_value(char letter, std::size_t at, SecretMarks& marks);
  void uri(char letter);
  void uri_password(char letter, std::size_t at, SecretMarks& marks);
  void hide(char letter, std::size_t at, SecretMarks& marks);
  void end_value(SecretMarks& marks);

  State state_ = State::kText;
  bool linked_;
  bool conninfo_ = false;    // begins or goes on as connection strings do
  bool sql_ = false;         // begins as SQL does: what is quoted in it is a text of its own
  bool first_word_ = true;   // still to come
  bool set_off_ = false;     // something stood before it
  bool uri_begins_ = false;  // the text
  bool in_uri_ = false;
  std::string word_;
  char before_ = 0;
  bool begun_ = false;    // the value
  bool escaped_ = false;  // behind a backslash
  std::size_t escaped_at_ = 0;
  unsigned slashes_ = 0;
  bool bracket_ = false;        // [::1]
  bool port_ = false;           // so far it could be ports
  bool several_hosts_ = false;  // each with its port
  bool revocable_ = false;      // what is hidden is all of the value
  std::size_t value_at_ = 0;
  FormatPlace place_;
  bool has_place_ = false;
};

}  // namespace understudy::wire
