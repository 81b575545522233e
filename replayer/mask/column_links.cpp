// A ColumnJudge's way back: columns of subqueries, WITH, VALUES and functions whose values go to a masked
// column, or are compared with one. What they are made of is as good as that column's.
#include <algorithm>

#include "replayer/mask/column_judge.h"
#include "replayer/mask/followed_statements.h"
#include "replayer/mask/tree_parts.h"

namespace understudy::replayer {

using namespace parts;
using Object = Poco::JSON::Object;
using Array = Poco::JSON::Array;
using masking::Rule;
using Poco::Dynamic::Var;
namespace tree = proxy::tree;

// Names that a part of the statement gives to what it answers with.
void ColumnJudge::collect_outputs(const Var& var, std::vector<std::string>& names) const {
  for_each_part(var, [&](const std::string& key, const Var& part) {
    const auto object = object_of(part);
    if (object && (key == "RangeSubselect" || key == "CommonTableExpr")) {
      if (const Array::Ptr given = names_of(object)) {
        for (std::size_t i = 0; i < given->size(); ++i) names.push_back(tree::name_part(given, i));
      }
      if (const auto select = source_of(object)) {
        const Answer answer = answer_of(select);
        names.insert(names.end(), answer.names.begin(), answer.names.end());
      }
    } else if (object && (key == "RangeFunction" || key == "RangeTableFunc")) {
      const auto given = function_names(object);
      names.insert(names.end(), given.begin(), given.end());
    } else if (key == "returningList") {
      for_each_part(part, [&](const std::string&, const Var& item) {
        const auto target = tree::node(item, "ResTarget");
        if (target && target->has("val"))
          names.push_back(target->has("name") ? tree::text(target, "name") : label_of(target->get("val")));
      });
    }
    collect_outputs(part, names);
  });
}

bool ColumnJudge::derive_links(const Var& statement, const std::vector<std::string>& outputs) {
  if (outputs.empty()) return false;
  Links links;
  collect_links(statement, links);
  const auto all = links.find("");  // of a star
  bool any = false;
  for (const std::string& name : outputs) {
    const auto link = links.find(name);
    const Rule* const rule = link != links.end() ? link->second : all != links.end() ? all->second : nullptr;
    if (rule != nullptr && !name.empty()) any = derived_.emplace(name, rule).second || any;
  }
  return any;
}

void ColumnJudge::collect_links(const Var& var, Links& links) const {
  for_each_part(var, [&](const std::string& key, const Var& part) {
    if (const auto object = object_of(part)) {
      if (key == "A_Expr") {
        link(part, columns_in(part).rule, links);
      } else if (key == "SubLink" && object->has("testexpr")) {
        link_answer(tree::node(object->get("subselect"), "SelectStmt"),
                    columns_in(object->get("testexpr")).rule, links);
      } else if (key == "ResTarget" && object->has("val")) {
        link(object->get("val"), rule_of_target(object), links);
      } else if (key == "InsertStmt") {
        link_insert(object, links);
      } else if (key == "MergeWhenClause" && object->has("values")) {
        link_merge(object, links);
      }
    }
    collect_links(part, links);
  });
}

const Rule* ColumnJudge::rule_of_target(const Object::Ptr& target) const {
  std::string name = tree::text(target, "name");
  if (!name.empty()) {
    if (const Rule* const rule = rules_.for_column(tables_, name)) return rule;
  } else {
    name = label_of(target->get("val"));
  }
  const auto derived = derived_.find(name);
  return derived != derived_.end() ? derived->second : nullptr;
}

// Whatever column's value may be that of the expression. Not those that only choose which.
void ColumnJudge::link(const Var& expression, const Rule* rule, Links& links) const {
  if (rule == nullptr) return;
  for_each_part(expression, [&](const std::string& key, const Var& part) {
    const auto object = object_of(part);
    if (key == "ColumnRef") {
      const Array::Ptr fields = tree::list(object, "fields");
      const std::vector<std::string>* const tables =
          fields && fields->size() > 1 ? tables_of(tree::name_part(fields, fields->size() - 2)) : nullptr;
      const bool of_table = tables != nullptr && tables != &tables_;
      if (!of_table) links.emplace(last_part(fields), rule);
    } else if (key == "indirection") {  // (v).a
      for_each_part(part, [&](const std::string&, const Var& step) {
        const std::string name = tree::text(tree::node(step, "String"), "sval");
        if (!name.empty()) links.emplace(name, rule);
      });
      link(part, rule, links);
    } else if (key == "SubLink" && object) {
      if (tree::text(object, "subLinkType") != "EXISTS_SUBLINK")
        link_answer(tree::node(object->get("subselect"), "SelectStmt"), rule, links);
    } else if (key == "CaseWhen" && object) {
      link(object->get("result"), rule, links);
    } else {
      link(part, rule, links);
    }
  });
}

void ColumnJudge::link_answer(const Object::Ptr& select, const Rule* rule, Links& links) const {
  link_places(select, {}, rule, links);
}

// `rules`: of the columns that the answer's go to, by place; `other`: of those behind them.
void ColumnJudge::link_places(const Object::Ptr& select, const std::vector<const Rule*>& rules,
                              const Rule* other, Links& links) const {
  if (!select) return;
  for (const char* const side : {"larg", "rarg"})
    link_places(tree::object(select, side), rules, other, links);
  const auto link_list = [&](const Array::Ptr& items) {
    const auto first = std::find_if(rules.begin(), rules.end(), [](const Rule* rule) { return rule; });
    const Rule* const any = first != rules.end() ? *first : other;
    const auto value_at = [&](unsigned i) {
      const auto target = tree::node(items->get(i), "ResTarget");
      return target ? Var(target->get("val")) : items->get(i);
    };
    bool told = true;
    for (unsigned i = 0; items && i < items->size(); ++i) told = told && !is_star(value_at(i));
    for (unsigned i = 0; items && i < items->size(); ++i)
      link(value_at(i), !told ? any : i < rules.size() ? rules[i] : other, links);
  };
  link_list(tree::list(select, "targetList"));
  const Array::Ptr rows = tree::list(select, "valuesLists");
  for (unsigned i = 0; rows && i < rows->size(); ++i)
    link_list(tree::list(tree::node(rows->get(i), "List"), "items"));
}

void ColumnJudge::link_insert(const Object::Ptr& insert, Links& links) const {
  const std::string table = tree::text(tree::object(insert, "relation"), "relname");
  const Array::Ptr columns = tree::list(insert, "cols");
  std::vector<const Rule*> rules;
  for (unsigned i = 0; columns && i < columns->size(); ++i)
    rules.push_back(column(table, tree::text(tree::node(columns->get(i), "ResTarget"), "name")));
  if (insert->has("selectStmt"))
    link_places(tree::node(insert->get("selectStmt"), "SelectStmt"), rules, columns ? nullptr : any_of(table),
                links);
}

void ColumnJudge::link_merge(const Object::Ptr& clause, Links& links) const {
  const Array::Ptr columns = tree::list(clause, "targetList");
  const Array::Ptr values = tree::list(clause, "values");
  for (unsigned i = 0; values && i < values->size(); ++i) {
    const auto target = columns && i < columns->size() ? tree::node(columns->get(i), "ResTarget") : nullptr;
    link(values->get(i), target ? column("", tree::text(target, "name")) : rules_.for_whole_row(tables_),
         links);
  }
}

Mention ColumnJudge::mention_in(const Var& expression) const {
  Mention mention = columns_in(expression);
  if (mention.rule == nullptr) mention.rule = value_of(expression).rule;
  mention.columns = mention.columns || mention.rule != nullptr;
  return mention;
}

}  // namespace understudy::replayer
