// Which values are masked: the lines of a rules file.
//
//     column email                     # of any table, and every result column of that name
//     column users.ssn as person       # of one table; tokens of the family "person"
//     type uuid
//     pattern [a-z.]+@[a-z.]+          # every text it is found in, whole
//     table users (id, email, ssn)     # masks nothing: its columns in order, where a statement names none
//
// Rules for columns come before those for types, and those before patterns; of a kind, the first that fits
// decides the family. Values of one family have equal tokens where they are equal, whichever column they
// stand in, so joins survive. Without "as", the family is "".
#pragma once

#include <regex.h>

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace understudy::masking {

// What is wrong with a rules file: what() says file and line.
struct RulesError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Rule {
  enum class Kind : std::uint8_t { kColumn, kType, kPattern };
  Kind kind = Kind::kColumn;
  std::string table;    // of a column; empty: any
  std::string name;     // column, as the server writes it
  std::string type;     // as type_oid() knows it: "uuid", "int8"
  std::string pattern;  // a POSIX extended regular expression
  std::string family;
  std::size_t line = 0;

  [[nodiscard]] std::string text() const;  // as in the file
};

// The built-in types that have tokens, and some that have none, by any of their names in SQL; 0 for others.
[[nodiscard]] std::uint32_t type_oid(std::string_view name);

class Rules {
 public:
  // `file` is for errors. Throws RulesError.
  Rules(std::string_view text, const std::string& file);

  [[nodiscard]] const std::vector<Rule>& all() const { return rules_; }
  // The first rule of a kind that fits, or null. Names as the server folds them; `tables` are those it may be
  // of, any if there are none or one is "".
  [[nodiscard]] const Rule* for_column(const std::vector<std::string>& tables, std::string_view column) const;
  [[nodiscard]] const Rule* for_type(std::uint32_t oid) const;
  [[nodiscard]] const Rule* for_text(std::string_view value) const;
  // The first column rule that could be of one of these tables: for rows that are not taken apart.
  [[nodiscard]] const Rule* for_whole_row(const std::vector<std::string>& tables) const;
  // By a table's name, without its schema: its columns, as a line `table NAME (COLUMN, ...)` says.
  [[nodiscard]] const std::map<std::string, std::vector<std::string>, std::less<>>& tables() const {
    return tables_;
  }
  [[nodiscard]] bool has_patterns() const { return !patterns_.empty(); }
  [[nodiscard]] bool has_types() const;

 private:
  struct Pattern {
    std::size_t rule = 0;
    std::shared_ptr<const regex_t> compiled;
  };
  void add(std::string_view line, std::size_t number, const std::string& file);
  void add_table(std::string_view line, const std::string& where);
  void compile(const Rule& rule, const std::string& where);

  std::vector<Rule> rules_;
  std::vector<Pattern> patterns_;
  std::map<std::string, std::vector<std::string>, std::less<>> tables_;
};

}  // namespace understudy::masking
