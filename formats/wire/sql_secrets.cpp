#include "formats/wire/sql_secrets.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace understudy::wire {
namespace {

constexpr std::size_t kLongestWord = 24;
constexpr std::size_t kLongestTag = 66;  // an identifier, and its dollars

char lower(char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter; }
bool is_blank(char letter) { return letter == ' ' || (letter >= '\t' && letter <= '\r'); }
bool begins_word(char letter) {
  return (lower(letter) >= 'a' && lower(letter) <= 'z') || letter == '_' || (letter & '\x80') != 0;
}
bool goes_on_word(char letter) { return begins_word(letter) || (letter >= '0' && letter <= '9'); }
bool is_password(std::string_view word) { return word == "password" || word == "sslpassword"; }

// Keywords of connection strings that one begins with.
bool begins_conninfo(std::string_view word) {
  static constexpr std::array kKeywords = {std::string_view("host"),
                                           std::string_view("hostaddr"),
                                           std::string_view("port"),
                                           std::string_view("dbname"),
                                           std::string_view("user"),
                                           std::string_view("password"),
                                           std::string_view("passfile"),
                                           std::string_view("sslmode"),
                                           std::string_view("service"),
                                           std::string_view("application_name"),
                                           std::string_view("connect_timeout"),
                                           std::string_view("sslpassword"),
                                           std::string_view("options"),
                                           std::string_view("client_encoding"),
                                           std::string_view("target_session_attrs")};
  return std::find(kKeywords.begin(), kKeywords.end(), word) != kKeywords.end();
}

// By its rarest letter, `w` or `W`.
bool has_password(std::string_view text, char w) {
  constexpr std::string_view kBefore = "pass";
  const char* at = text.data() + kBefore.size();
  const char* const end = text.data() + text.size();
  while (at < end) {
    at = static_cast<const char*>(std::memchr(at, w, static_cast<std::size_t>(end - at)));
    if (at == nullptr) return false;
    if (std::equal(kBefore.begin(), kBefore.end(), at - kBefore.size(),
                   [](char wanted, char letter) { return lower(letter) == wanted; }))
      return true;
    ++at;
  }
  return false;
}

}  // namespace

bool may_hold_secrets(ByteView bytes) {
  const std::string_view text = as_text(bytes);
  if (text.size() < 8) return false;
  return has_password(text, 'w') || has_password(text, 'W') || text.find("://") != std::string_view::npos;
}

void SqlSecretScanner::scan(ByteView piece, std::size_t offset, std::vector<SecretRange>& found) {
  const std::string_view text = as_text(piece);
  for (std::size_t i = 0; i < text.size(); ++i) {
    hide_ = false;
    unhide_ = 0;
    if (text[i] == '\0') {
      restart();
      continue;
    }
    switch (state_) {
      case State::kString:
      case State::kStringQuote:
      case State::kStringEscape:
        string_letter(text[i], text.substr(i + 1));
        break;
      case State::kLineComment:
      case State::kBlockComment:
        comment(text[i]);
        break;
      default:
        sql(text[i]);
    }
    if (!hide_) continue;
    if (!found.empty() && found.back().to == offset + i) {
      ++found.back().to;
    } else {
      found.push_back({offset + i, offset + i + 1});
    }
    SecretRange& last = found.back();
    last.to -= std::min(unhide_, last.to - last.from);
    if (last.to == last.from) found.pop_back();
  }
}

void SqlSecretScanner::note(std::string& word, char letter) {
  if (word.size() < kLongestWord) word += lower(letter);
}

void SqlSecretScanner::statement_ended() { expect_ = sticky_ = all_ = linking_ = false; }

void SqlSecretScanner::comment(char letter) {
  if (state_ == State::kLineComment) {
    if (letter == '\n') state_ = State::kSql;
    before_ = letter;
    return;
  }
  // Block comments nest.
  const bool opens = before_ == '/' && letter == '*';
  const bool closes = before_ == '*' && letter == '/';
  before_ = opens || closes ? '\0' : letter;
  if (opens) ++depth_;
  if (closes && --depth_ == 0) state_ = State::kSql;
}

void SqlSecretScanner::word_ended(char next) {
  state_ = State::kSql;
  // E'', U&'' and their like are the string's own.
  const bool prefix = word_.size() == 1 && (next == '\'' || (word_ == "u" && next == '&'));
  if (!prefix) {
    expect_ = is_password(word_) || sticky_;
    linking_ = linking_ || word_ == "connection" || word_.starts_with("dblink");
  }
  if (next != '\'') word_.clear();
}

// What may be the closing tag is hidden too, until it turns out to be one.
void SqlSecretScanner::dollar_quoted(char letter) {
  hide_ = true;
  if (letter == tag_[tag_at_]) {
    ++tag_at_;
  } else {
    tag_at_ = letter == tag_[0] ? 1 : 0;
  }
  if (tag_at_ < tag_.size()) return;
  unhide_ = tag_.size();
  state_ = State::kSql;
}

void SqlSecretScanner::tag(char letter) {
  const bool goes_on = tag_.size() == 1 ? begins_word(letter) : goes_on_word(letter);
  if (letter == '$') {
    tag_ += letter;
    // Of other dollar quotes the text is SQL as well, or might be.
    state_ = expect_ || all_ ? State::kDollar : State::kSql;
    tag_at_ = 0;
    before_ = '\0';
  } else if (goes_on && tag_.size() < kLongestTag) {
    tag_ += letter;
  } else {
    state_ = State::kSql;
    sql(letter);
  }
}

void SqlSecretScanner::sql(char letter) {
  switch (state_) {
    case State::kWord:
      if (goes_on_word(letter) || letter == '$') return note(word_, letter);
      word_ended(letter);
      break;
    case State::kQuotedName:
      if (letter != '"') return note(word_, letter);
      return word_ended(letter);
    case State::kDollar:
      return dollar_quoted(letter);
    case State::kTag:
      return tag(letter);
    default:
      break;
  }
  const char before = std::exchange(before_, letter);
  if (begins_word(letter)) {
    state_ = State::kWord;
    word_.clear();
    note(word_, letter);
  } else if (letter == '\'') {
    begin_string(word_ == "e");
  } else {
    word_.clear();
    symbol(before, letter);
  }
}

void SqlSecretScanner::symbol(char before, char letter) {
  if (letter == '"') {
    state_ = State::kQuotedName;
  } else if (letter == '$') {
    state_ = State::kTag;
    tag_.assign(1, '$');
  } else if (before == '-' && letter == '-') {
    state_ = State::kLineComment;
  } else if (before == '/' && letter == '*') {
    state_ = State::kBlockComment;
    depth_ = 1;
    before_ = '\0';
  } else if (letter == ';') {
    statement_ended();
  } else if (!is_blank(letter) && letter != '-' && letter != '/' && letter != '&') {
    expect_ = sticky_;
  }
}

void SqlSecretScanner::begin_string(bool escapes) {
  state_ = State::kString;
  word_.clear();
  before_ = '\0';
  escapes_ = escapes;
  masked_ = expect_ || all_;
  inner_ = Inner::kText;
  inner_word_.clear();
  first_word_ = true;
  conninfo_ = false;
}

void SqlSecretScanner::end_string() {
  state_ = State::kSql;
  // 'ALTER ROLE x PASSWORD ' || quote_literal('secret'). What follows a password without anything between
  // (the string goes on in the next line) is one as well, so `expect_` stays.
  if (!masked_) expect_ = inner_ == Inner::kAfterPassword && spaced_;
  sticky_ = !masked_ && (expect_ || sticky_);
}

void SqlSecretScanner::string_letter(char letter, std::string_view rest) {
  if (state_ == State::kStringEscape) return string_escaped(letter);
  if (state_ == State::kStringQuote) {
    if (letter != '\'') {
      end_string();
      return sql(letter);
    }
    // Two quotes are one, and stay: the text must remain a string.
    state_ = State::kString;
    if (!masked_) inner_quote();
  } else if (letter == '\'') {
    state_ = State::kStringQuote;
  } else if (escapes_ && letter == '\\') {
    state_ = State::kStringEscape;
  } else if (masked_) {
    hide_ = true;
  } else {
    inner(letter, rest);
  }
}

bool SqlSecretScanner::hides_inside() const {
  return inner_ == Inner::kValue || inner_ == Inner::kQuotedValue || inner_ == Inner::kUriPassword;
}

void SqlSecretScanner::string_escaped(char letter) {
  state_ = State::kString;
  if (masked_ || letter != '\'') {
    hide_ = masked_ || hides_inside();
  } else {
    inner_quote();
  }
}

void SqlSecretScanner::inner_word_ended() {
  if (first_word_) conninfo_ = begins_conninfo(inner_word_);
  first_word_ = false;
  if (is_password(inner_word_)) {
    inner_ = Inner::kAfterPassword;
    spaced_ = false;
  }
  linking_ = linking_ || inner_word_ == "connection" || inner_word_.starts_with("dblink");
  inner_word_.clear();
}

// A quote in the text of a string.
void SqlSecretScanner::inner_quote() {
  if (inner_ == Inner::kText && !inner_word_.empty()) inner_word_ended();
  inner_word_.clear();
  const bool begins = inner_ == Inner::kAfterPassword || (inner_ == Inner::kValue && !value_begun_);
  // Quotes of quotes open with several.
  const bool opens_still = inner_ == Inner::kQuotedValue && !value_begun_;
  inner_ = begins || opens_still ? Inner::kQuotedValue : Inner::kText;
  value_begun_ = false;
}

void SqlSecretScanner::inner(char letter, std::string_view rest) {
  switch (inner_) {
    case Inner::kText:
      if (goes_on_word(letter)) return note(inner_word_, letter);
      if (letter == ':' && (inner_word_ == "postgresql" || inner_word_ == "postgres")) {
        inner_ = Inner::kUri;
        slashes_ = 0;
        inner_word_.clear();
      } else if (!inner_word_.empty()) {
        inner_word_ended();
        if (inner_ == Inner::kAfterPassword) after_password(letter);
      }
      return;
    case Inner::kAfterPassword:
      return after_password(letter);
    case Inner::kValue:
      if (is_blank(letter) && !value_begun_) return;
      hide_ = value_begun_ = !is_blank(letter) && letter != '&';
      if (!hide_) inner_ = Inner::kText;
      return;
    case Inner::kQuotedValue:
      hide_ = value_begun_ = true;
      return;
    case Inner::kUri:
      return uri(letter, rest);
    case Inner::kUriPassword:
      hide_ = letter != '@' && !is_blank(letter);
      if (!hide_) inner_ = Inner::kText;
      return;
  }
}

void SqlSecretScanner::after_password(char letter) {
  value_begun_ = false;
  if (is_blank(letter)) {
    spaced_ = true;
  } else if (letter == '=' && (conninfo_ || linking_)) {
    inner_ = Inner::kValue;
  } else {
    all_ = all_ || letter == '%';  // format('... PASSWORD %L', 'secret')
    inner_ = Inner::kText;
    if (goes_on_word(letter)) note(inner_word_, letter);
  }
}

// user:secret@host, or host:port
void SqlSecretScanner::uri(char letter, std::string_view rest) {
  if (slashes_ < 2) {
    if (letter != '/') inner_ = Inner::kText;
    ++slashes_;
    return;
  }
  conninfo_ = true;  // ?password=
  first_word_ = false;
  if (letter == '/' || letter == '?' || letter == '@' || is_blank(letter)) inner_ = Inner::kText;
  if (letter != ':') return;
  // In doubt, where the piece ends, it is a secret.
  const auto end = rest.find_first_of("@/?' ");
  inner_ = end == std::string_view::npos || rest[end] == '@' ? Inner::kUriPassword : Inner::kText;
}

}  // namespace understudy::wire
