#include "formats/wire/secret_text.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace understudy::wire {
namespace {

constexpr std::size_t kLongestTag = 1024;  // longer ones are cut: their rest is read as a word
constexpr unsigned kDeepest = 8;           // literals in literals; those deeper are hidden whole
constexpr std::size_t kMostRuns = 32;

// Behind these an expression has ended.
bool begins_clause(std::string_view word) {
  static constexpr std::array<std::string_view, 15> kWords = {
      "from", "where", "group", "order", "limit", "union",       "returning", "having",
      "as",   "using", "into",  "loop",  "on",    "publication", "language"};
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

char unescaped(char letter) {
  constexpr std::string_view kBlanks = "ntrbfv";
  return kBlanks.find(letter) != std::string_view::npos ? ' ' : letter;
}

}  // namespace

SecretText::SecretText(unsigned depth, bool linked) : depth_(depth), linking_(linked), runs_(1) {
  if (depth > 0) conninfo_.emplace(linked);
}

void SecretText::letter(char letter, std::size_t at, SecretMarks& marks) {
  if (conninfo_) conninfo_->letter(letter, at, marks);
  const bool in_rest = strays_.in_rest();
  if (in_rest && conninfo_ && conninfo_->open()) strays_.show_no_more();
  if (in_rest) strays_.letter(letter, at, marks);
  read(letter, at, marks);
  if (!in_rest && strays_.wants_letter()) strays_.letter(letter, at, marks);
}

void SecretText::read(char letter, std::size_t at, SecretMarks& marks) {
  switch (state_) {
    case State::kString:
    case State::kStringQuote:
    case State::kStringEscape:
      return string_letter(letter, at, marks);
    case State::kDollar:
      return dollar_letter(letter, at, marks);
    case State::kLineComment:
    case State::kBlockComment:
      return comment(letter);
    default:
      return sql(letter, at, marks);
  }
}

void SecretText::unknown(SecretMarks& marks) {
  letter('0', SecretMarks::kNowhere, marks);
  doubt_no_more();
}

void SecretText::doubt_no_more() {
  if (conninfo_) conninfo_->doubt_no_more();
  if (state_ == State::kWord) state_ = State::kSql;
  if (state_ == State::kSql) word_.clear();
  if (SecretText* const text = literal()) text->doubt_no_more();
}

void SecretText::ended(SecretMarks& marks) {
  if (conninfo_) conninfo_->ended(marks);
  has_place_ = has_place_ || (conninfo_ && conninfo_->has_place());
  if (conninfo_) conninfo_->forget_place();
  strays_.ended(marks);
  // A literal in the text may have ended with it.
  if (state_ == State::kStringQuote && masked_ && is_place()) {
    has_place_ = true;
    marks.show_from(password_at_);
  }
  SecretText* const text = state_ == State::kStringQuote && !masked_ ? runs_.back().text.get() : literal();
  if (text == nullptr) return;
  text->ended(marks);
  take_place_of(*text);
}

// What format() fills in: here, or what this text is given to.
void SecretText::take_place_of(SecretText& text) {
  if (!std::exchange(text.has_place_, false)) return;
  all_ = true;
  has_place_ = has_place_ || !formats_;
}

bool SecretText::is_place() const { return direct_ && depth_ > 0 && place_.is_all(); }

void SecretText::settle(SecretMarks& marks) {
  if (conninfo_) conninfo_->settle(marks);
  if (depth_ == 0) ended(marks);
  for (Run& run : runs_) close_run(run, marks);
}

SecretText* SecretText::literal() const {
  const bool in_literal =
      state_ == State::kString || state_ == State::kStringEscape || state_ == State::kDollar;
  return in_literal && !masked_ ? runs_.back().text.get() : nullptr;
}

bool SecretText::in_password() const {
  const bool in_literal =
      state_ == State::kString || state_ == State::kStringEscape || state_ == State::kDollar;
  return (in_literal && masked_) || state_ == State::kStray;
}

bool SecretText::hides() const {
  const SecretText* const text = literal();
  return in_password() || strays_.hides() || (conninfo_ && conninfo_->open()) ||
         (text != nullptr && text->hides());
}

bool SecretText::hungry() const {
  if (const SecretText* const text = literal()) return text->hungry();
  return state_ == State::kSql && expect_ && !continued_;
}

bool SecretText::open() const {
  const SecretText* const text = literal();
  return in_password() || (conninfo_ && conninfo_->open()) || (text != nullptr && text->open());
}

bool SecretText::awaiting() const {
  const SecretText* const text = literal();
  return hungry() || in_password() || (conninfo_ && conninfo_->awaiting()) ||
         (text != nullptr && text->awaiting());
}

bool SecretText::names_password() const { return state_ == State::kWord && is_password_word(word_); }

void SecretText::comment(char letter) {
  if (state_ == State::kLineComment) {
    if (letter == '\n' || letter == '\r') state_ = State::kSql;
    before_ = letter;
    return;
  }
  // Block comments nest.
  const bool opens = before_ == '/' && letter == '*';
  const bool closes = before_ == '*' && letter == '/';
  before_ = opens || closes ? '\0' : letter;
  if (opens) ++comments_;
  if (closes && --comments_ == 0) state_ = State::kSql;
}

void SecretText::word_ended(char next, SecretMarks& marks) {
  const bool quoted = state_ == State::kQuotedName;
  state_ = State::kSql;
  // E'', U&'' and their like are the string's own.
  const bool prefix = !quoted && word_.size() == 1 && (next == '\'' || (word_ == "u" && next == '&'));
  if (!prefix) {
    role_password_ = strays_.word_ended(word_, quoted, last_word_);
    if (role_password_ && depth_ == 0) strays_.behind_word();
    escaped_ = false;
    expect_ = is_password_word(word_);
    continued_ = false;
    place_.restart();
    linking_ = linking_ || word_ == "connection" || word_.starts_with("dblink");
    linked_ = linked_ || linking_;
    formats_ = formats_ || word_ == "format" || word_ == "raise";
    if (word_ == "operator") {
      concatenated(marks);  // OPERATOR(pg_catalog.||)
    } else {
      operand();
    }
    const bool cast = runs_.back().cast && word_ == "as";  // CAST('password=' AS text) || 'secret'
    if (!quoted && !cast && begins_clause(word_)) close_run(runs_.back(), marks);
    if (word_ == "placing") comma(marks);  // overlay()
    last_word_ = word_;
  }
  if (next != '\'') word_.clear();
}

void SecretText::tag(char letter, std::size_t at, SecretMarks& marks) {
  const bool goes_on = tag_.size() == 1 ? begins_secret_word(letter) : goes_on_secret_word(letter);
  if (letter == '$') {
    if (tag_.size() < kLongestTag) tag_ += letter;
    escapes_ = false;
    begin_literal(marks);
    state_ = State::kDollar;
    tag_length_ = 0;
  } else if (goes_on) {
    if (tag_.size() < kLongestTag) tag_ += letter;
  } else {
    state_ = State::kSql;
    operand();
    sql(letter, at, marks);
  }
}

void SecretText::sql(char letter, std::size_t at, SecretMarks& marks) {
  if (std::exchange(stray_, false) && goes_on_secret_word(letter)) state_ = State::kStray;
  // format('... PASSWORD %L', 'secret')
  if (expect_ && depth_ > 0 && place_.next(letter, false)) has_place_ = true;
  switch (state_) {
    case State::kWord:
      if (goes_on_secret_word(letter) || letter == '$') return note_secret_letter(word_, letter);
      word_ended(letter, marks);
      break;
    case State::kQuotedName:
      if (letter != '"') return note_secret_letter(word_, letter);
      return word_ended(letter, marks);
    case State::kTag:
      return tag(letter, at, marks);
    case State::kStray:
      return stray(letter, at, marks);
    default:
      break;
  }
  const char before = std::exchange(before_, letter);
  if (begins_secret_word(letter)) {
    state_ = State::kWord;
    word_.clear();
    note_secret_letter(word_, letter);
  } else if (letter == '\'') {
    escapes_ = word_ == "e" || (escaped_ && word_.empty());
    begin_literal(marks);
    state_ = State::kString;
  } else {
    word_.clear();
    symbol(before, letter, marks);
  }
}

void SecretText::symbol(char before, char letter, SecretMarks& marks) {
  if (letter == '"') {
    state_ = State::kQuotedName;
  } else if (letter == '$') {
    state_ = State::kTag;
    tag_.assign(1, '$');
  } else if (before == '-' && letter == '-') {
    state_ = State::kLineComment;
  } else if (before == '/' && letter == '*') {
    state_ = State::kBlockComment;
    comments_ = 1;
    before_ = '\0';
  } else if (letter == ';') {
    statement_ended(marks);
  } else if (expect_ && depth_ > 0 && (letter == '%' || (place_.begun() && is_secret_digit(letter)))) {
    if (letter == '%') (void)place_.next(letter, false);  // where PASSWORD ended with it
  } else if (expect_ && role_password_ && (letter == '=' || letter == '(')) {
    if (letter == '(') open_bracket();
  } else if (!is_secret_blank(letter) && letter != '-' && letter != '/' && letter != '&') {
    expect_ = continued_ = escaped_ = false;
    separator(letter, marks);
    last_word_.clear();
    if (letter == '.') last_word_ += letter;
  }
}

void SecretText::stray(char letter, std::size_t at, SecretMarks& marks) {
  if (letter != '\'') {
    marks.hide(at);
  } else if (!backslash_) {
    state_ = State::kSql;
  }
  backslash_ = letter == '\\' && !backslash_;
}

void SecretText::separator(char letter, SecretMarks& marks) {
  switch (letter) {
    case '|':
      return concatenated(marks);
    case '(':
    case '[':
      return open_bracket();
    case ')':
    case ']':
      return close_bracket(marks);
    case ',':
      return comma(marks);
    default:
      if (Run& run = runs_.back(); run.chr && is_secret_digit(letter))
        run.code = 10 * run.code + static_cast<unsigned>(letter - '0');
      return operand();
  }
}

void SecretText::statement_ended(SecretMarks& marks) {
  expect_ = continued_ = escaped_ = all_ = linking_ = formats_ = false;
  strays_.statement_ended();
  while (!runs_.empty()) {
    close_run(runs_.back(), marks);
    runs_.pop_back();
  }
  runs_.resize(1);
  deeper_ = 0;
}

void SecretText::close_run(Run& run, SecretMarks& marks) {
  if (run.text) {
    if (run.join == Join::kOperand) operand_ended(run, marks);
    run.text->settle(marks);
  }
  run.text.reset();
  run.join = Join::kNone;
}

// Something that is neither a literal nor puts literals together.
void SecretText::operand() {
  Join& join = runs_.back().join;
  if (join == Join::kAdjacent) join = Join::kBehind;
  if (join == Join::kConcat) join = Join::kOperand;
}

void SecretText::concatenated(SecretMarks& marks) {
  Run& run = runs_.back();
  if (run.join == Join::kNone || deeper_ > 0) return;
  if (run.join == Join::kOperand) operand_ended(run, marks);
  run.join = Join::kConcat;
}

void SecretText::operand_ended(Run& run, SecretMarks& marks) {
  // 'PASSWORD ' || chr(39) || 'secret' || chr(39)
  if (std::exchange(run.quote, false) && (run.text->hungry() || run.text->in_password()))
    return run.text->letter('\'', SecretMarks::kNowhere, marks);
  run.text->unknown(marks);
}

void SecretText::open_bracket() {
  if (runs_.size() == kMostRuns) {
    ++deeper_;
    return operand();
  }
  const Run& run = runs_.back();
  const bool joined = run.join == Join::kConcat || run.join == Join::kOperand;
  const bool masked = run.masked || (joined && (run.text->open() || run.text->hungry()));
  operand();
  Run inner;
  inner.masked = masked;
  inner.concat = last_word_.starts_with("concat");
  inner.separated = last_word_ == "concat_ws";
  inner.format = last_word_ == "format";
  inner.cast = last_word_ == "cast";
  inner.chr = last_word_ == "chr";
  inner.replaced = last_word_.find("replace") != std::string::npos || last_word_ == "overlay";
  runs_.push_back(std::move(inner));
}

void SecretText::close_bracket(SecretMarks& marks) {
  if (deeper_ > 0) {
    --deeper_;
    return;
  }
  if (runs_.size() == 1) return operand();
  Run inner = std::move(runs_.back());
  runs_.pop_back();
  Run& run = runs_.back();
  run.quote = inner.chr && inner.code == '\'' && run.join == Join::kOperand;
  if (!inner.text) inner.text = std::move(inner.first);
  if (!inner.text) return;
  if (inner.join == Join::kOperand) operand_ended(inner, marks);
  const bool joined = run.join == Join::kConcat || run.join == Join::kOperand;
  const bool had = joined && (run.text->open() || run.text->hungry());
  // (x || 'password=') || 'secret'
  if (!had && (inner.text->open() || inner.text->hungry())) {
    close_run(run, marks);
    run.text = std::move(inner.text);
    run.join = Join::kBehind;
    run.own = false;
  } else {
    inner.text->settle(marks);
  }
}

void SecretText::comma(SecretMarks& marks) {
  Run& run = runs_.back();
  if (run.concat) {
    concatenated(marks);
    if (run.separated && run.text && deeper_ == 0) run.text->letter(' ', SecretMarks::kNowhere, marks);
    return;
  }
  if (deeper_ > 0) return operand();
  if (run.join == Join::kOperand) {
    operand_ended(run, marks);
    run.join = Join::kBehind;
  }
  const bool awaited = run.text && run.own && run.text->awaiting();
  run.masked = run.masked || awaited || (run.text && run.replaced && run.text->open()) ||
               (run.text && run.format && run.text->names_password());
  if (awaited) run.first = std::move(run.text);
  close_run(run, marks);
}

void SecretText::begin_literal(SecretMarks& marks) {
  word_.clear();
  before_ = '\0';
  place_.restart();
  Run& run = runs_.back();
  undecided_ = false;
  direct_ = expect_;
  masked_ = direct_ || all_ || run.masked || depth_ >= kDeepest;
  if (masked_) return;
  expect_ = false;
  if (run.join == Join::kAdjacent || run.join == Join::kConcat) {
    masked_ = undecided_ = run.text->hungry();
    return;
  }
  const bool behind = run.join == Join::kBehind && run.text->open() && run.text->awaiting();
  masked_ = behind || (run.join == Join::kOperand && (run.text->open() || run.text->hungry()));
  if (masked_) return;
  close_run(run, marks);
  run.text = std::make_unique<SecretText>(depth_ + 1, linking_);
  run.own = true;
}

void SecretText::end_literal(SecretMarks& marks) {
  state_ = State::kSql;
  escaped_ = escapes_;
  last_word_.clear();
  if (masked_) {
    if (is_place()) {
      has_place_ = true;
      marks.show_from(password_at_);
    }
    // What follows a password without anything between (the string goes on in the next line) is one as well.
    continued_ = direct_;
    return;
  }
  Run& run = runs_.back();
  run.text->ended(marks);
  run.join = Join::kAdjacent;
  stray_ = run.text->hungry();
  linking_ = linking_ || run.text->linked_;
  linked_ = linked_ || linking_;
  take_place_of(*run.text);
}

// With standard_conforming_strings off a backslash keeps a quote from closing: of a password in doubt.
void SecretText::behind_string(char letter, std::size_t at, SecretMarks& marks) {
  const bool password = masked_ && direct_ && at != SecretMarks::kNowhere;
  const bool doubtful = std::exchange(backslash_, false);
  const bool open = password || (!masked_ && runs_.back().text->open());
  end_literal(marks);
  if (open && doubtful && !may_follow_literal(letter)) {
    state_ = State::kStray;
  } else if (password) {
    strays_.behind_password(letter, doubtful);
  }
  sql(letter, at, marks);
}

void SecretText::string_letter(char letter, std::size_t at, SecretMarks& marks) {
  if (state_ == State::kStringEscape) {
    state_ = State::kString;
    return literal_letter(unescaped(letter), true, at, marks);
  }
  if (state_ == State::kStringQuote) {
    if (letter != '\'') return behind_string(letter, at, marks);
    backslash_ = false;
    state_ = State::kString;
    return literal_letter(letter, false, at, marks);
  }
  if (letter == '\'') {
    state_ = State::kStringQuote;
    return;
  }
  backslash_ = !escapes_ && letter == '\\' && !backslash_;
  if (escapes_ && letter == '\\') {
    state_ = State::kStringEscape;
  } else {
    literal_letter(letter, false, at, marks);
  }
}

// What may be the closing tag is held back until it turns out not to be one.
void SecretText::dollar_letter(char letter, std::size_t at, SecretMarks& marks) {
  if (letter != tag_[tag_length_]) {
    const std::size_t held = std::exchange(tag_length_, 0);
    for (std::size_t i = 0; i < held; ++i) literal_letter(tag_[i], false, tag_at_ + i, marks);
    if (letter != '$') return literal_letter(letter, false, at, marks);
  }
  if (tag_length_++ == 0) tag_at_ = at;
  if (hides()) marks.hide(at);
  if (tag_length_ < tag_.size()) return;
  marks.show_from(tag_at_);
  end_literal(marks);
}

void SecretText::literal_letter(char letter, bool escaped, std::size_t at, SecretMarks& marks) {
  const bool quote = letter == '\'';
  if (std::exchange(undecided_, false) && quote) masked_ = false;
  if (!masked_) return runs_.back().text->letter(letter, at, marks);
  if (place_.empty()) password_at_ = at;
  if (place_.next(letter, false) && direct_ && depth_ > 0) has_place_ = true;
  // Two quotes are one, and stay: the text must remain a string, and those around it as well.
  if (!quote || (depth_ == 0 && (escaped || state_ == State::kDollar))) marks.hide(at);
}

}  // namespace understudy::wire
