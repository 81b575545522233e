#include "proxy/unseen_settings.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "proxy/known_functions.h"
#include "proxy/sql_tokens.h"

namespace understudy::proxy {
namespace {

constexpr std::size_t kLongestName = 63;
constexpr std::size_t kMostSought = 4096;

bool in_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '.';
}

bool is_plain(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), in_name);
}

void skip(std::string_view& text, std::string_view what) {
  text.remove_prefix(std::min(text.find_first_not_of(what), text.size()));
}

bool take_word(std::string_view& text, std::string_view word) {
  const bool there = text.starts_with(word) && (text.size() == word.size() || !in_name(text[word.size()]));
  if (there) text.remove_prefix(word.size());
  return there;
}

// Behind SET or set_config( : the name that is set; as it is written within strings, too.
std::string_view name_behind(std::string_view text, bool is_call) {
  constexpr std::string_view kBlanks = " \t\r\n\f\v";
  skip(text, kBlanks);
  if (is_call && !text.starts_with('(')) return {};
  if (is_call) {
    skip(text, "( \t\r\n\f\v'");
  } else if (take_word(text, "session")) {
    skip(text, kBlanks);
  }
  const auto end = std::find_if_not(text.begin(), text.end(), in_name);
  return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

std::optional<std::string> from_hexadecimal(std::string_view digits) {
  std::string bytes;
  if (digits.size() % 2 != 0) return std::nullopt;
  for (; !digits.empty(); digits.remove_prefix(2)) {
    unsigned char byte = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + 2, byte, 16);
    if (error != std::errc() || end != digits.data() + 2) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

std::string text_of(std::string_view hexadecimal) {
  return "pg_catalog.convert_from(pg_catalog.decode('" + std::string(hexadecimal) +
         "', 'hex'), pg_catalog.getdatabaseencoding())";
}

// 'a', 'b' of the words that are procedures, or that are not.
std::string literals(std::string_view sought, bool procedures) {
  std::string list;
  while (!sought.empty()) {
    const std::size_t end = std::min(sought.find(' '), sought.size());
    std::string_view word = sought.substr(0, end);
    sought.remove_prefix(std::min(end + 1, sought.size()));
    if (word.ends_with("()") != procedures) continue;
    if (procedures) word.remove_suffix(2);
    if (!list.empty()) list += ", ";
    list.append("'").append(word).append("'");
  }
  return list;
}

}  // namespace

std::string settings_named_in(std::string_view code) {
  const std::string lower = to_lower(code);
  std::string sought;
  for (std::size_t at = lower.find("set"); at != std::string::npos; at = lower.find("set", at + 1)) {
    if (at > 0 && in_name(lower[at - 1]) && lower[at - 1] != '.') continue;
    std::string_view rest = std::string_view(lower).substr(at);
    const bool is_call = take_word(rest, "set_config");
    if (!is_call && !take_word(rest, "set")) continue;
    const std::string_view name = name_behind(rest, is_call);
    if (is_plain(name) && name.find('.') != std::string_view::npos) seek_also(sought, name);
  }
  return sought;
}

std::string procedure_sought(std::string_view name) {
  return is_plain(name) ? std::string(name) + "()" : std::string();
}

bool tells_change(std::string_view code) {
  constexpr std::string_view kAnywhere[] = {"execute", "pg_settings", "set_config"};
  constexpr std::string_view kBeginning[] = {"call", "discard", "do", "listen", "load", "reset", "set"};
  constexpr std::string_view kMakesTemporary[] = {"create", "global", "into", "local", "replace"};
  constexpr std::string_view kStatementFollows[] = {"begin", "else", "loop", "then"};
  constexpr std::string_view kEndsStatement = ";'$>/";
  const auto among = [](const auto& words, std::string_view word) {
    return std::find(std::begin(words), std::end(words), word) != std::end(words);
  };
  const std::string lower = to_lower(code);
  bool begins = true;  // a statement may, here
  std::string_view before;
  for (std::size_t at = 0; at < lower.size();) {
    const std::string_view rest = std::string_view(lower).substr(at);
    const auto size =
        static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(),
                                                  [](char c) { return in_name(c) && c != '$' && c != '.'; }) -
                                 rest.begin());
    if (rest.starts_with("--")) {
      at = std::min(lower.find('\n', at), lower.size());
    } else if (size == 0) {
      if (rest.front() > ' ') begins = kEndsStatement.find(rest.front()) != std::string_view::npos;
      ++at;
    } else {
      const std::string_view word = rest.substr(0, size);
      const bool temporary = (word == "temp" || word == "temporary") && among(kMakesTemporary, before);
      if (temporary || word.starts_with("pg_temp") || among(kAnywhere, word) ||
          !pinning_state(word).empty() || (begins && among(kBeginning, word)))
        return true;
      begins = among(kStatementFollows, word);
      before = word;
      at += size;
    }
  }
  return false;
}

void seek_also(std::string& sought, std::string_view words) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    const std::string_view word = words.substr(0, end);
    words.remove_prefix(std::min(end + 1, words.size()));
    const bool is_procedure = word.ends_with("()");
    const bool fits = is_plain(is_procedure ? word.substr(0, word.size() - 2) : word) &&
                      sought.size() + word.size() < kMostSought;
    if (!fits) continue;
    const bool known = (" " + sought + " ").find(" " + std::string(word) + " ") != std::string::npos;
    if (known) continue;
    if (!sought.empty()) sought += ' ';
    sought += word;
  }
}

std::string from_settings(std::string_view sought) {
  // The same names as settings_named_in() finds.
  constexpr std::string_view kNamesInProcedures =
      " UNION ALL SELECT m[1] FROM pg_catalog.pg_proc, pg_catalog.regexp_matches(pg_catalog.lower(prosrc), "
      "'(?:^|[^a-z0-9_$])set(?:_config[[:space:]]*[(][[:space:]]*''+|[[:space:]]+(?:session[[:space:]]+)?)"
      "([a-z_][a-z0-9_$]*(?:[.][a-z_][a-z0-9_$]*)+)', 'g') AS m WHERE proname OPERATOR(pg_catalog.=) ANY (";
  // SET where a statement may begin: that of an UPDATE is none.
  constexpr std::string_view kProceduresThatSet =
      " UNION ALL SELECT '()', '' FROM pg_catalog.pg_proc WHERE (prosrc OPERATOR(pg_catalog.=) '' OR NOT "
      "EXISTS "
      "(SELECT FROM pg_catalog.pg_language AS l WHERE l.oid OPERATOR(pg_catalog.=) prolang AND l.lanname "
      "OPERATOR(pg_catalog.=) ANY ('{sql,plpgsql}'::pg_catalog.name[])) OR pg_catalog.regexp_replace("
      "pg_catalog.lower(prosrc), '--[^\n]*', ' ', 'g') OPERATOR(pg_catalog.~) "
      "'(^|[;''>/]|begin|then|else|loop)"
      "[[:space:]]*(re)?set[[:space:]]|set_config|execute|discard|call[[:space:]]') AND proname "
      "OPERATOR(pg_catalog.=) ANY (";
  const std::string names = "ARRAY[" + literals(sought, false) + "]::pg_catalog.text[]";
  const std::string procedures = literals(sought, true);
  std::string sql =
      " FROM (SELECT pg_catalog.getdatabaseencoding()) AS encoding(e), (WITH s AS (SELECT name, setting, "
      "source, pg_catalog.lower(name) AS low FROM pg_catalog.pg_show_all_settings()) SELECT '', '' "
      // A transaction's own are none of the session's.
      "UNION ALL SELECT name, CASE WHEN source "
      "OPERATOR(pg_catalog.=) 'session' THEN setting END FROM s WHERE (source "
      "OPERATOR(pg_catalog.=) 'session' OR low OPERATOR(pg_catalog.=) ANY (" +
      names +
      ")) AND low OPERATOR(pg_catalog.<>) ALL ('{transaction_isolation,transaction_read_only,"
      "transaction_deferrable}'::pg_catalog.text[]) " +
      "UNION ALL SELECT k, pg_catalog.current_setting(k, true) FROM (SELECT k FROM pg_catalog.unnest(" +
      names + ") AS k WHERE pg_catalog.strpos(k, '.') OPERATOR(pg_catalog.>) 0";
  const std::string called = "ARRAY[" + procedures + "]::pg_catalog.name[]";
  if (!procedures.empty()) sql.append(kNamesInProcedures).append(called) += ")";
  sql +=
      ") AS custom(k) WHERE NOT EXISTS (SELECT FROM s WHERE low OPERATOR(pg_catalog.=) k) UNION ALL SELECT "
      "k, "
      "pg_catalog.current_setting(k) FROM pg_catalog.unnest('{session_authorization,role}'::"
      "pg_catalog.text[]) AS k";
  if (!procedures.empty()) sql.append(kProceduresThatSet).append(called) += ")";
  sql += ") AS known(n, v)";
  return sql;
}

bool QuietProcedures::due(std::string_view procedure) {
  auto found = calls_.find(procedure);
  if (found == calls_.end()) {
    if (calls_.size() == kMost) return true;
    found = calls_.emplace(procedure, Calls{}).first;
  }
  Calls& calls = found->second;
  return ++calls.made >= calls.due || calls.sets;
}

void QuietProcedures::answered(std::string_view sought, bool sets) {
  for (auto& [name, calls] : calls_) {
    if ((" " + std::string(sought) + " ").find(" " + name + " ") == std::string::npos) continue;
    calls.sets = calls.sets || sets;
    calls.due = calls.made + std::min(calls.made, kMostUnasked) + 1;
  }
}

LearnedSetting read_setting(std::string_view name, const std::string_view* value) {
  const auto bytes = from_hexadecimal(name);
  if (!bytes || bytes->empty()) return {};
  LearnedSetting learned{.name = to_lower(*bytes)};
  if (value == nullptr) return learned;
  const auto meant = from_hexadecimal(*value);
  if (!meant) {
    learned.pins = "setting \"" + learned.name + "\" longer than 16 KiB";
    return learned;
  }
  learned.value = *meant;
  if (learned.name == "search_path" && begins_with_pg_temp(learned.value)) {
    learned.pins = kTemporaryPath;
    return learned;
  }
  const std::string is_named = is_plain(learned.name) ? "'" + learned.name + "'" : text_of(name);
  learned.text = "SELECT pg_catalog.set_config(" + is_named + ", " + text_of(*value) + ", false)";
  return learned;
}

bool begins_with_pg_temp(std::string_view search_path) {
  const std::size_t begin = search_path.find_first_not_of(" \"");
  return begin != std::string_view::npos && to_lower(search_path.substr(begin)).starts_with("pg_temp");
}

}  // namespace understudy::proxy
