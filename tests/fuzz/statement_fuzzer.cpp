// What a text of SQL means, of arbitrary text. What is held: nothing crashes; what is read-safe does not
// write; what is not understood may do anything; a statement's text is a piece of what was given; the cache
// says the same; and where a look at the words was enough, the parser says nothing worse.
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <pg_query.h>

#include <memory>

#include "formats/bytes.h"
#include "proxy/statement_effects.h"
#include "proxy/statement_traits.h"
#include "proxy/statement_words.h"
#include "tests/fuzz/require.h"

namespace understudy::proxy {
namespace {

bool same(const StatementTraits& a, const StatementTraits& b) {
  return a.understood == b.understood && a.statements == b.statements && a.may_copy == b.may_copy &&
         a.wrappable == b.wrappable;
}

void check_tokens(std::string_view sql, const std::vector<SqlToken>& tokens) {
  std::size_t at = 0;
  for (const SqlToken& token : tokens) {
    require(token.begin >= at && token.begin < token.end && token.end <= sql.size());
    at = token.end;
  }
  require(nesting_bound(sql, tokens) <= tokens.size() + 1);
}

// The parser's opinion; nothing where it finds a mistake.
std::optional<std::vector<StatementEffect>> judge_by_tree(const std::string& sql) {
  const std::unique_ptr<PgQueryParseResult, void (*)(PgQueryParseResult*)> parsed(
      new PgQueryParseResult(pg_query_parse(sql.c_str())), [](PgQueryParseResult* result) {
        pg_query_free_parse_result(*result);
        delete result;
      });
  if (parsed->error != nullptr) return std::nullopt;
  std::vector<StatementEffect> effects;
  try {
    Poco::JSON::Parser parser;
    const auto root = parser.parse(parsed->parse_tree).extract<Poco::JSON::Object::Ptr>();
    const auto statements = root->getArray("stmts");
    for (unsigned i = 0; statements && i < statements->size(); ++i) {
      effects.push_back(effect_of_tree(statements->getObject(i)->getObject("stmt"), {}));
    }
  } catch (const Poco::Exception&) {  // names that are no UTF-8
    return std::nullopt;
  }
  return effects;
}

void compare(std::string_view sql, const std::vector<SqlToken>& tokens) {
  const auto words = judge_by_words(sql, tokens);
  if (!words || nesting_bound(sql, tokens) > 500) return;
  const auto tree = judge_by_tree(std::string(sql));
  if (!tree) return;
  require(words->size() == tree->size());
  for (std::size_t i = 0; i < words->size(); ++i) {
    const StatementEffect& quick = (*words)[i];
    const StatementEffect& thorough = (*tree)[i];
    require(quick.kind == thorough.kind && quick.name == thorough.name && quick.chain == thorough.chain);
    require(!quick.read_safe || thorough.read_safe);
    require(quick.may_write || !thorough.may_write);
    require(quick.opaque || !thorough.opaque);
  }
}

void check_all(std::string_view sql) {
  static StatementTraitsCache cache;
  const StatementTraits traits = classify_statement(sql);
  require(same(cache.of(sql), traits) && same(cache.of(sql), traits));
  require(traits.understood || traits.statements.size() == 1);
  for (const StatementEffect& effect : traits.statements) {
    require(!(effect.read_safe && effect.may_write));
    require(traits.understood || effect.may_write);
    require(!effect.on_replica || (effect.read_safe && effect.kind == EffectKind::kNone && !effect.opaque));
    require(sql.find(effect.text) != std::string_view::npos);
  }
  const auto tokens = read_sql_tokens(sql);
  if (tokens) check_tokens(sql, *tokens);
  if (tokens && sql.find('\0') == std::string_view::npos) compare(sql, *tokens);
}

}  // namespace
}  // namespace understudy::proxy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  understudy::proxy::check_all(understudy::as_text({data, size}));
  return 0;
}
