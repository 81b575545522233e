// Where in SQL text passwords are, so that they can be hidden: PASSWORD 'secret' in CREATE and ALTER ROLE and
// in OPTIONS of foreign servers and user mappings; password=secret and postgresql://user:secret@host in
// connection strings (CREATE SUBSCRIPTION, dblink, primary_conninfo). Also where such a statement is put
// together: in bodies of DO and functions, in quoted quotes, in what follows 'ALTER ROLE x PASSWORD ' ||.
//
// A scanner, not a parser: statements that are not valid SQL hold secrets too, and text comes in pieces. It
// errs on the side of hiding. (PostgreSQL documentation, "Lexical Structure", "Connection Strings".)
//
// Not found: secrets that are parameters (Bind), that a server computes or returns, and those of
// applications' own tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "formats/bytes.h"

namespace understudy::wire {

// Bytes [from, to) of what was scanned.
struct SecretRange {
  std::size_t from = 0;
  std::size_t to = 0;
  bool operator==(const SecretRange&) const = default;
};

// Whether there can be a secret in `text` at all: almost never, and found out in passing.
[[nodiscard]] bool may_hold_secrets(ByteView text);

class SqlSecretScanner {
 public:
  // What is scanned next begins a text.
  void restart() { *this = {}; }
  // The next piece, of any length; a zero byte ends a text and begins another. Secrets are appended to
  // `found` in order, as ranges of `piece` moved by `offset`; one that goes on in the next piece is found
  // again there.
  void scan(ByteView piece, std::size_t offset, std::vector<SecretRange>& found);

 private:
  enum class State : std::uint8_t {
    kSql,
    kWord,
    kQuotedName,
    kString,
    kStringQuote,   // a quote in a string: its end, or the first of two
    kStringEscape,  // behind a backslash, in E''
    kTag,           // behind a $
    kDollar,        // a dollar-quoted password
    kLineComment,
    kBlockComment
  };
  // What the text of a string is about, as far as it has been read.
  enum class Inner : std::uint8_t {
    kText,
    kAfterPassword,  // the word, then blanks
    kValue,          // behind password=
    kQuotedValue,    // behind password='' or PASSWORD ''
    kUri,            // behind postgresql:
    kUriPassword
  };

  void sql(char letter);
  void word_ended(char next);
  void begin_string(bool escapes);
  void end_string();
  void string_letter(char letter, std::string_view rest);
  void string_escaped(char letter);
  void inner(char letter, std::string_view rest);
  void inner_word_ended();
  void inner_quote();
  void note(std::string& word, char letter);
  void statement_ended();
  void comment(char letter);
  void dollar_quoted(char letter);
  void tag(char letter);
  void symbol(char before, char letter);
  void uri(char letter, std::string_view rest);
  void after_password(char letter);
  [[nodiscard]] bool hides_inside() const;

  State state_ = State::kSql;
  std::string word_;      // in lower case; longer ones are cut
  char before_ = 0;       // the letter before, in kSql and comments
  bool expect_ = false;   // the next string is a password
  bool sticky_ = false;   // and whatever stands before it
  bool all_ = false;      // every string is one, to the end of the statement
  bool linking_ = false;  // dblink, CONNECTION: strings are connection strings
  bool escapes_ = false;
  unsigned depth_ = 0;  // of block comments
  std::string tag_;     // of a dollar quote, with its dollars
  std::size_t tag_at_ = 0;

  bool masked_ = false;  // the string at hand is a password
  Inner inner_ = Inner::kText;
  std::string inner_word_;
  bool first_word_ = true;
  bool conninfo_ = false;
  bool spaced_ = false;       // kAfterPassword: there was a blank
  bool value_begun_ = false;  // kValue, kQuotedValue
  unsigned slashes_ = 0;      // kUri
  bool hide_ = false;         // this byte
  std::size_t unhide_ = 0;    // so many up to it were no part of a password
};

}  // namespace understudy::wire
