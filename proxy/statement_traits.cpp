#include "proxy/statement_traits.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <pg_query.h>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "proxy/replica_reads.h"
#include "proxy/sql_tokens.h"
#include "proxy/statement_effects.h"
#include "proxy/statement_words.h"
#include "proxy/unread_statements.h"

namespace understudy::proxy {
namespace {

using Poco::Dynamic::Var;
using Tokens = std::optional<std::vector<SqlToken>>;

constexpr std::size_t kMaxBytes = 1U << 20;
// libpg_query recurses into what it parsed and does not look at its stack: some 400 bytes a level were
// measured, and every token may be one.
constexpr std::size_t kMaxNesting = 5000;
constexpr std::size_t kMaxBytesWithoutTokens = 2 * kMaxNesting;
// Of the JSON, where a node takes two levels or three. Poco recurses as well, with larger steps.
constexpr std::size_t kMaxJsonDepth = 2000;

// What is judged costs a session's worker time in which no other is served, and memory: a parser's tree, as
// JSON, is some hundred times as large as its text. So much was measured of a token that is parsed: 1 to 5
// microseconds; of a statement 20. (A token may be long: 500 kB in one string take less than 20 ms.)
constexpr std::size_t kMaxParseCost = 2500;  // in tokens
constexpr std::size_t kStatementCost = 10;   // likewise
constexpr std::size_t kMaxStatements = 4096;

StatementTraits not_understood(std::string_view sql, const Tokens& tokens) {
  return {.statements = {judge_unread_text(sql, tokens)}, .understood = false};
}

std::size_t parse_cost(std::size_t tokens, std::size_t statements) {
  return tokens + statements * kStatementCost;
}

bool may_be_parsed(std::string_view sql, const Tokens& tokens) {
  return tokens ? nesting_bound(sql, *tokens) <= kMaxNesting : sql.size() <= kMaxBytesWithoutTokens;
}

// One statement of the text, without what stands before and after it: a comment at its end would swallow
// whatever is written behind it.
std::string_view trim(std::string_view sql, const Tokens& tokens, std::size_t begin, std::size_t length) {
  const std::size_t end = length == 0 ? sql.size() : std::min(begin + length, sql.size());
  if (!tokens) return sql.substr(begin, end - begin);  // blanks and comments and all
  const auto from = [&](std::size_t offset) {
    return std::lower_bound(tokens->begin(), tokens->end(), offset,
                            [](const SqlToken& token, std::size_t at) { return token.begin < at; });
  };
  auto first = from(begin);
  auto past = from(end);
  while (first != past && first->is(sql, ';')) ++first;
  while (first != past && std::prev(past)->is(sql, ';')) --past;
  return first == past ? std::string_view() : sql.substr(first->begin, std::prev(past)->end - first->begin);
}

StatementTraits read_tree(const char* json, std::string_view sql, const Tokens& tokens) {
  Poco::JSON::Parser parser;
  parser.setDepth(kMaxJsonDepth);
  const auto root = parser.parse(json).extract<Poco::JSON::Object::Ptr>();
  StatementTraits traits;
  const auto statements = root->getArray("stmts");
  for (unsigned i = 0; statements && i < statements->size(); ++i) {
    const auto raw = statements->getObject(i);
    const auto begin = raw->optValue<std::size_t>("stmt_location", 0);
    const auto length = raw->optValue<std::size_t>("stmt_len", 0);
    const std::string_view text = trim(sql, tokens, std::min(begin, sql.size()), length);
    traits.statements.push_back(effect_of_tree(raw->getObject("stmt"), text));
  }
  return traits;
}

// Every offset as it was. The server's lexer takes time that grows with the square of how deep comments nest.
std::string without_comments(std::string_view sql, const Tokens& tokens) {
  std::string text(sql);
  if (!tokens) return text;
  std::size_t at = 0;
  const auto blank_until = [&](std::size_t end) {
    for (; at < end; ++at)
      text[at] = text[at] == '\n' || text[at] == '\r' ? '\n' : ' ';  // strings go on after a line's end
  };
  for (const SqlToken& token : *tokens) {
    blank_until(token.begin);
    at = token.end;
  }
  blank_until(text.size());
  return text;
}

StatementTraits parse(std::string_view sql, const Tokens& tokens) {
  const std::string text = without_comments(sql, tokens);
  const PgQueryParseResult parsed = pg_query_parse(text.c_str());
  const std::unique_ptr<const PgQueryParseResult, void (*)(const PgQueryParseResult*)> guard(
      &parsed, [](const PgQueryParseResult* result) { pg_query_free_parse_result(*result); });
  if (parsed.error != nullptr) return not_understood(sql, tokens);
  try {
    return read_tree(parsed.parse_tree, sql, tokens);
  } catch (const std::exception&) {  // not the tree that was expected, or too deep
    return not_understood(sql, tokens);
  }
}

// What would take too long to be parsed as a whole: each statement by its words, or parsed as long as the sum
// of that may be; the others unread.
StatementTraits judge_in_pieces(std::string_view sql, const std::vector<SqlToken>& tokens) {
  const auto pieces = split_statements(sql, tokens, kMaxStatements);
  if (!pieces) return not_understood(sql, tokens);
  StatementTraits traits;
  std::size_t left = kMaxParseCost;
  for (const std::span<const SqlToken> piece : *pieces) {
    std::optional<StatementEffect> effect = judge_statement_by_words(sql, piece);
    const std::size_t cost = parse_cost(piece.size(), 1);
    if (!effect && cost <= left && nesting_bound(sql, piece) <= kMaxNesting) {
      left -= cost;
      const std::string_view text = sql.substr(piece.front().begin, piece.back().end - piece.front().begin);
      StatementTraits parsed = parse(text, read_sql_tokens(text));
      if (parsed.understood && parsed.statements.size() == 1) effect = std::move(parsed.statements.front());
    }
    traits.statements.push_back(effect ? std::move(*effect) : judge_unread(sql, piece));
  }
  return traits;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
// A digit behind it is part of a name, a parameter or an escape.
constexpr std::array<bool, 256> kContinuesWord = [] {
  std::array<bool, 256> continues{};
  for (std::size_t code = 0; code < continues.size(); ++code) {
    const char c = static_cast<char>(code);
    continues[code] = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                      c == '$' || c == '\\' || code >= 0x80;
  }
  return continues;
}();
bool continues_word(char c) { return kContinuesWord[static_cast<unsigned char>(c)]; }

bool begins_with(std::string_view sql, std::string_view word) {
  return sql.size() >= word.size() &&
         std::equal(word.begin(), word.end(), sql.begin(), [](char a, char b) { return a == lower(b); });
}

bool mentions_copy(std::string_view sql) {
  for (; !sql.empty(); sql.remove_prefix(1)) {
    if (begins_with(sql, "copy")) return true;
  }
  return false;
}

// A statement that the server takes in a transaction block as well as outside of one, as far as its words
// tell (PostgreSQL documentation, "SQL Commands": what "cannot be executed inside a transaction block").
bool stands_in_transaction(std::string_view sql, std::span<const SqlToken> statement) {
  constexpr std::string_view kAnyway[] = {"comment", "delete", "grant",    "insert", "merge", "refresh",
                                          "revoke",  "select", "truncate", "update", "with"};
  constexpr std::string_view kMostly[] = {"alter", "create"};
  constexpr std::string_view kBut[] = {"concurrently", "database", "subscription", "system", "tablespace"};
  const auto is_one_of = [&](const SqlToken& token, std::span<const std::string_view> words) {
    return token.kind == SqlTokenKind::kWord &&
           std::any_of(words.begin(), words.end(), [&](std::string_view word) {
             return token.of(sql).size() == word.size() && begins_with(token.of(sql), word);
           });
  };
  const bool excepted = std::any_of(statement.begin(), statement.end(),
                                    [&](const SqlToken& token) { return is_one_of(token, kBut); });
  if (statement.empty()) return true;
  return is_one_of(statement.front(), kMostly) ? !excepted : is_one_of(statement.front(), kAnyway);
}

// COPY ... FROM STDIN.
bool takes_data(std::string_view sql, std::span<const SqlToken> statement) {
  const auto is_word = [&](const SqlToken& token, std::string_view word) {
    return token.kind == SqlTokenKind::kWord && token.of(sql).size() == word.size() &&
           begins_with(token.of(sql), word);
  };
  return !statement.empty() && is_word(statement.front(), "copy") &&
         std::adjacent_find(statement.begin(), statement.end(),
                            [&](const SqlToken& one, const SqlToken& next) {
                              return is_word(one, "from") && is_word(next, "stdin");
                            }) != statement.end();
}

// (Behind what lets go of something the server is asked outside of a transaction.)
void find_wrappable(std::string_view sql, const std::vector<SqlToken>& tokens, StatementTraits& traits) {
  const auto plain = [](const StatementEffect& effect) {
    return effect.kind == EffectKind::kNone && (effect.releases | effect.unseen) == 0;
  };
  const bool writes = std::any_of(traits.statements.begin(), traits.statements.end(),
                                  [](const StatementEffect& effect) { return effect.may_write; });
  if (!traits.understood || !writes ||
      !std::all_of(traits.statements.begin(), traits.statements.end(), plain)) {
    return;
  }
  const auto statements = split_statements(sql, tokens, kMaxStatements);
  if (!statements || statements->size() != traits.statements.size()) return;
  traits.wrappable = std::all_of(statements->begin(), statements->end(), [&](std::span<const SqlToken> one) {
    return stands_in_transaction(sql, one);
  });
  traits.wrappable_copy = statements->size() == 1 && takes_data(sql, statements->front());
}

// What is kept of the text itself may hold one. Of all grammar, FLOAT(n) alone minds how large one is.
bool numbers_do_not_matter(std::string_view sql, const std::vector<SqlToken>& tokens,
                           const StatementTraits& traits) {
  const auto plain = [](const StatementEffect& effect) {
    return effect.kind == EffectKind::kNone && effect.name.empty() && effect.text.empty() &&
           effect.sought.empty() && (effect.holds | effect.releases | effect.unseen) == 0;
  };
  const auto is_float = [&](const SqlToken& token) {
    const std::string_view word = token.of(sql);
    return word.size() == 5 && begins_with(word, "float");
  };
  return traits.understood && std::all_of(traits.statements.begin(), traits.statements.end(), plain) &&
         std::none_of(tokens.begin(), tokens.end(), is_float);
}

StatementTraits judge(std::string_view sql, const Tokens& tokens) {
  if (tokens) {
    const auto semicolons = static_cast<std::size_t>(std::count_if(
        tokens->begin(), tokens->end(), [&](const SqlToken& token) { return token.is(sql, ';'); }));
    if (semicolons > kMaxStatements) return not_understood(sql, tokens);
    if (auto effects = judge_by_words(sql, *tokens)) return {.statements = std::move(*effects)};
    if (parse_cost(tokens->size(), semicolons) > kMaxParseCost) return judge_in_pieces(sql, *tokens);
  }
  return may_be_parsed(sql, tokens) ? parse(sql, tokens) : not_understood(sql, tokens);
}

StatementTraits judge(std::string_view sql) {
  if (sql.size() > kMaxBytes) return {.statements = {judge_beginning(sql)}, .understood = false};
  if (sql.find('\0') != std::string_view::npos)  // a mistake
    return {.statements = {unknown_effect()}, .understood = false};
  const Tokens tokens = read_sql_tokens(sql);
  StatementTraits traits = judge(sql, tokens);
  // One alone: of several, those that begin as reads would be judged by the words of the others.
  traits.any_numbers = tokens && numbers_do_not_matter(sql, *tokens, traits);
  if (tokens) find_wrappable(sql, *tokens, traits);
  if (!tokens || !traits.understood || traits.statements.size() != 1) return traits;
  StatementEffect& effect = traits.statements.front();
  const bool read = effect.kind == EffectKind::kNone && effect.read_safe;
  effect.on_replica = read && same_on_a_replica(sql, *tokens);
  return traits;
}

}  // namespace

StatementTraits classify_statement(std::string_view sql) {
  StatementTraits traits = judge(sql);
  // A client is never asked for data by what runs within DO or CALL.
  const bool runs_code =
      traits.understood && traits.statements.size() == 1 && traits.statements.front().unseen != 0;
  traits.may_copy = !runs_code && mentions_copy(sql);
  return traits;
}

const StatementTraits& StatementTraitsCache::of(std::string_view sql) {
  if (!sql.empty() && sql == last_text_) return last_;
  if (sql.size() > kMaxTextBytes) return judged(sql);
  Recent& recent =
      recent_[(sql.size() ^ static_cast<unsigned char>(sql.empty() ? 0 : sql[sql.size() / 2])) % kMaxRecent];
  if (recent.traits != nullptr && recent.text == sql) return *recent.traits;
  const std::string_view shape = without_numbers(sql);
  if (const auto found = shapes_.find(shape); found != shapes_.end()) {
    // (One with numbers in it hardly comes back as it is.)
    if (shape == sql && sql.size() <= kMaxRecentBytes) recent = {std::string(sql), &found->second};
    return found->second;
  }
  if (const auto found = known_.find(sql); found != known_.end()) return found->second;
  const StatementTraits& traits = judged(sql);
  const std::string_view key = traits.any_numbers ? shape : sql;
  const std::size_t hash = Hash{}(key);
  if (std::exchange(seen_[hash % kMaxSeen], hash) != hash) return traits;
  Known& known = traits.any_numbers ? shapes_ : known_;
  if (known.size() >= kMaxEntries || bytes_ + key.size() > kMaxBytes) forget();
  bytes_ += key.size();
  return known.emplace(key, traits).first->second;
}

void StatementTraitsCache::forget() {
  shapes_.clear();
  known_.clear();
  recent_ = {};
  bytes_ = 0;
}

const StatementTraits& StatementTraitsCache::judged(std::string_view sql) {
  ++judgements_;
  last_text_ = sql;
  return last_ = classify_statement(sql);
}

// Short numbers are 0; those within a name or behind a $ are none. (Those within strings and comments are as
// well: what is asked for is said by words. Long ones are not: the grammar has another kind for them.)
std::string_view StatementTraitsCache::without_numbers(std::string_view sql) {
  constexpr std::size_t kMostDigits = 9;
  shape_.resize(sql.size());
  char* out = shape_.data();
  bool within_word = false;
  for (std::size_t at = 0; at < sql.size();) {
    if (within_word || !is_digit(sql[at])) {
      within_word = continues_word(sql[at]);
      *out++ = sql[at++];
      continue;
    }
    std::size_t end = at;
    while (end < sql.size() && is_digit(sql[end])) ++end;
    if (end - at <= kMostDigits) {
      *out++ = '0';
    } else {
      out = std::copy(sql.begin() + static_cast<std::ptrdiff_t>(at),
                      sql.begin() + static_cast<std::ptrdiff_t>(end), out);
    }
    at = end;
  }
  shape_.resize(static_cast<std::size_t>(out - shape_.data()));
  return shape_;
}

}  // namespace understudy::proxy
