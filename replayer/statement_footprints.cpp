#include "replayer/statement_footprints.h"

#include <pg_query.h>

#include <algorithm>
#include <charconv>

#include "replayer/parse_tree.h"
#include "replayer/sql_constants.h"

namespace understudy::replayer {
namespace {

using Kind = StatementShape::Kind;

constexpr std::size_t kMaxShapes = 10'000;
// Longer texts are long for their data (many rows of values), and not worth a tree.
constexpr std::size_t kMaxParsedBytes = 8192;

std::shared_ptr<const StatementShape> shape_of(Kind kind) {
  StatementShape shape;
  shape.kind = kind;
  return std::make_shared<const StatementShape>(std::move(shape));
}

// Whether a text too long to parse could give names another meaning.
bool is_data(std::string_view sql) {
  const std::size_t begin = std::min(sql.find_first_not_of(" \t\r\n("), sql.size());
  std::string word(sql.substr(begin, 6));
  std::transform(word.begin(), word.end(), word.begin(), [](char c) { return static_cast<char>(c | 0x20); });
  return word == "insert" || word == "select" || word == "update" || word == "delete" || word == "values" ||
         word.starts_with("with ") || word.starts_with("merge ");
}

}  // namespace

std::optional<std::int64_t> integer_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

KnownStatement StatementFootprints::identify(std::string_view sql) {
  KnownStatement known;
  auto split = split_constants(sql);
  std::string text(split ? std::string_view(split->skeleton) : sql);
  const auto found = shapes_.find(text);
  if (found != shapes_.end()) {
    known.shape = found->second;
  } else if (text.size() > kMaxParsedBytes) {
    known.shape = not_parsed(sql);
  } else {
    known.shape = parse(text);
    // A constant may stand where no parameter can: DATE '2026-01-01'.
    if (!known.shape) known.shape = parse(std::string(sql));
    if (!known.shape) known.shape = shape_of(Kind::kAnything);  // the server will not understand it either
    if (shapes_.size() >= kMaxShapes) shapes_.clear();
    shapes_.emplace(std::move(text), known.shape);
  }
  if (!split || (known.shape->kind != Kind::kRows && known.shape->writes.empty())) return known;
  known.parameters = split->parameters;
  known.constants.assign(split->constants.begin(), split->constants.end());
  return known;
}

std::shared_ptr<const StatementShape> StatementFootprints::not_parsed(std::string_view sql) {
  if (!is_data(sql)) {
    tables_.strike_all();
    shapes_.clear();
  }
  return shape_of(Kind::kAnything);
}

// Null when it cannot be parsed.
std::shared_ptr<const StatementShape> StatementFootprints::parse(const std::string& text) {
  const PgQueryParseResult parsed = pg_query_parse(text.c_str());
  const std::unique_ptr<const PgQueryParseResult, void (*)(const PgQueryParseResult*)> guard(
      &parsed, [](const PgQueryParseResult* result) { pg_query_free_parse_result(*result); });
  if (parsed.error != nullptr) return nullptr;
  StatementTree tree = read_statement(parsed.parse_tree, tables_);
  // What may change tables makes them, and whatever was told of statements that use them, unknown.
  for (const std::string& name : tree.changed_names) tables_.strike(name);
  if (!tree.changed_names.empty()) shapes_.clear();
  return std::make_shared<const StatementShape>(std::move(tree.shape));
}

}  // namespace understudy::replayer
