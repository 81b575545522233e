#include "replayer/statement_catalog.h"

#include <pg_query.h>

#include "formats/wire/content_hash.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMaxSkeletons = 20'000;
constexpr std::size_t kMaxParsedBytes = 65'536;  // longer texts are known by their beginning
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
    if (sql[i] == '\\' || sql[i] == '"') return false;
    if ((sql[i] == '-' && next == '-') || (sql[i] == '/' && next == '*')) return false;
    if (sql[i] == '$' && !is_digit(next)) return false;
  }
  return true;
}

std::string on_one_line(std::string_view sql) {
  std::string out;
  for (const char c : sql) {
    const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (blank && (out.empty() || out.back() == ' ')) continue;
    out += blank ? ' ' : c;
    if (out.size() >= kMaxTextBytes) return out + "...";
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace

StatementCatalog::StatementCatalog(std::size_t max_statements)
    : max_statements_(max_statements), texts_{"(other statements)"} {}

std::string StatementCatalog::skeleton(std::string_view sql) {
  if (!is_plain(sql)) return std::string(sql);
  std::string out;
  out.reserve(sql.size());
  for (std::size_t i = 0; i < sql.size();) {
    const char c = sql[i];
    if (c == '\'') {
      const std::size_t end = sql.find('\'', i + 1);
      out += '\'';
      i = end == std::string_view::npos ? sql.size() : end + 1;
    } else if (is_digit(c) && (out.empty() || !is_word(out.back()))) {
      while (i < sql.size() && (is_word(sql[i]) || sql[i] == '.')) ++i;
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
  std::string key = skeleton(sql.substr(0, kMaxParsedBytes));
  const auto known = by_skeleton_.find(key);
  if (known != by_skeleton_.end()) return known->second;
  const StatementId id = parse(sql);
  if (by_skeleton_.size() >= kMaxSkeletons) by_skeleton_.clear();
  by_skeleton_.emplace(std::move(key), id);
  return id;
}

StatementId StatementCatalog::parse(std::string_view sql) {
  const std::string whole(sql.substr(0, kMaxParsedBytes));
  if (sql.size() > kMaxParsedBytes) {
    return add(wire::content_hash(as_bytes(std::string_view(whole).substr(0, kMaxTextBytes))), whole);
  }
  const PgQueryFingerprintResult found = pg_query_fingerprint(whole.c_str());
  const bool parsed = found.error == nullptr;
  const std::uint64_t fingerprint =
      parsed ? found.fingerprint : wire::content_hash(as_bytes(skeleton(whole)));
  pg_query_free_fingerprint_result(found);
  const auto known = by_fingerprint_.find(fingerprint);
  if (known != by_fingerprint_.end()) return known->second;
  if (!parsed) return add(fingerprint, whole);
  const PgQueryNormalizeResult normalized = pg_query_normalize(whole.c_str());
  const std::string text = normalized.error == nullptr ? normalized.normalized_query : whole;
  pg_query_free_normalize_result(normalized);
  return add(fingerprint, text);
}

StatementId StatementCatalog::add(std::uint64_t fingerprint, std::string text) {
  const auto known = by_fingerprint_.find(fingerprint);
  if (known != by_fingerprint_.end()) return known->second;
  if (texts_.size() > max_statements_) return kOther;
  const auto id = static_cast<StatementId>(texts_.size());
  texts_.push_back(on_one_line(text));
  by_fingerprint_.emplace(fingerprint, id);
  return id;
}

}  // namespace understudy::replayer
