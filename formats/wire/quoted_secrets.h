// Passwords of a statement in the error that answers it: `unterminated quoted string at or near "'secret"`,
// `missing "=" after "POSTGRES://bob:secret@host" in connection info string`. Messages in English.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/wire/secret_marks.h"

namespace understudy::wire {

class QuotedSecrets {
 public:
  QuotedSecrets() = default;
  explicit QuotedSecrets(std::string_view statement) { restart(statement); }

  // Errors that come are of `statement`, of which a copy is kept if there are passwords in it.
  void restart(std::string_view statement);
  // Overwrites with 'x' what stands in double quotes and has to do with a password of the statement, or is
  // told as its text and cannot be found there. False when there was none.
  [[nodiscard]] bool hide_in(std::string& text) const;

 private:
  enum class Place : std::uint8_t { kNone, kElsewhere, kSecret };

  [[nodiscard]] Place place_of(std::string_view quoted) const;
  bool hide_told_text(std::string& text) const;

  std::string statement_;  // empty when it has no passwords
  std::vector<SecretRange> secrets_;
};

}  // namespace understudy::wire
