#include "proxy/unread_statements.h"

#include <algorithm>
#include <string>

#include "proxy/known_functions.h"
#include "proxy/statement_effects.h"
#include "proxy/statement_words.h"

namespace understudy::proxy {
namespace {

using Tokens = std::span<const SqlToken>;

// Statements that begin so only read and write, unless they name what a session has.
constexpr std::string_view kQueries[] = {"delete", "insert", "merge",  "select",
                                         "table",  "update", "values", "with"};
static_assert(std::is_sorted(std::begin(kQueries), std::end(kQueries)));

// Likewise, and what is not one of either may change the session.
constexpr std::string_view kCommands[] = {
    "abort",  "alter",    "analyze",   "begin",    "checkpoint", "close",   "cluster",  "comment",
    "commit", "copy",     "create",    "drop",     "end",        "explain", "fetch",    "grant",
    "import", "lock",     "move",      "notify",   "reassign",   "refresh", "reindex",  "release",
    "revoke", "rollback", "savepoint", "security", "show",       "start",   "truncate", "vacuum"};
static_assert(std::is_sorted(std::begin(kCommands), std::end(kCommands)));

// What the server tells nothing of, when it is asked what a session has.
constexpr std::string_view kNotTold = "PREPARE or LISTEN in a text that the proxy did not parse";

template <std::size_t N>
bool is_among(const std::string_view (&words)[N], std::string_view word) {
  return std::binary_search(std::begin(words), std::end(words), word);
}

bool is_temporary(std::string_view word) { return word == "temp" || word == "temporary"; }

std::string name_of(std::string_view sql, const SqlToken& token) {
  std::string_view name = token.of(sql);
  if (token.kind == SqlTokenKind::kQuotedName) name = name.substr(1, name.size() - 2);
  return to_lower(name);
}

// CREATE TEMP, INTO TEMP; a column may be called so.
bool makes_temporary(std::string_view sql, const SqlToken& before) {
  constexpr std::string_view kBefore[] = {"create", "global", "into", "local", "replace"};
  return before.kind == SqlTokenKind::kWord && is_among(kBefore, to_lower(before.of(sql)));
}

// The name, if it is one that stands for something of the session; `before`: the token before it.
std::optional<std::string> named_state(std::string_view sql, const SqlToken& before, const SqlToken& token) {
  constexpr std::string_view kBegin = "dpst";  // all of them do
  if (token.kind != SqlTokenKind::kWord && token.kind != SqlTokenKind::kQuotedName) return std::nullopt;
  const char first = static_cast<char>(sql[token.begin] | 0x20);
  if (token.kind == SqlTokenKind::kWord && kBegin.find(first) == std::string_view::npos) return std::nullopt;
  const std::string name = name_of(sql, token);
  const bool is_state = name.starts_with("pg_temp") || is_advisory_unlock(name) ||
                        names_session_state(sql, token) ||
                        (is_temporary(name) && makes_temporary(sql, before));
  return is_state ? std::optional(name) : std::nullopt;
}

// `pins`: in words, what the server would not tell of.
void mark_unseen(StatementEffect& effect, std::string_view pins) {
  effect.unseen = kHeldAnything | kUnseenSettings;
  effect.tells_change = true;
  if (pins.empty() || effect.kind == EffectKind::kPin) return;
  effect.kind = EffectKind::kPin;
  effect.name = pins;
}

// Of a word, or of a function's name.
std::string_view pins(std::string_view word) {
  if (word == "prepare" || word == "listen") return kNotTold;
  const std::string_view state = pinning_state(word);
  return state == kAdvisoryLock ? std::string_view() : state;
}

// Any of these words, wherever it stands: in a string, too.
StatementEffect judge_by_any_word(std::string_view sql) {
  constexpr std::string_view kWords[] = {"call",   "declare",    "discard",     "do",       "execute",
                                         "listen", "load",       "pg_settings", "prepare",  "reset",
                                         "set",    "set_config", "temp",        "temporary"};
  static_assert(std::is_sorted(std::begin(kWords), std::end(kWords)));
  const std::string lower = to_lower(sql);
  const auto in_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  StatementEffect effect = unknown_effect();
  for (auto at = lower.begin(); (at = std::find_if(at, lower.end(), in_word)) != lower.end();) {
    const auto end = std::find_if_not(at, lower.end(), in_word);
    const std::string_view word(&*at, static_cast<std::size_t>(end - at));
    const bool found = is_among(kWords, word) || word.starts_with("pg_temp") || !pinning_state(word).empty();
    if (found) mark_unseen(effect, pins(word));
    at = end;
  }
  return effect;
}

}  // namespace

std::optional<std::vector<Tokens>> split_statements(std::string_view sql, Tokens tokens, std::size_t most) {
  std::vector<Tokens> statements;
  while (!tokens.empty()) {
    std::size_t depth = 0;
    std::size_t length = 0;
    for (; length < tokens.size() && !tokens[length].is(sql, ';'); ++length) {
      const SqlToken& token = tokens[length];
      if (token.is(sql, '(')) ++depth;
      if (token.is(sql, ')') && depth-- == 0) return std::nullopt;
      constexpr std::string_view kAtomic = "atomic";
      if (token.kind == SqlTokenKind::kWord && token.end - token.begin == kAtomic.size() &&
          to_lower(token.of(sql)) == kAtomic)
        return std::nullopt;
    }
    if (depth != 0 || (length > 0 && statements.size() == most)) return std::nullopt;
    if (length > 0) statements.push_back(tokens.first(length));
    tokens = tokens.subspan(std::min(length + 1, tokens.size()));
  }
  return statements;
}

StatementEffect judge_unread(std::string_view sql, Tokens statement) {
  StatementEffect effect = unknown_effect();
  const auto first = std::find_if_not(statement.begin(), statement.end(),
                                      [&](const SqlToken& token) { return token.is(sql, '('); });
  if (first == statement.end()) return effect;  // a mistake
  const std::string word = name_of(sql, *first);
  const bool query = is_among(kQueries, word);
  if (!query && !is_among(kCommands, word)) mark_unseen(effect, pins(word));
  for (std::size_t i = 1; i < statement.size(); ++i) {
    if (const auto name = named_state(sql, statement[i - 1], statement[i])) mark_unseen(effect, pins(*name));
  }
  if (query && effect.unseen == 0) effect.opaque = calls_unknown_code(sql, statement);
  return effect;
}

StatementEffect judge_beginning(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n\f(");
  text.remove_prefix(std::min(begin, text.size()));
  const auto end = std::find_if_not(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  });
  const std::string word = to_lower(text.substr(0, static_cast<std::size_t>(end - text.begin())));
  StatementEffect effect = unknown_effect();
  if (!is_among(kQueries, word) && !is_among(kCommands, word)) mark_unseen(effect, pins(word));
  return effect;
}

StatementEffect judge_unread_text(std::string_view sql, const std::optional<std::vector<SqlToken>>& tokens) {
  if (!tokens) return judge_by_any_word(sql);
  StatementEffect all = unknown_effect();
  Tokens rest = *tokens;
  while (!rest.empty()) {
    const auto end =
        std::find_if(rest.begin(), rest.end(), [&](const SqlToken& token) { return token.is(sql, ';'); });
    const auto length = static_cast<std::size_t>(end - rest.begin());
    const StatementEffect one = judge_unread(sql, rest.first(length));
    if (one.unseen != 0) mark_unseen(all, one.name);
    rest = rest.subspan(std::min(length + 1, rest.size()));
  }
  return all;
}

}  // namespace understudy::proxy
