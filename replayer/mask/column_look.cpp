// What an expression is about, and whether constants in it are of no column.
#include <utility>

#include "replayer/mask/binary_token.h"
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

Mention ColumnJudge::look(const Var& var, bool for_value) const {
  const void* const part = is_object(var)  ? static_cast<const void*>(var.extract<Object::Ptr>().get())
                           : is_array(var) ? static_cast<const void*>(var.extract<Array::Ptr>().get())
                                           : nullptr;
  if (part == nullptr) return {};
  const std::size_t known =
      derived_.size() + written_.size() + tables_.size() + (unnamed_ ? 1 : 0) + (mentioned_ ? 1 : 0);
  if (std::exchange(looked_.known, known) != known) {
    for (auto& found : looked_.found) found.clear();
  }
  const auto found = looked_.found[for_value].find(part);
  if (found != looked_.found[for_value].end()) return found->second;
  return looked_.found[for_value][part] = look_into(var, for_value);
}

Mention ColumnJudge::look_into(const Var& var, bool for_value) const {
  Mention found;
  for_each_part(var, [&](const std::string& key, const Var& part) {
    if (found.rule != nullptr) return;
    const auto object = is_object(part) ? part.extract<Object::Ptr>() : nullptr;
    Mention inner;
    if (key == "ColumnRef") {
      inner = {.columns = true, .rule = reference(object)};
    } else if (key == "SubLink") {
      const bool tells_values = tree::text(object, "subLinkType") == "EXPR_SUBLINK" ||
                                tree::text(object, "subLinkType") == "ARRAY_SUBLINK";
      const auto select = object ? tree::node(object->get("subselect"), "SelectStmt") : nullptr;
      if (for_value && tells_values && select) inner.rule = answer_of(select).any();
      if (!for_value && object && object->has("testexpr")) inner = look(object->get("testexpr"), false);
    } else if (for_value && key == "FuncCall" && own_function(object) == "count") {
      return;
    } else if (const Rule* const named =
                   for_value || key == "A_Indirection" ? named_part(key, part) : nullptr) {
      inner = {.columns = true, .rule = named};
    } else {
      inner = look(part, for_value);
      if (key == "FuncCall" && inner.rule == nullptr &&
          reads_by_text(last_part(tree::list(object, "funcname"))))
        inner.rule = rules_.for_whole_row({});
    }
    found.columns = found.columns || inner.columns;
    found.rule = inner.rule;
  });
  return found;
}

const Rule* ColumnJudge::answer(const Var& value) const {
  if (const Rule* const rule = value_of(value).rule) return rule;
  return mentioned_ != nullptr && holds_unplaced(value) ? mentioned_ : nullptr;
}

// A text of no column, which is masked as one of a column that the statement is about.
bool ColumnJudge::holds_unplaced(const Var& var) const {
  bool found = false;
  for_each_part(var, [&](const std::string& key, const Var& part) {
    const auto object = object_of(part);
    if (found || key == "SubLink") return;
    if (key == "A_Const") {
      found = object && object->has("sval");
    } else if (key == "ParamRef") {
      found = true;
    } else if (key == "TypeCast" && object && tree::node(object->get("arg"), "ParamRef")) {
      found =
          is_text_type(masking::type_oid(last_part(tree::list(tree::object(object, "typeName"), "names"))));
    } else if (key == "typeName" || (is_expression(key) && columns_in(part).columns)) {
      return;
    } else if (key == "FuncCall" && object && takes_name_first(own_function(object))) {
      const Array::Ptr args = tree::list(object, "args");
      for (unsigned i = 1; args && i < args->size(); ++i) found = found || holds_unplaced(args->get(i));
    } else {
      found = holds_unplaced(part);
    }
  });
  return found;
}

Mention ColumnJudge::value_of(const Var& expression) const { return look(expression, true); }
Mention ColumnJudge::columns_in(const Var& expression) const { return look(expression, false); }

}  // namespace understudy::replayer
