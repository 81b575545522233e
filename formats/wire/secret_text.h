// SQL text, or what may be SQL, and the passwords in it: that of a message, and again that of every literal
// in it with the literal's quotes taken off (bodies of functions and DO, what EXECUTE and dblink are given),
// where the text may be a connection string just as well.
//
// Literals that are put together ('a' || 'b', 'a' newline 'b', concat('a', 'b')) are one text that goes on.
// Where one ends so that a password must follow, and what follows is not simply the next literal but calls,
// CASE, or arguments of a function, every literal there is taken for a password.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/wire/conninfo_secrets.h"
#include "formats/wire/secret_marks.h"
#include "formats/wire/secret_words.h"
#include "formats/wire/stray_secrets.h"

namespace understudy::wire {

class SecretText {
 public:
  // `depth`: in how many literals it is. `linked`: in a statement that takes connection strings.
  SecretText(unsigned depth, bool linked);

  // The next letter, which is the byte at `at` of what is scanned.
  void letter(char letter, std::size_t at, SecretMarks& marks);
  // Something of which nothing is known stands here: a variable's value.
  void unknown(SecretMarks& marks);
  // The literal ends here; its text may go on in another.
  void ended(SecretMarks& marks);
  // Nothing follows any more.
  void settle(SecretMarks& marks);

 private:
  enum class State : std::uint8_t {
    kSql,
    kWord,
    kQuotedName,
    kString,
    kStringQuote,   // a quote in a string: its end, or the first of two
    kStringEscape,  // behind a backslash, in E''
    kTag,           // behind a $
    kDollar,        // in a dollar-quoted literal
    kStray,         // a password whose quotes do not match, to the next one
    kLineComment,
    kBlockComment
  };
  // How the next literal stands to the one before.
  enum class Join : std::uint8_t {
    kNone,
    kAdjacent,  // nothing is between them
    kBehind,    // the operand has ended
    kConcat,    // behind ||
    kOperand    // in an operand behind || that is no simple literal
  };
  // The literals between one pair of brackets.
  struct Run {
    std::unique_ptr<SecretText> text;   // of the last one
    std::unique_ptr<SecretText> first;  // of an argument that ends where a password must follow
    Join join = Join::kNone;
    bool own = true;      // `text` is, and not that of brackets within
    bool masked = false;  // all of them are passwords
    bool concat = false;  // arguments of concat() or concat_ws()
    bool separated = false;
    bool format = false;
    bool replaced = false;  // and of replace()
    bool cast = false;
    bool chr = false;
    unsigned code = 0;   // given to chr()
    bool quote = false;  // the operand is chr(39)
  };

  void read(char letter, std::size_t at, SecretMarks& marks);
  void sql(char letter, std::size_t at, SecretMarks& marks);
  void word_ended(char next, SecretMarks& marks);
  void symbol(char before, char letter, SecretMarks& marks);
  void stray(char letter, std::size_t at, SecretMarks& marks);
  void separator(char letter, SecretMarks& marks);
  void comment(char letter);
  void tag(char letter, std::size_t at, SecretMarks& marks);
  void behind_string(char letter, std::size_t at, SecretMarks& marks);
  void string_letter(char letter, std::size_t at, SecretMarks& marks);
  void dollar_letter(char letter, std::size_t at, SecretMarks& marks);
  void begin_literal(SecretMarks& marks);
  void literal_letter(char letter, bool escaped, std::size_t at, SecretMarks& marks);
  void end_literal(SecretMarks& marks);
  void statement_ended(SecretMarks& marks);
  void operand();
  void concatenated(SecretMarks& marks);
  static void operand_ended(Run& run, SecretMarks& marks);
  void open_bracket();
  void close_bracket(SecretMarks& marks);
  void comma(SecretMarks& marks);
  static void close_run(Run& run, SecretMarks& marks);
  void doubt_no_more();
  void take_place_of(SecretText& text);
  [[nodiscard]] bool is_place() const;
  [[nodiscard]] SecretText* literal() const;  // the text of the literal at hand, unless it is a password
  [[nodiscard]] bool in_password() const;

  [[nodiscard]] bool hides() const;           // what comes next
  [[nodiscard]] bool hungry() const;          // ends with PASSWORD, so that a literal must follow
  [[nodiscard]] bool open() const;            // ends in a password
  [[nodiscard]] bool awaiting() const;        // and it has not come yet
  [[nodiscard]] bool names_password() const;  // ends with the word

  const unsigned depth_;
  std::optional<ConninfoSecrets> conninfo_;
  State state_ = State::kSql;
  std::string word_;
  std::string last_word_;   // directly before
  char before_ = 0;         // the letter before, in kSql and comments
  bool expect_ = false;     // the next literal is a password
  bool continued_ = false;  // a string that goes on in the next line is
  bool all_ = false;        // every literal is one, to the end of the statement
  bool linking_ = false;    // dblink, CONNECTION: strings are connection strings
  bool linked_ = false;     // the same, and never forgotten
  bool formats_ = false;    // format(), RAISE
  bool has_place_ = false;  // which somebody else has to fill
  FormatPlace place_;
  bool role_password_ = false;  // the last word was PASSWORD of CREATE or ALTER ROLE
  StraySecrets strays_;
  unsigned comments_ = 0;  // block comments, open

  std::vector<Run> runs_;
  std::size_t deeper_ = 0;  // brackets too many to be kept

  // The literal at hand
  bool escapes_ = false;
  bool escaped_ = false;        // the one before has escapes, and it may go on
  bool backslash_ = false;      // before, where it is no escape
  bool masked_ = false;         // is a password
  bool direct_ = false;         // behind PASSWORD
  bool undecided_ = false;      // or begins with a quoted one
  bool stray_ = false;          // PASSWORD stood at its end
  std::string tag_;             // of a dollar quote, with its dollars
  std::size_t tag_length_ = 0;  // of it that has been seen again
  std::size_t tag_at_ = 0;
  std::size_t password_at_ = 0;
};

}  // namespace understudy::wire
