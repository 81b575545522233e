#include "formats/masking/rules.h"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace understudy::masking {
namespace {

// A longer text is taken for one that fits: matching takes time that grows with it.
constexpr std::size_t kMaxSearchedBytes = 64 << 10;
constexpr std::size_t kMaxRules = 1000;

struct NamedType {
  std::string_view name;
  std::uint32_t oid;
};
constexpr NamedType kTypes[] = {
    {"text", 25},   {"varchar", 1043},   {"char", 1042},        {"bpchar", 1042},  {"name", 19},
    {"int2", 21},   {"smallint", 21},    {"int4", 23},          {"integer", 23},   {"int", 23},
    {"int8", 20},   {"bigint", 20},      {"numeric", 1700},     {"decimal", 1700}, {"uuid", 2950},
    {"date", 1082}, {"timestamp", 1114}, {"timestamptz", 1184}, {"bytea", 17},     {"inet", 869},
    {"json", 114},  {"jsonb", 3802},     {"float4", 700},       {"real", 700},     {"float8", 701},
    {"bool", 16},   {"boolean", 16},     {"interval", 1186},    {"xml", 142}};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// The first word, taken off the front.
std::string_view take_word(std::string_view& text) {
  const auto end = std::find_if(text.begin(), text.end(), is_blank);
  const std::string_view word = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text = trim(text.substr(word.size()));
  return word;
}

// A name as the server folds it; "in quotes" as it stands.
std::string fold(std::string_view name) {
  if (name.size() > 2 && name.front() == '"' && name.back() == '"')
    return std::string(name.substr(1, name.size() - 2));
  std::string folded(name);
  std::transform(folded.begin(), folded.end(), folded.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return folded;
}

// " as NAME" at the end, taken off.
std::string take_family(std::string_view& text) {
  const std::size_t blank = text.find_last_of(" \t");
  if (blank == std::string_view::npos) return {};
  const std::string_view before = trim(text.substr(0, blank));
  if (before.size() < 3 || !before.ends_with("as") || !is_blank(before[before.size() - 3])) return {};
  std::string family(text.substr(blank + 1));
  text = trim(before.substr(0, before.size() - 2));
  return family;
}

bool has_table(const std::vector<std::string>& tables, const std::string& table) {
  return tables.empty() || table.empty() ||
         std::any_of(tables.begin(), tables.end(),
                     [&](const std::string& each) { return each.empty() || each == table; });
}

// In a regular expression, too: one that looks for a blank and a '#' says " [#]". A comment taken for a part
// of it would let everything pass.
std::string_view without_comment(std::string_view line) {
  for (std::size_t at = line.find('#'); at != std::string_view::npos; at = line.find('#', at + 1)) {
    if (at == 0 || line[at - 1] == ' ' || line[at - 1] == '\t') return trim(line.substr(0, at));
  }
  return line;
}

// What refers back to a group can take time without bound. Other escapes mean one thing here and another in
// PostgreSQL, where mask-sql has the pattern looked for: \d is a "d" here, \b a backspace there.
void check_escapes(std::string_view pattern, const std::string& where) {
  bool in_brackets = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (in_brackets && pattern[i] == '[' && i + 1 < pattern.size() &&
        std::string_view(":.=").find(pattern[i + 1]) != std::string_view::npos) {  // [:alpha:]
      const char end[] = {pattern[i + 1], ']', '\0'};
      i = std::min(pattern.find(end, i + 2), pattern.size() - 2) + 1;
    } else if (in_brackets && pattern[i] == ']') {
      in_brackets = false;
    } else if (!in_brackets && pattern[i] == '[') {
      in_brackets = true;
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') ++i;
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') ++i;
    } else if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[++i];
      if (!in_brackets && std::isdigit(static_cast<unsigned char>(next)) != 0)
        throw RulesError(where + "back-references are not to be had");
      const bool same = in_brackets ? std::string_view("]-^").find(next) == std::string_view::npos
                                    : std::string_view("<>`'").find(next) == std::string_view::npos;
      const bool is_class = !in_brackets && std::string_view("wWsS").find(next) != std::string_view::npos;
      if (!same || (std::isalnum(static_cast<unsigned char>(next)) != 0 && !is_class))
        throw RulesError(where + "\"\\" + std::string(1, next) +
                         "\" does not mean the same everywhere; write [0-9], [[:space:]] and the like");
    }
  }
}

}  // namespace

std::uint32_t type_oid(std::string_view name) {
  const auto found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [&](const NamedType& type) { return type.name == name; });
  return found == std::end(kTypes) ? 0 : found->oid;
}

std::string Rule::text() const {
  std::string out;
  switch (kind) {
    case Kind::kColumn:
      out = "column " + (table.empty() ? "" : table + ".") + name;
      break;
    case Kind::kType:
      out = "type " + type;
      break;
    case Kind::kPattern:
      out = "pattern " + pattern;
      break;
  }
  return family.empty() ? out : out + " as " + family;
}

Rules::Rules(std::string_view text, const std::string& file) {
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    add(text.substr(0, end), ++number, file);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (rules_.empty()) throw RulesError(file + ": no rule in it, such as \"column email\"");
}

void Rules::add(std::string_view line, std::size_t number, const std::string& file) {
  const std::string where = file + ", line " + std::to_string(number) + ": ";
  if (line.find('\0') != std::string_view::npos) throw RulesError(where + "a NUL character");
  line = trim(line);
  if (line.empty() || line.front() == '#') return;
  if (rules_.size() == kMaxRules) throw RulesError(where + "more than 1,000 rules");
  Rule rule;
  rule.line = number;
  const std::string_view kind = take_word(line);
  line = without_comment(line);
  if (kind == "table") return add_table(line, where);
  rule.family = take_family(line);
  if (line.empty())
    throw RulesError(where +
                     "what is to be masked? Write \"column NAME\", \"type TYPE\" or "
                     "\"pattern REGEX\"");
  if (kind == "column") {
    const std::size_t dot = line.rfind('.');
    if (dot != std::string_view::npos) rule.table = fold(line.substr(0, dot));
    rule.name = fold(line.substr(dot == std::string_view::npos ? 0 : dot + 1));
    if (rule.name.empty() || (dot != std::string_view::npos && rule.table.empty()) ||
        rule.table.find('.') != std::string::npos || line.find_first_of(" \t") != std::string_view::npos)
      throw RulesError(where + "\"" + std::string(line) +
                       "\" is neither NAME nor TABLE.NAME (without schema)");
  } else if (kind == "type") {
    rule.kind = Rule::Kind::kType;
    rule.type = fold(line);
    if (type_oid(rule.type) == 0)
      throw RulesError(where + "no type \"" + rule.type +
                       "\" is known here; text, int8, uuid are, for instance");
  } else if (kind == "pattern") {
    rule.kind = Rule::Kind::kPattern;
    rule.pattern = line;
    compile(rule, where);
  } else {
    throw RulesError(where + "\"" + std::string(kind) +
                     "\" begins no rule; column, type, pattern and table do");
  }
  rules_.push_back(std::move(rule));
}

// users (id, email, "Last Name")
void Rules::add_table(std::string_view line, const std::string& where) {
  const std::size_t open = line.find('(');
  const std::string name = fold(trim(line.substr(0, std::min(open, line.size()))));
  if (open == std::string_view::npos || !line.ends_with(')') || name.empty() ||
      name.find('.') != std::string::npos)
    throw RulesError(where + "\"" + std::string(line) +
                     "\" is not NAME (COLUMN, COLUMN, ...), the name without its schema");
  std::vector<std::string> columns;
  for (std::string_view rest = line.substr(open + 1, line.size() - open - 2); !rest.empty();) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    columns.push_back(fold(trim(rest.substr(0, end))));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const bool again = std::count(columns.begin(), columns.end(), columns.back()) > 1;
    if (columns.back().empty() || again)
      throw RulesError(where + "a column of table \"" + name + "\" has no name, or that of another one");
  }
  if (columns.empty() || !tables_.emplace(name, std::move(columns)).second)
    throw RulesError(where + "table \"" + name + "\" has no columns, or was told of before");
}

void Rules::compile(const Rule& rule, const std::string& where) {
  check_escapes(rule.pattern, where);
  auto compiled = std::make_unique<regex_t>();
  if (const int error = regcomp(compiled.get(), rule.pattern.c_str(), REG_EXTENDED | REG_NOSUB); error != 0) {
    char text[200];
    regerror(error, compiled.get(), text, sizeof text);
    throw RulesError(where + "\"" + rule.pattern + "\" is no POSIX extended regular expression: " + text);
  }
  patterns_.push_back(
      {rules_.size(), std::shared_ptr<const regex_t>(compiled.release(), [](const regex_t* regex) {
         regfree(const_cast<regex_t*>(regex));
         delete regex;
       })});
}

const Rule* Rules::for_column(const std::vector<std::string>& tables, std::string_view column) const {
  for (const Rule& rule : rules_) {
    if (rule.kind == Rule::Kind::kColumn && rule.name == column && has_table(tables, rule.table))
      return &rule;
  }
  return nullptr;
}

const Rule* Rules::for_type(std::uint32_t oid) const {
  for (const Rule& rule : rules_) {
    if (oid != 0 && rule.kind == Rule::Kind::kType && type_oid(rule.type) == oid) return &rule;
  }
  return nullptr;
}

bool Rules::has_types() const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [](const Rule& rule) { return rule.kind == Rule::Kind::kType; });
}

const Rule* Rules::for_text(std::string_view value) const {
  if (patterns_.empty() || value.empty()) return nullptr;
  // regexec() stops at a NUL, and what is behind it is not judged.
  if (value.size() > kMaxSearchedBytes || value.find('\0') != std::string_view::npos)
    return &rules_[patterns_.front().rule];
  const std::string text(value);
  for (const Pattern& pattern : patterns_) {
    if (regexec(pattern.compiled.get(), text.c_str(), 0, nullptr, 0) != REG_NOMATCH)
      return &rules_[pattern.rule];
  }
  return nullptr;
}

const Rule* Rules::for_whole_row(const std::vector<std::string>& tables) const {
  for (const Rule& rule : rules_) {
    if (rule.kind == Rule::Kind::kColumn && has_table(tables, rule.table)) return &rule;
  }
  return nullptr;
}

}  // namespace understudy::masking
