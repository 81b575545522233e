#include "replayer/statement_catalog.h"

#include <pg_query.h>

#include "formats/wire/content_hash.h"
#include "replayer/readable.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMaxSkeletons = 20'000;
// Longer texts are known by their beginning. libpg_query recurses through what it has parsed without a limit:
// "1+1+..." of 48 kB overflows a stack of 8 MiB, and a recording may hold such a text.
constexpr std::size_t kMaxParsedBytes = std::size_t{16} << 10;
constexpr std::size_t kMaxTextBytes = 500;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
// Of an identifier; bytes over 127 are letters of some language.
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) > 127;
}

// Whether quotes can be paired without a parser: no comments, no escapes, no dollar quotes.
bool is_plain(std::string_view sql) {
  for (std::size_t i = 0; i < sql.size(); ++i) {
    const char next = i + 1 < sql.size() ? sql[i + 1] : '\0';
    if (sql[i] == '\\') return false;
    if ((sql[i] == '-' && next == '-') || (sql[i] == '/' && next == '*')) return false;
    if (sql[i] == '$' && !is_digit(next)) return false;
  }
  return true;
}

// Where the quoted string or identifier that begins at `start` is over.
std::size_t end_of_quoted(std::string_view sql, std::size_t start) {
  const std::size_t end = sql.find(sql[start], start + 1);
  return end == std::string_view::npos ? sql.size() : end + 1;
}

// Where the number that begins at `start` is over: 42, 0x2a, 1.5, 1e-5.
std::size_t end_of_number(std::string_view sql, std::size_t start) {
  std::size_t i = start;
  bool decimal = true;
  while (i < sql.size() && (is_word(sql[i]) || sql[i] == '.')) {
    const char c = sql[i++];
    const bool exponent = decimal && (c == 'e' || c == 'E');
    decimal = decimal && (is_digit(c) || c == '.');
    if (exponent && i + 1 < sql.size() && (sql[i] == '-' || sql[i] == '+') && is_digit(sql[i + 1])) ++i;
  }
  return i;
}

std::string on_one_line(std::string_view sql) {
  std::string out;
  for (const char c : sql) {
    const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (blank && (out.empty() || out.back() == ' ')) continue;
    if (out.size() > kMaxTextBytes + 4) break;
    out += blank ? ' ' : c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return readable_text(out, kMaxTextBytes);
}

}  // namespace

StatementCatalog::StatementCatalog(std::size_t max_statements)
    : texts_{"(no statement)", "(a statement prepared before the recording began)", "(other statements)"},
      fingerprints_(texts_.size()) {
  max_texts_ = max_statements + texts_.size();
}

std::string StatementCatalog::skeleton(std::string_view sql) {
  if (!is_plain(sql)) return std::string(sql);
  std::string out;
  out.reserve(sql.size());
  for (std::size_t i = 0; i < sql.size();) {
    const char c = sql[i];
    if (c == '\'') {
      i = end_of_quoted(sql, i);
      out += '\'';
    } else if (c == '"') {
      const std::size_t end = end_of_quoted(sql, i);
      out += sql.substr(i, end - i);
      i = end;
    } else if (is_digit(c) && (out.empty() || !is_word(out.back()))) {
      i = end_of_number(sql, i);
      out += '0';
    } else {
      out += c;
      ++i;
    }
  }
  return out;
}

StatementId StatementCatalog::identify(std::string_view sql) {
  sql = sql.substr(0, sql.find('\0'));
  const std::uint64_t key = wire::content_hash(as_bytes(skeleton(sql.substr(0, kMaxParsedBytes))));
  const auto known = by_skeleton_.find(key);
  if (known != by_skeleton_.end()) return known->second;
  const StatementId id = parse(sql);
  if (by_skeleton_.size() >= kMaxSkeletons) by_skeleton_.clear();
  by_skeleton_.emplace(key, id);
  return id;
}

StatementId StatementCatalog::parse(std::string_view sql) {
  const std::string beginning(sql.substr(0, kMaxParsedBytes));
  const auto add_unparsed = [&] {
    const std::string known_by = skeleton(beginning).substr(0, kMaxTextBytes);
    return add(wire::content_hash(as_bytes(known_by)), beginning);
  };
  if (sql.size() > kMaxParsedBytes) return add_unparsed();
  const PgQueryFingerprintResult found = pg_query_fingerprint(beginning.c_str());
  const bool parsed = found.error == nullptr;
  const std::uint64_t fingerprint = found.fingerprint;
  pg_query_free_fingerprint_result(found);
  if (!parsed) return add_unparsed();
  const auto known = by_fingerprint_.find(fingerprint);
  if (known != by_fingerprint_.end()) return known->second;
  const PgQueryNormalizeResult normalized = pg_query_normalize(beginning.c_str());
  const std::string text = normalized.error == nullptr ? normalized.normalized_query : beginning;
  pg_query_free_normalize_result(normalized);
  return add(fingerprint, text);
}

std::uint64_t StatementCatalog::fingerprint_of(std::string_view sql) {
  StatementCatalog catalog(1);
  return catalog.fingerprint(catalog.identify(sql));
}

StatementId StatementCatalog::add(std::uint64_t fingerprint, std::string_view text) {
  const auto known = by_fingerprint_.find(fingerprint);
  if (known != by_fingerprint_.end()) return known->second;
  if (texts_.size() >= max_texts_) return kOther;
  const auto id = static_cast<StatementId>(texts_.size());
  texts_.push_back(on_one_line(text));
  fingerprints_.push_back(fingerprint);
  by_fingerprint_.emplace(fingerprint, id);
  return id;
}

}  // namespace understudy::replayer
