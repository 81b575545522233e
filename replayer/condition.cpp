#include "replayer/condition.h"

#include <algorithm>

#include "replayer/condition_values.h"
#include "replayer/recording_lookup.h"
#include "replayer/show/session_filter.h"

namespace understudy::replayer {
namespace {

std::string pointed_at(const std::string& text, std::size_t at, const std::string& what) {
  std::string shown = text;
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7F; },
      ' ');
  // A long text is shown around the place.
  constexpr std::size_t kShown = 70;
  const std::size_t from = at > kShown / 2 ? at - kShown / 2 : 0;
  return "column " + std::to_string(at + 1) + ": " + what + "\n  " + shown.substr(from, kShown) + "\n  " +
         std::string(at - from, ' ') + "^";
}

template <typename Number>
bool ordered(const Number& value, const Number& with, std::uint8_t op) {
  switch (op) {
    case 0:
      return value == with;
    case 1:
      return value != with;
    case 2:
      return value < with;
    case 3:
      return value <= with;
    case 4:
      return value > with;
    default:
      return value >= with;
  }
}

std::int64_t clamped(std::uint64_t value) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
}

}  // namespace

ConditionError::ConditionError(const std::string& text, std::size_t at, const std::string& what)
    : std::runtime_error(pointed_at(text, at, what)), column_(at + 1) {}

struct Condition::Network : AddressRange {};
struct Condition::Pattern : RegularExpression {
  using RegularExpression::RegularExpression;
};

// Recursive descent: or, and, not, comparison.
class ConditionParser {
 public:
  ConditionParser(std::string_view text, TimeNs start, Condition& out)
      : text_(text), start_(start), out_(out) {}

  void read() {
    if (text_.size() > Condition::kMaxBytes)
      fail(Condition::kMaxBytes,
           "a condition has at most " + std::to_string(Condition::kMaxBytes) + " bytes");
    out_.root_ = read_or(0);
    skip_blanks();
    if (at_ < text_.size()) fail(at_, "expected and, or, or the end");
  }

 private:
  using Node = Condition::Node;
  using Field = Condition::Field;
  using Operator = Condition::Operator;

  static constexpr std::size_t kMaxDepth = 100;
  static constexpr const char* kFieldNames =
      "user, database, application, client, backend, session, time, duration, bytes, rows, sqlstate, "
      "statement, fingerprint, gaps, session_bytes or session_duration";

  [[noreturn]] void fail(std::size_t at, const std::string& what) const {
    throw ConditionError(text_, std::min(at, text_.size()), what);
  }

  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }
  static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

  // The word at hand in small letters, not taken; where it ends goes to `end`.
  std::string peek_word(std::size_t& end) {
    skip_blanks();
    end = at_;
    std::string word;
    while (end < text_.size() && is_letter(text_[end])) {
      const char c = text_[end++];
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return word;
  }
  bool take_word(std::string_view wanted) {
    std::size_t end = 0;
    if (peek_word(end) != wanted) return false;
    at_ = end;
    return true;
  }
  bool take_mark(std::string_view wanted) {
    skip_blanks();
    if (text_.substr(at_, wanted.size()) != wanted) return false;
    at_ += wanted.size();
    return true;
  }

  std::size_t add(Node node) {
    out_.nodes_.push_back(std::move(node));
    return out_.nodes_.size() - 1;
  }
  std::size_t join(Node::Kind kind, std::size_t left, std::size_t right) {
    Node node;
    node.kind = kind;
    node.left = left;
    node.right = right;
    return add(std::move(node));
  }

  std::size_t read_or(std::size_t depth) {
    if (depth > kMaxDepth) fail(at_, "parentheses and nots are nested too deeply");
    std::size_t left = read_and(depth);
    while (take_word("or")) {
      const std::size_t right = read_and(depth);
      left = join(Node::Kind::kOr, left, right);
    }
    return left;
  }
  std::size_t read_and(std::size_t depth) {
    std::size_t left = read_not(depth);
    while (take_word("and")) {
      const std::size_t right = read_not(depth);
      left = join(Node::Kind::kAnd, left, right);
    }
    return left;
  }
  std::size_t read_not(std::size_t depth) {
    if (depth > kMaxDepth) fail(at_, "parentheses and nots are nested too deeply");
    if (take_word("not")) {
      const std::size_t inner = read_not(depth + 1);
      return join(Node::Kind::kNot, inner, inner);
    }
    if (!take_mark("(")) return read_comparison();
    const std::size_t inner = read_or(depth + 1);
    if (!take_mark(")")) fail(at_, "expected and, or, or a closing parenthesis");
    return inner;
  }

  std::size_t read_comparison() {
    Node node;
    node.field = read_field();
    const std::size_t operator_at = (skip_blanks(), at_);
    read_operator(node);
    skip_blanks();
    const std::size_t value_at = at_;
    node.text = read_value();
    read_meaning(node, operator_at, value_at);
    return add(std::move(node));
  }

  Field read_field() {
    static constexpr std::pair<std::string_view, Field> kFields[] = {
        {"user", Field::kUser},
        {"database", Field::kDatabase},
        {"application", Field::kApplication},
        {"client", Field::kClient},
        {"backend", Field::kBackend},
        {"session", Field::kSession},
        {"time", Field::kTime},
        {"duration", Field::kDuration},
        {"bytes", Field::kBytes},
        {"rows", Field::kRows},
        {"sqlstate", Field::kSqlstate},
        {"statement", Field::kStatement},
        {"fingerprint", Field::kFingerprint},
        {"gaps", Field::kGaps},
        {"session_bytes", Field::kSessionBytes},
        {"session_duration", Field::kSessionDuration}};
    std::size_t end = 0;
    const std::string word = peek_word(end);
    for (const auto& [name, field] : kFields) {
      if (word != name) continue;
      at_ = end;
      return field;
    }
    fail(at_, std::string("expected not, a parenthesis, or a field: ") + kFieldNames);
  }

  void read_operator(Node& node) {
    static constexpr std::pair<std::string_view, Operator> kOperators[] = {
        {"!=", Operator::kUnequal}, {"<>", Operator::kUnequal}, {"<=", Operator::kAtMost},
        {">=", Operator::kAtLeast}, {"=", Operator::kEqual},    {"<", Operator::kLess},
        {">", Operator::kMore}};
    for (const std::string_view mark : {"!~*", "!~", "~*", "~"}) {
      if (!take_mark(mark)) continue;
      node.op = Operator::kMatches;
      node.negated = mark.front() == '!';
      any_case_ = mark.back() == '*';
      return;
    }
    for (const auto& [mark, op] : kOperators) {
      if (!take_mark(mark)) continue;
      node.op = op;
      return;
    }
    if (take_word("contains")) {
      node.op = Operator::kContains;
      return;
    }
    fail(at_, "expected an operator: = != < <= > >= ~ !~ ~* !~* or contains");
  }

  std::string read_value() {
    if (at_ >= text_.size()) fail(at_, "expected a value");
    if (text_[at_] == '\'' || text_[at_] == '"') return read_quoted();
    std::string value;
    while (at_ < text_.size() && !is_blank(text_[at_]) &&
           std::string_view("()'\"<>=!").find(text_[at_]) == std::string_view::npos)
      value += text_[at_++];
    if (value.empty()) fail(at_, "expected a value; put it in quotes if it begins with such a character");
    return value;
  }

  std::string read_quoted() {
    const std::size_t begin = at_;
    const char quote = text_[at_++];
    std::string value;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c != quote) {
        value += c;
      } else if (at_ < text_.size() && text_[at_] == quote) {
        value += text_[at_++];
      } else {
        return value;
      }
    }
    fail(begin, "this quote has no end");
  }

  // Whether the operator suits the field, and what the value means to it.
  void read_meaning(Node& node, std::size_t operator_at, std::size_t value_at) {
    switch (node.field) {
      case Field::kUser:
      case Field::kDatabase:
      case Field::kApplication:
      case Field::kBackend:
        return allow_texts(node, operator_at, value_at);
      case Field::kClient:
        if (node.op <= Operator::kUnequal && node.text.find('/') != std::string::npos) {
          auto network = std::make_shared<Condition::Network>();
          if (!network->parse(node.text))
            fail(value_at, "expected a network such as 10.0.0.0/8 or 2001:db8::/32");
          node.network = std::move(network);
          return;
        }
        return allow_texts(node, operator_at, value_at);
      case Field::kSqlstate:
        out_.asks_for_statements_ = true;
        return allow_texts(node, operator_at, value_at);
      case Field::kStatement:
        out_.asks_for_statements_ = true;
        return allow_texts(node, operator_at, value_at);
      case Field::kSession:
        allow(node, operator_at, Operator::kUnequal, "= or !=");
        if (!parse_session_id(node.text)) fail(value_at, "expected RUN.NUMBER, such as 1.17");
        return;
      case Field::kFingerprint:
        return read_fingerprint(node, operator_at);
      case Field::kTime:
        allow(node, operator_at, Operator::kAtLeast, "< <= > or >=");
        if (node.op <= Operator::kUnequal) fail(operator_at, "expected < <= > or >=: no two times are equal");
        if (const auto time = parse_moment(node.text, start_)) {
          node.number = *time;
          out_.asks_for_statements_ = true;
          return;
        }
        fail(value_at,
             "expected a time such as 2026-11-24T13:31:07Z, or one since the recording's beginning: 90s");
      default:
        return read_number(node, operator_at, value_at);
    }
  }

  void allow(const Node& node, std::size_t operator_at, Operator last, const char* expected) const {
    if (node.op > last) fail(operator_at, std::string("expected ") + expected + " here");
  }

  void allow_texts(Node& node, std::size_t operator_at, std::size_t value_at) {
    if (node.op > Operator::kUnequal && node.op < Operator::kMatches)
      fail(operator_at, "expected = != ~ !~ ~* !~* or contains: this is a text");
    if (node.op != Operator::kMatches) return;
    auto pattern = std::make_shared<Condition::Pattern>();
    if (const std::string why = pattern->compile(node.text, any_case_); !why.empty())
      fail(value_at, "expected a POSIX extended regular expression: " + why);
    node.pattern = std::move(pattern);
  }

  void read_fingerprint(Node& node, std::size_t operator_at) {
    allow(node, operator_at, Operator::kUnequal, "= or !=");
    out_.asks_for_statements_ = out_.asks_for_fingerprints_ = true;
    const auto digits = parse_fingerprint(node.text);
    node.fingerprint = digits ? *digits : StatementCatalog::fingerprint_of(node.text);
  }

  void read_number(Node& node, std::size_t operator_at, std::size_t value_at) {
    allow(node, operator_at, Operator::kAtLeast, "= != < <= > or >=");
    const bool duration = node.field == Field::kDuration || node.field == Field::kSessionDuration;
    const bool size = node.field == Field::kBytes || node.field == Field::kSessionBytes;
    const bool whole_session = node.field == Field::kGaps || node.field == Field::kSessionBytes ||
                               node.field == Field::kSessionDuration;
    (whole_session ? out_.asks_for_totals_ : out_.asks_for_statements_) = true;
    const auto value = duration ? parse_duration_value(node.text)
                       : size   ? parse_size_value(node.text)
                                : parse_count_value(node.text);
    if (!value) {
      fail(value_at, duration ? "expected a duration such as 100ms, 2s or 1.5min"
                     : size   ? "expected a number of bytes such as 4096, 64KiB or 1MB"
                              : "expected a whole number");
    }
    node.number = *value;
  }

  const std::string text_;
  const TimeNs start_;
  Condition& out_;
  std::size_t at_ = 0;
  bool any_case_ = false;  // of the operator read last
};

Condition::Condition(std::string_view text, TimeNs start) { ConditionParser(text, start, *this).read(); }

bool Condition::holds(const ConditionSubject& subject) const { return holds(root_, subject); }

bool Condition::holds(std::size_t index, const ConditionSubject& subject) const {
  const Node& node = nodes_[index];
  switch (node.kind) {
    case Node::Kind::kAnd:
      return holds(node.left, subject) && holds(node.right, subject);
    case Node::Kind::kOr:
      return holds(node.left, subject) || holds(node.right, subject);
    case Node::Kind::kNot:
      return !holds(node.left, subject);
    case Node::Kind::kComparison:
      break;
  }
  return compares(node, subject);
}

bool Condition::compares(const Node& node, const ConditionSubject& subject) {
  const auto op = static_cast<std::uint8_t>(node.op);
  const auto number = [&](std::optional<std::int64_t> value) {
    return value.has_value() && ordered(*value, node.number, op);
  };
  const Statement* const statement = subject.statement;
  const SessionTotals* const totals = subject.totals;
  using Number = std::optional<std::int64_t>;
  switch (node.field) {
    case Field::kTime:
      return time_compares(node, subject);
    case Field::kDuration:
      return number(statement != nullptr && statement->duration >= 0 ? Number(statement->duration)
                                                                     : Number());
    case Field::kBytes:
      return number(statement == nullptr
                        ? Number()
                        : Number(clamped(statement->client_bytes + statement->server_bytes)));
    case Field::kRows:
      return number(statement == nullptr ? Number() : Number(clamped(statement->rows)));
    case Field::kGaps:
      return number(totals == nullptr ? Number() : Number(clamped(totals->gaps)));
    case Field::kSessionBytes:
      return number(totals == nullptr ? Number() : Number(clamped(totals->bytes)));
    case Field::kSessionDuration:
      return number(totals == nullptr ? Number()
                                      : Number(time_between(subject.session.opened_at, totals->last_time)));
    case Field::kFingerprint:
      return subject.fingerprint != 0 &&
             (subject.fingerprint == node.fingerprint) == (node.op == Operator::kEqual);
    default:
      break;
  }
  return text_compares(node, subject).value_or(false);
}

// None where there is no such text.
std::optional<bool> Condition::text_compares(const Node& node, const ConditionSubject& subject) {
  std::string text;
  switch (node.field) {
    case Field::kUser:
      text = subject.session.user();
      break;
    case Field::kDatabase:
      text = subject.session.database();
      break;
    case Field::kApplication:
      text = subject.session.parameter("application_name");
      break;
    case Field::kClient:
      text = subject.session.peer;
      break;
    case Field::kBackend:
      text = subject.session.backend;
      break;
    case Field::kSession:
      text = subject.session.id.to_string();
      break;
    case Field::kSqlstate:
      if (subject.statement == nullptr || subject.statement->sqlstate.empty()) return std::nullopt;
      text = subject.statement->sqlstate;
      break;
    default:
      if (subject.statement == nullptr || !subject.statement->text) return std::nullopt;
      return node.op == Operator::kMatches
                 ? node.pattern->found_in(subject.statement->text->sql) != node.negated
             : node.op == Operator::kContains
                 ? subject.statement->text->sql.find(node.text) != std::string::npos
                 : matches_pattern(node.text, subject.statement->text->sql) == (node.op == Operator::kEqual);
  }
  if (node.op == Operator::kMatches) return node.pattern->found_in(text) != node.negated;
  if (node.op == Operator::kContains) return text.find(node.text) != std::string::npos;
  bool same = false;
  if (node.network) {
    same = node.network->contains(host_of_peer(text));
  } else {
    same = matches_pattern(node.text, text) ||
           (node.field == Field::kClient && matches_pattern(node.text, host_of_peer(text)));
  }
  return same == (node.op == Operator::kEqual);
}

// A session is open from its first event to its last: something of it must lie on that side.
bool Condition::time_compares(const Node& node, const ConditionSubject& subject) {
  const auto op = static_cast<std::uint8_t>(node.op);
  if (subject.statement != nullptr) return ordered(subject.statement->sent, node.number, op);
  if (subject.totals == nullptr) return false;
  const bool before = node.op == Operator::kLess || node.op == Operator::kAtMost;
  return ordered(
      before ? std::min(subject.session.opened_at, subject.totals->first_time) : subject.totals->last_time,
      node.number, op);
}

}  // namespace understudy::replayer
