// Where in SQL text passwords are, so that they can be hidden: PASSWORD 'secret' in CREATE and ALTER ROLE and
// in OPTIONS of foreign servers and user mappings; password=secret and postgresql://user:secret@host in
// connection strings (CREATE SUBSCRIPTION, dblink, primary_conninfo), in literals of every kind. Also where
// such a statement or string is put together: in bodies of DO and functions, in quoted quotes, in what
// follows 'ALTER ROLE x PASSWORD ' || or 'password=' ||, in what format() and concat() are given.
//
// A scanner, not a parser: statements that are not valid SQL hold secrets too (PASSWORD secret, PASSWORD
// 'it's'), settings such as standard_conforming_strings are not known, and text comes in pieces. It errs on
// the side of hiding. (PostgreSQL documentation, "Lexical Structure", "Connection Strings".)
//
// Not found: secrets that are parameters (Bind), that a server computes or returns, those of applications'
// own tables, and those put together from variables that several statements set.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "formats/bytes.h"
#include "formats/wire/secret_marks.h"

namespace understudy::wire {

class SecretText;

// Whether there can be a secret in `text` at all: almost never, and found out in passing.
[[nodiscard]] bool may_hold_secrets(ByteView text);

class SqlSecretScanner {
 public:
  SqlSecretScanner();
  ~SqlSecretScanner();
  SqlSecretScanner(const SqlSecretScanner&) = delete;
  SqlSecretScanner& operator=(const SqlSecretScanner&) = delete;

  // What is scanned next begins a text.
  void restart();
  // The next piece, of any length; a zero byte ends a text and begins another. Secrets are appended to
  // `found` in order, as ranges of `piece` moved by `offset`; one that goes on in the next piece is found
  // again there.
  void scan(ByteView piece, std::size_t offset, std::vector<SecretRange>& found);

 private:
  std::unique_ptr<SecretText> text_;
  std::size_t scanned_ = 0;  // of it
};

}  // namespace understudy::wire
