#include "formats/wire/conninfo_secrets.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace understudy::wire {
namespace {

template <std::size_t kCount>
bool is_one_of(std::string_view word, const std::array<std::string_view, kCount>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Keywords of connection strings.
constexpr std::array<std::string_view, 25> kKeywords = {
    "host",        "hostaddr",         "port",        "dbname",          "user",
    "password",    "passfile",         "sslmode",     "sslpassword",     "service",
    "options",     "application_name", "keepalives",  "requiressl",      "connect_timeout",
    "sslcert",     "sslkey",           "sslrootcert", "gssencmode",      "client_encoding",
    "replication", "require_auth",     "krbsrvname",  "channel_binding", "target_session_attrs"};

// What statements and function bodies begin with.
constexpr std::array<std::string_view, 20> kVerbs = {
    "begin", "declare", "select", "insert", "update", "delete",  "merge", "with",  "create",  "alter",
    "drop",  "do",      "if",     "for",    "call",   "execute", "set",   "grant", "perform", "return"};

}  // namespace

void ConninfoSecrets::letter(char letter, std::size_t at, SecretMarks& marks) {
  switch (state_) {
    case State::kText:
      text(letter);
      break;
    case State::kAfterPassword:
      after_password(letter);
      break;
    case State::kValue:
      value(letter, at, marks);
      break;
    case State::kQuotedValue:
      quoted_value(letter, at, marks);
      break;
    case State::kUri:
      uri(letter);
      break;
    case State::kUriPassword:
      uri_password(letter, at, marks);
      break;
  }
  before_ = letter;
}

void ConninfoSecrets::text(char letter) {
  if (goes_on_secret_word(letter)) return note_secret_letter(word_, letter);
  if (!word_.empty()) return word_ended(letter);
  if (!first_word_) return;
  set_off_ = true;
  conninfo_ = conninfo_ || letter == '%';  // format('%s password=...')
  sql_ = sql_ || (letter == before_ && (letter == '-' || letter == '<')) || (before_ == '/' && letter == '*');
}

void ConninfoSecrets::word_ended(char next) {
  const bool password = is_password_word(word_);
  const bool assigned = next == '=' && !password;  // x=1&password=2 is some application's
  conninfo_ = conninfo_ || ((first_word_ || assigned) && is_one_of(word_, kKeywords));
  if (first_word_) sql_ = sql_ || is_one_of(word_, kVerbs);
  const bool scheme = next == ':' && (word_ == "postgresql" || word_ == "postgres");
  word_.clear();
  if (scheme && !sql_) {
    state_ = State::kUri;
    uri_begins_ = first_word_ && !set_off_;
    slashes_ = 0;
    bracket_ = false;
  } else if (password) {
    state_ = State::kAfterPassword;
    after_password(next);
  }
  first_word_ = false;
}

void ConninfoSecrets::after_password(char letter) {
  if (is_secret_blank(letter)) return;
  if (letter == '=' && (conninfo_ || linked_) && !sql_) return begin_value(State::kValue);
  state_ = State::kText;
  if (goes_on_secret_word(letter)) note_secret_letter(word_, letter);
}

void ConninfoSecrets::begin_value(State state) {
  state_ = state;
  begun_ = escaped_ = several_hosts_ = false;
  revocable_ = true;
  place_.restart();
}

void ConninfoSecrets::hide(char letter, std::size_t at, SecretMarks& marks) {
  has_place_ = place_.next(letter, in_uri_) || has_place_;
  if (!begun_) value_at_ = at;
  begun_ = true;
  marks.hide(at);
}

void ConninfoSecrets::end_value(SecretMarks& marks) {
  ended(marks);
  state_ = State::kText;
}

void ConninfoSecrets::ended(SecretMarks& marks) {
  if (!open() || !begun_ || !place_.is_all()) return;
  has_place_ = true;
  if (revocable_) marks.show_from(value_at_);
}

void ConninfoSecrets::value(char letter, std::size_t at, SecretMarks& marks) {
  if (escaped_) {
    escaped_ = false;
    if (letter != '\'') hide(letter, at, marks);
    return;
  }
  if (letter == '\'') {
    if (!begun_) begin_value(State::kQuotedValue);
    return;
  }
  if (is_secret_blank(letter) && !begun_) return;
  if (is_secret_blank(letter) || (letter == '&' && in_uri_)) return end_value(marks);
  escaped_ = letter == '\\';
  hide(letter, at, marks);
}

// Quotes stay: they may be quotes of the literal as well.
void ConninfoSecrets::quoted_value(char letter, std::size_t at, SecretMarks& marks) {
  if (letter == '\'' && !escaped_) return end_value(marks);
  if (letter == '\'') {
    marks.show_from(escaped_at_);  // or the quote would end it
    escaped_ = false;
    return;
  }
  escaped_ = letter == '\\' && !escaped_;
  escaped_at_ = at;
  hide(letter, at, marks);
}

// user:secret@host, or host:port
void ConninfoSecrets::uri(char letter) {
  if (slashes_ < 2) {
    if (letter != '/') state_ = State::kText;
    ++slashes_;
    return;
  }
  conninfo_ = in_uri_ = true;  // ?password=
  if (letter == '[' || letter == ']') bracket_ = letter == '[';
  if (letter == '/' || letter == '?' || letter == '@' || is_secret_blank(letter)) state_ = State::kText;
  if (letter != ':' || bracket_) return;
  begin_value(State::kUriPassword);
  port_ = true;
}

void ConninfoSecrets::uri_password(char letter, std::size_t at, SecretMarks& marks) {
  const bool blank = is_secret_blank(letter);
  if (letter == '@') return end_value(marks);
  if (port_ && (letter == '/' || letter == '?' || letter == '\'' || blank)) {
    settle(marks);
    state_ = State::kText;
    return;
  }
  if ((blank || letter == '\'') && !uri_begins_) return end_value(marks);
  if (letter == '\'') return;
  // Of several hosts each may have a port.
  port_ = port_ && (is_secret_digit(letter) || letter == ',' || several_hosts_);
  several_hosts_ = several_hosts_ || letter == ',';
  hide(letter, at, marks);
}

void ConninfoSecrets::settle(SecretMarks& marks) {
  if (state_ == State::kUriPassword && port_ && revocable_ && begun_) marks.show_from(value_at_);
}

bool ConninfoSecrets::open() const {
  return state_ == State::kValue || state_ == State::kQuotedValue || state_ == State::kUriPassword;
}

bool ConninfoSecrets::awaiting() const { return open() && (!begun_ || state_ == State::kQuotedValue); }

}  // namespace understudy::wire
