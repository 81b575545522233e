#include "formats/wire/stray_secrets.h"

#include "formats/wire/secret_words.h"

namespace understudy::wire {
namespace {

bool is_role(std::string_view word) { return word == "role" || word == "user" || word == "group"; }

// What is behind these is a name, though it may be `password`; a dot stands for any qualified one.
bool precedes_name(std::string_view word) {
  return is_role(word) || word == "." || word == "to" || word == "database" || word == "admin";
}

}  // namespace

bool may_follow_literal(char letter) {
  constexpr std::string_view kMay = ";,:|)]-/\".";  // the last two in messages
  return is_secret_blank(letter) || kMay.find(letter) != std::string_view::npos;
}

void StraySecrets::behind_password(char letter, bool doubtful) {
  const bool follows = may_follow_literal(letter);
  if (follows && !doubtful) return;
  state_ = State::kRest;
  begun_ = lost_ = false;
  sure_ = !follows && !begins_secret_word(letter);
  backslash_ = false;
}

bool StraySecrets::word_ended(std::string_view word, bool quoted, std::string_view before) {
  if (is_role(word) && (before == "create" || before == "alter")) role_ = true;
  if (word == "mapping") role_ = false;
  return role_ && word == "password" && !quoted && !precedes_name(before);
}

void StraySecrets::letter(char letter, std::size_t at, SecretMarks& marks) {
  if (at == SecretMarks::kNowhere) {
    if (state_ == State::kAwaited) state_ = State::kNone;
    return;
  }
  if (in_rest()) return rest(letter, at, marks);
  if (wants_letter()) bare(letter, at, marks);
}

void StraySecrets::rest(char letter, std::size_t at, SecretMarks& marks) {
  if (state_ == State::kQuote) {
    state_ = State::kRest;
    if (letter == '\'') return;  // one quote of two
    if (!may_follow_literal(letter)) {
      if (!sure_) marks.show_from(at_);
      state_ = State::kNone;
      return;
    }
    lost_ = sure_ = true;
  }
  if (!begun_) at_ = at;
  begun_ = true;
  if (letter == '$' || letter == '"') show_no_more();
  if (letter == '\'' && !backslash_ && !lost_) {
    state_ = State::kQuote;
  } else if (letter != '\'') {
    marks.hide(at);
  }
  backslash_ = letter == '\\' && !backslash_;
}

void StraySecrets::bare(char letter, std::size_t at, SecretMarks& marks) {
  if (state_ == State::kAwaited) {
    if (is_secret_blank(letter) || letter == '=' || letter == '(') return;
    state_ = letter == '"' ? State::kName : goes_on_secret_word(letter) ? State::kBare : State::kNone;
    at_ = at;
    word_.clear();
    if (state_ != State::kBare) return;  // not hidden: a name's quote
  }
  const bool name = state_ == State::kName;
  if (name ? letter != '"' : letter != '\'' && letter != ';' && !is_secret_blank(letter)) {
    note_secret_letter(word_, letter);
    return marks.hide(at);
  }
  const bool prefix = letter == '\'' && (word_ == "e" || word_ == "n" || word_ == "u&");
  if (!name && (prefix || word_ == "null")) marks.show_from(at_);
  state_ = State::kNone;
}

void StraySecrets::ended(SecretMarks& marks) {
  const bool null = state_ == State::kBare && word_ == "null";
  const bool no_rest = state_ == State::kRest && !sure_;
  if (null || (no_rest && begun_)) marks.show_from(at_);
  if (null || no_rest) state_ = State::kNone;
}

}  // namespace understudy::wire
