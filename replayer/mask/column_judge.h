// Which of a statement's column references are to masked columns, through aliases, subqueries and whole rows.
// One for each statement, on its tree as libpg_query writes it. One thread at a time.
#pragma once

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "formats/masking/rules.h"

namespace understudy::replayer {

// What an expression is about.
struct Mention {
  bool columns = false;                 // any column at all
  const masking::Rule* rule = nullptr;  // of the first masked one
};

// What a query answers with, by position.
struct Answer {
  bool told = true;  // which columns there are; not of a star
  std::vector<const masking::Rule*> rules;
  std::vector<std::string> names;

  // Of the first masked one.
  [[nodiscard]] const masking::Rule* any() const;
};

class ColumnJudge {
 public:
  ColumnJudge(const masking::Rules& rules, const Poco::Dynamic::Var& statement);

  [[nodiscard]] const masking::Rule* column(const std::string& table, const std::string& name) const;
  // Of a composite's field that a path behind a column names.
  [[nodiscard]] const masking::Rule* field(const Poco::JSON::Object::Ptr& indirection) const;
  // What the value of an expression may tell. Not: how many rows there are, or whether any.
  [[nodiscard]] Mention value_of(const Poco::Dynamic::Var& expression) const;
  // The columns that stand in an expression, subqueries left out.
  [[nodiscard]] Mention columns_in(const Poco::Dynamic::Var& expression) const;
  // Those, or else the ones that its subqueries answer with.
  [[nodiscard]] Mention mention_in(const Poco::Dynamic::Var& expression) const;
  // Of what a query answers with: as value_of(), or of a text that is masked though it is of no column.
  [[nodiscard]] const masking::Rule* answer(const Poco::Dynamic::Var& value) const;
  // A SELECT's, VALUES' or UNION's. `placed`: constants in VALUES are of columns with names.
  [[nodiscard]] Answer answer_of(const Poco::JSON::Object::Ptr& select, bool placed = false) const;

  [[nodiscard]] const std::vector<std::string>& tables() const { return tables_; }
  // Names of columns that a part of the statement gave to masked values.
  [[nodiscard]] const std::map<std::string, const masking::Rule*>& derived() const { return derived_; }
  // A rule that could be of one of the tables.
  [[nodiscard]] const masking::Rule* any_of(const std::string& table) const {
    return rules_.for_whole_row({table});
  }
  // Of a function or a UNION in FROM with a masked column in it whose columns' names are not known; or null.
  [[nodiscard]] const masking::Rule* unnamed() const { return unnamed_; }
  // A masked column that the statement is about, or null.
  [[nodiscard]] const masking::Rule* mentioned() const { return mentioned_; }

 private:
  void collect_names(const Poco::Dynamic::Var& var);
  void collect_references(const Poco::Dynamic::Var& var);
  void collect_renamed(const Poco::JSON::Object::Ptr& table);
  void collect_statistics();
  void collect_domain(const Poco::Dynamic::Var& statement);
  void collect_joined(const Poco::Dynamic::Var& var);
  [[nodiscard]] const std::vector<std::string>* tables_of(const std::string& alias) const;
  bool derive(const Poco::Dynamic::Var& var);
  bool derive_insert(const Poco::JSON::Object::Ptr& insert);
  bool derive_written(const Poco::JSON::Object::Ptr& statement, const Poco::JSON::Object::Ptr& assignments);
  [[nodiscard]] const masking::Rule* written_to(const std::vector<std::string>& tables) const;
  [[nodiscard]] const masking::Rule* row_of(const std::vector<std::string>& tables) const;
  bool derive_answer(const Poco::JSON::Object::Ptr& source);
  bool derive_function(const Poco::JSON::Object::Ptr& function, const Poco::Dynamic::Var& part);
  void derive_lists(const Poco::Dynamic::Var& var);
  [[nodiscard]] bool holds_unplaced(const Poco::Dynamic::Var& var) const;

  // In column_links.cpp. By name; "" of a star.
  using Links = std::map<std::string, const masking::Rule*>;
  void collect_outputs(const Poco::Dynamic::Var& var, std::vector<std::string>& names) const;
  bool derive_links(const Poco::Dynamic::Var& statement, const std::vector<std::string>& outputs);
  void collect_links(const Poco::Dynamic::Var& var, Links& links) const;
  void link(const Poco::Dynamic::Var& expression, const masking::Rule* rule, Links& links) const;
  void link_answer(const Poco::JSON::Object::Ptr& select, const masking::Rule* rule, Links& links) const;
  void link_places(const Poco::JSON::Object::Ptr& select, const std::vector<const masking::Rule*>& rules,
                   const masking::Rule* other, Links& links) const;
  void link_insert(const Poco::JSON::Object::Ptr& insert, Links& links) const;
  void link_merge(const Poco::JSON::Object::Ptr& clause, Links& links) const;
  [[nodiscard]] const masking::Rule* rule_of_target(const Poco::JSON::Object::Ptr& target) const;

  [[nodiscard]] const masking::Rule* reference(const Poco::JSON::Object::Ptr& column) const;
  [[nodiscard]] const masking::Rule* named_part(const std::string& key, const Poco::Dynamic::Var& part) const;
  [[nodiscard]] Mention look(const Poco::Dynamic::Var& var, bool for_value) const;
  [[nodiscard]] Mention look_into(const Poco::Dynamic::Var& var, bool for_value) const;

  const masking::Rules& rules_;
  std::vector<std::string> tables_;
  // To the names of the tables that it is of, here or there in the statement; "" of a subquery or a join.
  std::map<std::string, std::vector<std::string>> aliases_;
  std::map<std::string, const masking::Rule*> derived_;
  // Tables of which columns hold masked values by names of `derived_`: they are assigned such, or renamed.
  std::map<std::string, const masking::Rule*> written_;
  const masking::Rule* mentioned_ = nullptr;
  const masking::Rule* unnamed_ = nullptr;

  // What look() has found, by the part of the tree, while so much is known: expressions that are nested
  // thousands deep are looked at from each of their levels.
  struct Looked {
    std::size_t known = 0;
    std::unordered_map<const void*, Mention> found[2];
  };
  mutable Looked looked_;
};

// Of (SELECT ...) AS v (a, b), or WITH v (a, b) AS (VALUES ...): the query, and the names. Null: there are
// none.
[[nodiscard]] Poco::JSON::Object::Ptr source_of(const Poco::JSON::Object::Ptr& source);
[[nodiscard]] Poco::JSON::Array::Ptr names_of(const Poco::JSON::Object::Ptr& source);

// What columns of a function in FROM may be called.
[[nodiscard]] std::vector<std::string> function_names(const Poco::JSON::Object::Ptr& function);

// t.*, (row).*
[[nodiscard]] bool is_star(const Poco::Dynamic::Var& expression);

// What the server calls the column of a target without a name. In column_labels.cpp.
[[nodiscard]] std::string label_of(const Poco::Dynamic::Var& expression);

// Adds the rules of which the columns' names stand in a statement about these tables. In column_labels.cpp.
void collect_named(const masking::Rules& rules, const std::vector<std::string>& tables,
                   const Poco::Dynamic::Var& statement, std::vector<const masking::Rule*>& named);

}  // namespace understudy::replayer
