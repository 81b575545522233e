// Names of columns in a statement: what the server calls one that was given none, by what stands in its
// expression; and which ones rules are for.
#include <algorithm>
#include <map>

#include "replayer/mask/column_judge.h"
#include "replayer/mask/tree_parts.h"

namespace understudy::replayer {
namespace {

using namespace parts;
using Object = Poco::JSON::Object;
using Array = Poco::JSON::Array;
using Poco::Dynamic::Var;
namespace tree = proxy::tree;

// A type's name and "case" give way to a name from further inside.
struct Label {
  std::string name;
  bool weak = false;
};

Label label(const Var& expression);

Label of_subquery(const Object::Ptr& link) {
  const std::string kind = tree::text(link, "subLinkType");
  if (kind == "EXISTS_SUBLINK") return {.name = "exists"};
  if (kind == "ARRAY_SUBLINK") return {.name = "array"};
  if (kind != "EXPR_SUBLINK") return {};
  auto select = tree::node(link->get("subselect"), "SelectStmt");
  while (const auto left = tree::object(select, "larg")) select = left;
  if (tree::list(select, "valuesLists")) return {.name = "column1"};
  const auto targets = tree::list(select, "targetList");
  const auto target = targets && targets->size() > 0 ? tree::node(targets->get(0), "ResTarget") : nullptr;
  if (!target) return {};
  const std::string name = tree::text(target, "name");
  return {.name = name.empty() ? label_of(target->get("val")) : name};
}

// (row).field, list[1]
Label of_indirection(const Object::Ptr& indirection) {
  const Array::Ptr path = tree::list(indirection, "indirection");
  std::string name;
  for (std::size_t i = 0; path && i < path->size(); ++i) {
    if (const std::string field = tree::name_part(path, i); !field.empty()) name = field;
  }
  return name.empty() ? label(indirection->get("arg")) : Label{.name = name};
}

Label of_cast(const Object::Ptr& cast) {
  const Label inner = label(cast->get("arg"));
  const std::string type = last_part(tree::list(tree::object(cast, "typeName"), "names"));
  return (inner.name.empty() || inner.weak) && !type.empty() ? Label{.name = type, .weak = true} : inner;
}

Label of_case(const Object::Ptr& choice) {
  const Label inner = choice->has("defresult") ? label(choice->get("defresult")) : Label{};
  return inner.name.empty() || inner.weak ? Label{.name = "case", .weak = true} : inner;
}

std::string of_xml(const std::string& op) {
  static const std::map<std::string, std::string> kNames = {
      {"IS_XMLCONCAT", "xmlconcat"}, {"IS_XMLELEMENT", "xmlelement"}, {"IS_XMLFOREST", "xmlforest"},
      {"IS_XMLPARSE", "xmlparse"},   {"IS_XMLPI", "xmlpi"},           {"IS_XMLROOT", "xmlroot"}};
  const auto found = kNames.find(op);
  return found == kNames.end() ? std::string() : found->second;
}

Label label(const Var& expression) {
  if (const auto column = tree::node(expression, "ColumnRef"))
    return {.name = last_part(tree::list(column, "fields"))};
  if (const auto path = tree::node(expression, "A_Indirection")) return of_indirection(path);
  if (const auto call = tree::node(expression, "FuncCall"))
    return {.name = last_part(tree::list(call, "funcname"))};
  if (const auto cast = tree::node(expression, "TypeCast")) return of_cast(cast);
  if (const auto collate = tree::node(expression, "CollateClause")) return label(collate->get("arg"));
  if (const auto choice = tree::node(expression, "CaseExpr")) return of_case(choice);
  if (const auto link = tree::node(expression, "SubLink")) return of_subquery(link);
  if (tree::text(tree::node(expression, "A_Expr"), "kind") == "AEXPR_NULLIF") return {.name = "nullif"};
  if (tree::node(expression, "CoalesceExpr")) return {.name = "coalesce"};
  if (const auto either = tree::node(expression, "MinMaxExpr"))
    return {.name = tree::text(either, "op") == "IS_LEAST" ? "least" : "greatest"};
  if (tree::node(expression, "A_ArrayExpr")) return {.name = "array"};
  if (tree::node(expression, "RowExpr")) return {.name = "row"};
  if (tree::node(expression, "XmlSerialize")) return {.name = "xmlserialize"};
  return {.name = of_xml(tree::text(tree::node(expression, "XmlExpr"), "op"))};
}

}  // namespace

std::string label_of(const Var& expression) {
  if (is_star(expression)) return {};
  const std::string name = label(expression).name;
  return name.empty() ? "?column?" : name;
}

void collect_named(const masking::Rules& rules, const std::vector<std::string>& tables, const Var& statement,
                   std::vector<const masking::Rule*>& named) {
  for_each_part(statement, [&](const std::string& key, const Var& part) {
    if (!part.isString() || (key != "sval" && key != "name" && key != "colname"))
      return collect_named(rules, tables, part, named);
    const masking::Rule* const rule = rules.for_column(tables, part.extract<std::string>());
    if (rule != nullptr && std::find(named.begin(), named.end(), rule) == named.end()) named.push_back(rule);
  });
}

}  // namespace understudy::replayer
