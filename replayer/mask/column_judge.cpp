#include "replayer/mask/column_judge.h"

#include <algorithm>
#include <unordered_set>

#include "proxy/parse_tree_walk.h"
#include "replayer/mask/binary_token.h"
#include "replayer/mask/followed_statements.h"
#include "replayer/mask/tree_parts.h"

namespace understudy::replayer {
namespace {

using Object = Poco::JSON::Object;
using Array = Poco::JSON::Array;
using masking::Rule;
using Poco::Dynamic::Var;
using namespace parts;
namespace tree = proxy::tree;

constexpr int kMaxDerivations = 100;  // a column renamed through more levels of subqueries than this

// Functions in FROM of which is known what their columns are called: as they or their alias are, or one of
// these.
const std::unordered_set<std::string_view> kNamedFunctions = {"unnest",
                                                              "string_to_table",
                                                              "regexp_split_to_table",
                                                              "regexp_matches",
                                                              "regexp_split_to_array",
                                                              "generate_series",
                                                              "json_each",
                                                              "json_each_text",
                                                              "jsonb_each",
                                                              "jsonb_each_text",
                                                              "json_array_elements",
                                                              "json_array_elements_text",
                                                              "jsonb_array_elements",
                                                              "jsonb_array_elements_text",
                                                              "json_object_keys",
                                                              "jsonb_object_keys"};

// The names of the functions and of the columns that are told for them: f(x) AS (a int), XMLTABLE's columns.
void collect_function_names(const Var& var, std::vector<std::string>& functions,
                            std::vector<std::string>& columns) {
  for_each_part(var, [&](const std::string& key, const Var& part) {
    if (key == "args") return;  // what is called there gives no column
    const auto object = is_object(part) ? part.extract<Object::Ptr>() : nullptr;
    if (key == "FuncCall") functions.push_back(last_part(tree::list(object, "funcname")));
    if (key == "ColumnDef" || key == "RangeTableFuncCol") columns.push_back(tree::text(object, "colname"));
    collect_function_names(part, functions, columns);
  });
}

// Whether all functions that stand in FROM are of kNamedFunctions.
bool are_named(const Var& function) {
  std::vector<std::string> functions;
  std::vector<std::string> columns;
  collect_function_names(function, functions, columns);
  return std::all_of(functions.begin(), functions.end(),
                     [](const std::string& name) { return kNamedFunctions.contains(name); });
}

}  // namespace

Object::Ptr source_of(const Object::Ptr& source) {
  const char* const member = source->has("subquery") ? "subquery" : "ctequery";
  return source->has(member) ? tree::node(source->get(member), "SelectStmt") : nullptr;
}

std::vector<std::string> function_names(const Object::Ptr& function) {
  std::vector<std::string> functions;
  std::vector<std::string> columns;
  collect_function_names(Var(function), functions, columns);
  const auto alias = tree::object(function, "alias");
  const Array::Ptr names = tree::list(alias, "colnames");
  for (const std::string& name : functions) {  // json_each_text, jsonb_array_elements
    if (name.find("each") != std::string::npos) columns.emplace_back("key");
    if (name.find("each") != std::string::npos || name.find("elements") != std::string::npos)
      columns.emplace_back("value");
  }
  columns.push_back(tree::text(alias, "aliasname"));
  columns.insert(columns.end(), functions.begin(), functions.end());
  for (std::size_t i = 0; names && i < names->size(); ++i) columns.push_back(tree::name_part(names, i));
  return columns;
}

Array::Ptr names_of(const Object::Ptr& source) {
  if (const auto names = tree::list(source, "aliascolnames")) return names;
  return tree::list(tree::object(source, "alias"), "colnames");
}

bool is_star(const Var& expression) {
  const auto fields = tree::list(tree::node(expression, "ColumnRef"), "fields");
  if (fields && fields->size() > 0) return last_part(fields).empty();
  const auto path = tree::list(tree::node(expression, "A_Indirection"), "indirection");
  return path && path->size() > 0 && tree::node(path->get(static_cast<unsigned>(path->size() - 1)), "A_Star");
}

ColumnJudge::ColumnJudge(const masking::Rules& rules, const Var& statement) : rules_(rules) {
  collect_names(statement);
  for (auto& [alias, tables] : aliases_) {  // WITH w AS (...) ... FROM w AS x
    if (std::any_of(tables.begin(), tables.end(),
                    [&](const std::string& table) { return tables_of(table) == &tables_; }))
      tables.emplace_back();
  }
  collect_joined(statement);
  collect_domain(statement);
  collect_statistics();
  collect_references(statement);
  if (mentioned_ == nullptr && !derived_.empty()) mentioned_ = derived_.begin()->second;
  if (mentioned_ != nullptr) derive_lists(statement);
  std::vector<std::string> outputs;
  collect_outputs(statement, outputs);
  for (int i = 0; i < kMaxDerivations; ++i) {
    const bool forward = derive(statement);
    if (!derive_links(statement, outputs) && !forward) break;
  }
}

void ColumnJudge::collect_names(const Var& var) {
  for_each_part(var, [&](const std::string& key, const Var& part) {
    const auto object = is_object(part) ? part.extract<Object::Ptr>() : nullptr;
    const bool is_table = object && object->has("relname");
    if (is_table) {
      const std::string name = tree::text(object, "relname");
      tables_.push_back(name);
      aliases_[name].push_back(name);
      if (const std::string alias = tree::text(tree::object(object, "alias"), "aliasname"); !alias.empty())
        aliases_[alias].push_back(name);
      collect_renamed(object);
    } else if (key == "RangeSubselect" || key == "JoinExpr") {
      if (const auto alias = tree::object(object, "alias"))
        aliases_[tree::text(alias, "aliasname")].emplace_back();
      if (const auto alias = tree::object(object, "join_using_alias"))
        aliases_[tree::text(alias, "aliasname")].emplace_back();
    } else if (key == "RangeFunction" && !are_named(part)) {
      tables_.emplace_back();  // whichever table's columns it returns
    } else if (key == "CommonTableExpr") {
      aliases_[tree::text(object, "ctename")].emplace_back();
    } else if (key == "returningList") {  // PostgreSQL 18
      for (const char* const row : {"old", "new"}) aliases_[row].emplace_back();
    }
    collect_names(part);
  });
}

// FROM users AS u (a, b): which is of which column is not followed.
void ColumnJudge::collect_renamed(const Object::Ptr& table) {
  const Array::Ptr names = tree::list(tree::object(table, "alias"), "colnames");
  const Rule* const rule = any_of(tree::text(table, "relname"));
  for (std::size_t i = 0; rule != nullptr && names && i < names->size(); ++i)
    derived_.emplace(tree::name_part(names, i), rule);
  if (rule != nullptr && names) written_.emplace(tree::text(table, "relname"), rule);
}

// FROM (users JOIN orders USING (id)) AS j (a, b): likewise, of whichever table they are.
void ColumnJudge::collect_joined(const Var& var) {
  for_each_part(var, [&](const std::string& key, const Var& part) {
    if (key == "JoinExpr" && is_object(part)) {
      const Array::Ptr names = tree::list(tree::object(part.extract<Object::Ptr>(), "alias"), "colnames");
      const Rule* const rule = names ? rules_.for_whole_row(tables_) : nullptr;
      for (std::size_t i = 0; rule != nullptr && i < names->size(); ++i)
        derived_.emplace(tree::name_part(names, i), rule);
    }
    collect_joined(part);
  });
}

// What the server found to be the most common values, and the like; and what sessions are asking it.
void ColumnJudge::collect_statistics() {
  const Rule* const rule = rules_.for_whole_row({});
  for (auto& [alias, tables] : aliases_) {
    if (rule == nullptr) return;
    const bool statistics = std::any_of(tables.begin(), tables.end(), is_statistics);
    const bool texts = std::any_of(tables.begin(), tables.end(), tells_statements);
    if (!statistics && !texts) continue;
    tables.emplace_back();
    derived_.emplace(alias, rule);
    for (const char* const name : {"query", "statement"}) {
      if (texts) derived_.emplace(name, rule);
    }
    for (const char* const name :
         {"most_common_vals", "histogram_bounds", "most_common_elems", "stxdmcv", "stxdexpr", "stavalues1",
          "stavalues2", "stavalues3", "stavalues4", "stavalues5"}) {
      if (statistics) derived_.emplace(name, rule);
    }
  }
}

// A domain's VALUE: which columns are of the domain is not known.
void ColumnJudge::collect_domain(const Var& statement) {
  if (!is_object(statement) || !is_of_domain(statement.extract<Object::Ptr>()->begin()->first)) return;
  if (const Rule* const rule = rules_.for_whole_row({})) derived_.emplace("value", rule);
}

// All of the statement's, where a part of it has that name; null of what is no table's name.
const std::vector<std::string>* ColumnJudge::tables_of(const std::string& alias) const {
  const auto found = aliases_.find(alias);
  if (found == aliases_.end()) return nullptr;
  const auto& tables = found->second;
  return std::find(tables.begin(), tables.end(), "") != tables.end() ? &tables_ : &tables;
}

void ColumnJudge::collect_references(const Var& var) {
  for_each_part(var, [&](const std::string& key, const Var& part) {
    if (mentioned_ != nullptr) return;
    if (key == "ColumnRef" && is_object(part)) {
      mentioned_ = reference(part.extract<Object::Ptr>());
    } else if (key == "FuncCall" && reads_by_text(last_part(tree::list(object_of(part), "funcname")))) {
      mentioned_ = rules_.for_whole_row({});
    } else if (key == "ResTarget" && is_object(part)) {
      const auto target = part.extract<Object::Ptr>();
      const std::string name = tree::text(target, "name");
      if (!name.empty()) mentioned_ = rules_.for_column(tables_, name);
      if (mentioned_ == nullptr) mentioned_ = field(target);
    } else if (const Rule* const named = named_part(key, part)) {
      mentioned_ = named;
    }
    collect_references(part);
  });
}

// WITH x(a, b), FROM f() AS t(a, b): where which name is of which column is not followed, any may be.
void ColumnJudge::derive_lists(const Var& var) {
  for_each_part(var, [&](const std::string& key, const Var& part) {
    const auto object = object_of(part);
    const auto select = object ? source_of(object) : nullptr;
    if (select && answer_of(select).told) return derive_lists(Var(select));  // by place
    if ((key == "colnames" || key == "aliascolnames") && is_array(part)) {
      const auto names = part.extract<Array::Ptr>();
      for (std::size_t i = 0; i < names->size(); ++i) derived_.emplace(tree::name_part(names, i), mentioned_);
    }
    derive_lists(part);
  });
}

bool ColumnJudge::derive(const Var& var) {
  bool any = false;
  for_each_part(var, [&](const std::string& key, const Var& part) {
    if (key == "ResTarget" && is_object(part)) {
      const auto target = part.extract<Object::Ptr>();
      if (target->has("val")) {
        const Rule* const rule = answer(target->get("val"));
        std::string label = tree::text(target, "name");
        if (label.empty()) label = label_of(target->get("val"));
        if (rule != nullptr && !label.empty()) any = derived_.emplace(label, rule).second || any;
      }
    }
    if ((key == "RangeFunction" || key == "RangeTableFunc") && is_object(part))
      any = derive_function(part.extract<Object::Ptr>(), part) || any;
    if ((key == "RangeSubselect" || key == "CommonTableExpr") && is_object(part))
      any = derive_answer(part.extract<Object::Ptr>()) || any;
    if (key == "InsertStmt" && is_object(part)) any = derive_insert(part.extract<Object::Ptr>()) || any;
    if (key == "UpdateStmt" && is_object(part))
      any = derive_written(part.extract<Object::Ptr>(), part.extract<Object::Ptr>()) || any;
    any = derive(part) || any;
  });
  return any;
}

// (VALUES (u.email)) AS v (a), WITH w AS (SELECT name FROM t UNION SELECT email FROM users): names by place.
bool ColumnJudge::derive_answer(const Object::Ptr& source) {
  const auto select = source_of(source);
  const Array::Ptr names = names_of(source);
  if (!select || (!names && !select->has("larg") && !select->has("valuesLists"))) return false;
  Answer answer = answer_of(select, names);
  const Rule* const first = answer.any();
  if (first == nullptr) return false;
  if (names && names->size() > answer.names.size()) answer.names.resize(names->size());
  for (std::size_t i = 0; names && i < names->size(); ++i) answer.names[i] = tree::name_part(names, i);
  bool any = !answer.told && !names && unnamed_ == nullptr;
  if (any) unnamed_ = first;
  for (std::size_t i = 0; i < answer.names.size(); ++i) {
    const Rule* const rule = !answer.told ? first : i < answer.rules.size() ? answer.rules[i] : nullptr;
    if (rule != nullptr && !answer.names[i].empty())
      any = derived_.emplace(answer.names[i], rule).second || any;
  }
  return any;
}

// INSERT INTO t (a) SELECT email FROM users RETURNING a
bool ColumnJudge::derive_insert(const Object::Ptr& insert) {
  const Array::Ptr columns = tree::list(insert, "cols");
  const auto select =
      insert->has("selectStmt") ? tree::node(insert->get("selectStmt"), "SelectStmt") : nullptr;
  if (!insert->has("returningList") || !select) return false;
  const Answer answer = answer_of(select, true);
  const Rule* const first = answer.any();
  const std::string table = tree::text(tree::object(insert, "relation"), "relname");
  const bool written = first != nullptr && written_.emplace(table, first).second;
  bool any = derive_written(insert, tree::object(insert, "onConflictClause")) || written;
  if (first != nullptr && !columns && unnamed_ == nullptr) {
    unnamed_ = first;
    any = true;
  }
  for (unsigned i = 0; columns && i < columns->size(); ++i) {
    const Rule* const rule = !answer.told ? first : i < answer.rules.size() ? answer.rules[i] : nullptr;
    const std::string name = tree::text(tree::node(columns->get(i), "ResTarget"), "name");
    if (rule != nullptr && !name.empty()) any = derived_.emplace(name, rule).second || any;
  }
  return any;
}

// UPDATE orders SET note = u.ssn FROM users u RETURNING orders.note
bool ColumnJudge::derive_written(const Object::Ptr& statement, const Object::Ptr& assignments) {
  if (!assignments || !assignments->has("targetList")) return false;
  const Rule* const rule = value_of(assignments->get("targetList")).rule;
  return rule != nullptr &&
         written_.emplace(tree::text(tree::object(statement, "relation"), "relname"), rule).second;
}

const Rule* ColumnJudge::written_to(const std::vector<std::string>& tables) const {
  for (const std::string& table : tables) {
    if (const auto written = written_.find(table); written != written_.end()) return written->second;
  }
  return nullptr;
}

const Rule* ColumnJudge::row_of(const std::vector<std::string>& tables) const {
  const Rule* const rule = rules_.for_whole_row(tables);
  return rule != nullptr ? rule : written_to(tables);
}

// FROM unnest(u.phones) AS p: whatever comes of it may be of the masked column; so may what a function makes
// that is compared with one.
bool ColumnJudge::derive_function(const Object::Ptr& function, const Var& part) {
  const Rule* rule = value_of(part).rule;
  for (const std::string& name : function_names(function)) {
    const auto derived = derived_.find(name);
    if (rule == nullptr && derived != derived_.end()) rule = derived->second;
  }
  if (rule == nullptr) return false;
  std::vector<std::string> functions;
  std::vector<std::string> columns;
  collect_function_names(part, functions, columns);
  const Array::Ptr names = tree::list(tree::object(function, "alias"), "colnames");
  const bool told = !columns.empty() || (names && names->size() > 0) || are_named(part);
  bool any = !told && unnamed_ == nullptr;
  if (any) unnamed_ = rule;
  for (const std::string& name : function_names(function))
    any = (!name.empty() && derived_.emplace(name, rule).second) || any;
  return any;
}

const Rule* ColumnJudge::column(const std::string& table, const std::string& name) const {
  return table.empty() ? rules_.for_column(tables_, name) : rules_.for_column({table}, name);
}

// (person).email, person.email = 'x': a field is called as a column may be.
const Rule* ColumnJudge::field(const Object::Ptr& indirection) const {
  const Array::Ptr path = tree::list(indirection, "indirection");
  for (std::size_t i = 0; path && i < path->size(); ++i) {
    const std::string name = tree::name_part(path, i);
    const Rule* const rule = name.empty() ? nullptr : rules_.for_column({}, name);
    if (rule != nullptr) return rule;
  }
  return nullptr;
}

// Or an argument is, f(email => 'x'): of whichever table.
const Rule* ColumnJudge::named_part(const std::string& key, const Var& part) const {
  const auto object = object_of(part);
  if (key == "A_Indirection") return field(object);
  return key == "NamedArgExpr" ? rules_.for_column({}, tree::text(object, "name")) : nullptr;
}

const Rule* ColumnJudge::reference(const Object::Ptr& column) const {
  const Array::Ptr fields = tree::list(column, "fields");
  if (!fields || fields->size() == 0) return nullptr;
  const std::string name = last_part(fields);  // "" of a star
  const std::string qualifier =
      fields->size() > 1 ? tree::name_part(fields, fields->size() - 2) : std::string();
  const std::vector<std::string>* const tables = tables_of(qualifier.empty() ? name : qualifier);
  if (name.empty()) return row_of(qualifier.empty() || tables == nullptr ? tables_ : *tables);
  const auto derived = derived_.find(name);
  if (qualifier.empty()) {
    if (const Rule* const rule = rules_.for_column(tables_, name)) return rule;
    if (derived != derived_.end()) return derived->second;
    if (tables != nullptr) return row_of(*tables);  // a whole row by its table's name
    return unnamed_;
  }
  const bool of_table = tables != nullptr && tables != &tables_;
  if (const Rule* const rule = rules_.for_column(of_table ? *tables : tables_, name)) return rule;
  if (of_table && written_to(*tables) == nullptr) return nullptr;
  if (derived != derived_.end()) return derived->second;
  if (tables != nullptr) return unnamed_;
  const auto row = derived_.find(qualifier);  // of a function's
  return row != derived_.end() ? row->second : nullptr;
}

const Rule* Answer::any() const {
  const auto found = std::find_if(rules.begin(), rules.end(), [](const Rule* rule) { return rule; });
  return found == rules.end() ? nullptr : *found;
}

Answer ColumnJudge::answer_of(const Object::Ptr& select, bool placed) const {
  Answer answer;
  const auto add = [&](std::size_t at, const Rule* rule) {
    if (answer.rules.size() <= at) answer.rules.resize(at + 1);
    if (answer.rules[at] == nullptr) answer.rules[at] = rule;
  };
  if (const auto left = tree::object(select, "larg")) {
    answer = answer_of(left);
    const Answer right = answer_of(tree::object(select, "rarg"));
    answer.told = answer.told && right.told;
    for (std::size_t i = 0; i < right.rules.size(); ++i) add(i, right.rules[i]);
    return answer;
  }
  const Array::Ptr rows = tree::list(select, "valuesLists");
  for (unsigned i = 0; rows && i < rows->size(); ++i) {
    const Array::Ptr items = tree::list(tree::node(rows->get(i), "List"), "items");
    for (unsigned at = 0; items && at < items->size(); ++at) {
      add(at, placed ? value_of(items->get(at)).rule : this->answer(items->get(at)));
      answer.told = answer.told && !is_star(items->get(at));
    }
  }
  for (std::size_t i = 0; rows && i < answer.rules.size(); ++i)
    answer.names.push_back("column" + std::to_string(i + 1));
  const Array::Ptr targets = tree::list(select, "targetList");
  for (unsigned i = 0; targets && i < targets->size(); ++i) {
    const auto target = tree::node(targets->get(i), "ResTarget");
    const Var value = target ? target->get("val") : Var();
    add(i, this->answer(value));
    answer.names.push_back(tree::text(target, "name"));
    if (answer.names.back().empty()) answer.names.back() = label_of(value);
    answer.told = answer.told && !is_star(value);
  }
  return answer;
}

}  // namespace understudy::replayer
