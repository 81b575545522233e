#include "proxy/statement_words.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <utility>

#include "proxy/known_functions.h"

namespace understudy::proxy {
namespace {

using Tokens = std::span<const SqlToken>;
using Effect = std::optional<StatementEffect>;
using enum SqlTokenKind;

constexpr std::size_t kMaxNameBytes = 63;  // longer names are cut off by the server

// Reserved, or of no use as a function's name: a parenthesis after one of these calls nothing of the user's.
constexpr std::string_view kBeforeParenthesis[] = {
    "all",    "and",    "any",    "as",       "between", "cast", "coalesce",  "distinct", "else",
    "except", "exists", "from",   "greatest", "having",  "in",   "intersect", "lateral",  "least",
    "limit",  "not",    "nullif", "offset",   "on",      "or",   "select",    "some",     "then",
    "trim",   "union",  "using",  "values",   "when",    "where"};
static_assert(std::is_sorted(std::begin(kBeforeParenthesis), std::end(kBeforeParenthesis)));

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// A word in lower case, without an allocation; empty for one too long to be known.
class LowerWord {
 public:
  LowerWord(std::string_view sql, const SqlToken& token) {
    const std::string_view text = token.of(sql);
    if (text.size() > buffer_.size()) return;
    std::transform(text.begin(), text.end(), buffer_.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    size_ = text.size();
  }
  [[nodiscard]] std::string_view view() const { return {buffer_.data(), size_}; }

 private:
  std::array<char, kMaxNameBytes> buffer_;
  std::size_t size_ = 0;
};

bool is_word(std::string_view sql, const SqlToken& token, std::initializer_list<std::string_view> words) {
  return token.kind == kWord && one_of(LowerWord(sql, token).view(), words);
}

// Every parenthesis is closed: no semicolon that parted the statements stood inside one.
bool balanced(std::string_view sql, Tokens tokens) {
  std::size_t depth = 0;
  for (const SqlToken& token : tokens) {
    if (token.is(sql, '(')) ++depth;
    if (token.is(sql, ')') && depth-- == 0) return false;
  }
  return depth == 0;
}

// Whether the parenthesis at `at` can only group, or call a safe function.
bool harmless_parenthesis(std::string_view sql, Tokens tokens, std::size_t at) {
  const SqlToken& before = tokens[at - 1];  // a statement begins with a word
  if (before.kind == kSymbol) return !before.is(sql, ')') && !before.is(sql, ']') && !before.is(sql, '.');
  if (before.kind != kWord || (at >= 2 && tokens[at - 2].is(sql, '.'))) return false;
  const LowerWord word(sql, before);
  return std::binary_search(std::begin(kBeforeParenthesis), std::end(kBeforeParenthesis), word.view()) ||
         is_safe_function(word.view());
}

Effect judge_read(std::string_view sql, Tokens tokens) {
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    const SqlToken& token = tokens[i];
    // INTO makes a table, FOR may lock rows, WITH may hold an INSERT.
    if (is_word(sql, token, {"into", "for", "with"})) return std::nullopt;
    if (token.is(sql, '(') && !harmless_parenthesis(sql, tokens, i)) return std::nullopt;
    // (x).f may call f.
    if (token.is(sql, '.') && tokens[i - 1].kind != kWord && tokens[i - 1].kind != kQuotedName)
      return std::nullopt;
  }
  return StatementEffect{.read_safe = true};
}

// Where the columns of INSERT INTO [schema .] table (column, ...) begin, or 0: that parenthesis calls
// nothing.
std::size_t column_list(std::string_view sql, Tokens tokens) {
  if (tokens.size() < 4 || !is_word(sql, tokens[0], {"insert"})) return 0;
  const std::size_t at = tokens[3].is(sql, '.') ? 5 : 3;
  return at < tokens.size() && tokens[at].is(sql, '(') ? at : 0;
}

// A parenthesis in what writes: may it call a function that is neither safe nor of those that `known` tells?
template <typename Known>
bool may_be_opaque(std::string_view sql, Tokens tokens, Known known) {
  const std::size_t columns = column_list(sql, tokens);
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    if (i == columns) continue;
    if (tokens[i].is(sql, '(') && !harmless_parenthesis(sql, tokens, i) && !known(i)) return true;
    // (x).f may call f.
    if (tokens[i].is(sql, '.') && tokens[i - 1].kind != kWord && tokens[i - 1].kind != kQuotedName)
      return true;
  }
  return false;
}

Effect judge_write(std::string_view sql, Tokens tokens) {
  if (std::any_of(tokens.begin(), tokens.end(),
                  [&](const auto& token) { return names_session_state(sql, token); }) ||
      may_be_opaque(sql, tokens, [](std::size_t) { return false; }))
    return std::nullopt;
  return StatementEffect{.may_write = true};
}

Effect transaction_effect(EffectKind kind, std::string name = {}) {
  return StatementEffect{.kind = kind, .name = std::move(name), .read_safe = true};
}

// The savepoint's name after what is left: [SAVEPOINT] name.
Effect savepoint_effect(EffectKind kind, std::string_view sql, Tokens rest) {
  if (rest.size() == 2 && is_word(sql, rest[0], {"savepoint"})) rest = rest.subspan(1);
  if (rest.size() != 1 || rest[0].kind != kWord || is_word(sql, rest[0], {"savepoint"})) return std::nullopt;
  const std::string_view name = rest[0].of(sql);
  const bool ascii = std::all_of(name.begin(), name.end(), [](char c) { return (c & 0x80) == 0; });
  if (!ascii || name.size() > kMaxNameBytes) return std::nullopt;
  return transaction_effect(kind, to_lower(name));
}

Effect judge_end(EffectKind kind, std::string_view sql, Tokens rest) {
  if (!rest.empty() && is_word(sql, rest[0], {"work", "transaction"})) rest = rest.subspan(1);
  if (rest.empty()) return transaction_effect(kind);
  if (kind == EffectKind::kRollback && is_word(sql, rest[0], {"to"}))
    return savepoint_effect(EffectKind::kRollbackTo, sql, rest.subspan(1));
  return std::nullopt;
}

Effect judge_begin(std::string_view sql, Tokens tokens) {
  const bool start = is_word(sql, tokens[0], {"start"});
  const bool plain = tokens.size() == 1 && !start;
  const bool named = tokens.size() == 2 && (is_word(sql, tokens[1], {"transaction"}) ||
                                            (!start && is_word(sql, tokens[1], {"work"})));
  if (!plain && !named) return std::nullopt;
  return transaction_effect(EffectKind::kBegin);
}

}  // namespace

// (A column called setseed costs a parse.)
bool names_session_state(std::string_view sql, const SqlToken& token) {
  if (token.kind != kWord && token.kind != kQuotedName) return false;
  const LowerWord lower(sql, token);
  std::string_view name = lower.view();
  if (token.kind == kQuotedName && name.size() >= 2) name = name.substr(1, name.size() - 2);
  return one_of(name, {"set_config", "pg_settings"}) || !pinning_state(name).empty();
}

bool calls_unknown_code(std::string_view sql, Tokens tokens) {
  return may_be_opaque(sql, tokens, [&](std::size_t at) {
    if (tokens[at - 1].kind != kWord || (at >= 2 && tokens[at - 2].is(sql, '.'))) return false;
    const LowerWord word(sql, tokens[at - 1]);
    return is_volatile_reader(word.view()) || is_plain_writer(word.view());
  });
}

std::optional<StatementEffect> judge_statement_by_words(std::string_view sql, Tokens tokens) {
  if (tokens[0].kind != kWord || !balanced(sql, tokens)) return std::nullopt;
  const LowerWord first(sql, tokens[0]);
  const std::string_view word = first.view();
  const Tokens rest = tokens.subspan(1);
  if (one_of(word, {"select", "values"})) return judge_read(sql, tokens);
  if (one_of(word, {"insert", "update", "delete", "merge"})) return judge_write(sql, tokens);
  if (one_of(word, {"begin", "start"})) return judge_begin(sql, tokens);
  if (one_of(word, {"commit", "end"})) return judge_end(EffectKind::kCommit, sql, rest);
  if (word == "rollback") return judge_end(EffectKind::kRollback, sql, rest);
  if (word == "abort" && rest.size() <= 1) return judge_end(EffectKind::kRollback, sql, rest);
  if (word == "savepoint" && rest.size() == 1) return savepoint_effect(EffectKind::kSavepoint, sql, rest);
  if (word == "release") return savepoint_effect(EffectKind::kRelease, sql, rest);
  return std::nullopt;
}

std::optional<std::vector<StatementEffect>> judge_by_words(std::string_view sql, Tokens tokens) {
  std::vector<StatementEffect> effects;
  while (!tokens.empty()) {
    const auto semicolon =
        std::find_if(tokens.begin(), tokens.end(), [&](const SqlToken& token) { return token.is(sql, ';'); });
    const auto length = static_cast<std::size_t>(semicolon - tokens.begin());
    if (length > 0) {
      Effect effect = judge_statement_by_words(sql, tokens.first(length));
      if (!effect) return std::nullopt;
      effects.push_back(std::move(*effect));
    }
    tokens = tokens.subspan(std::min(length + 1, tokens.size()));
  }
  return effects;
}

}  // namespace understudy::proxy
