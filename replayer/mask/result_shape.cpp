#include "replayer/mask/result_shape.h"

#include "proxy/parse_tree_walk.h"

namespace understudy::replayer {
namespace {

using Object = Poco::JSON::Object;
using Array = Poco::JSON::Array;
using Poco::Dynamic::Var;
namespace tree = proxy::tree;

// HEADER and HEADER true; what is not understood counts as none, and the line is masked.
bool is_on(const Var& argument) {
  if (argument.isEmpty()) return true;
  const std::string word = tree::text(tree::node(argument, "String"), "sval");
  if (word == "true" || word == "on" || word == "match") return true;
  if (const auto number = tree::node(argument, "Integer")) return number->optValue<int>("ival", 0) == 1;
  return tree::flag(tree::node(argument, "Boolean"), "boolval");
}

class Describer {
 public:
  Describer(const ColumnJudge& judge, const masking::Rules& rules, const TableColumns& known)
      : judge_(judge), rules_(rules), known_(known) {}

  void describe(const Var& statement, ResultShape& shape) {
    const std::string type = statement.extract<Object::Ptr>()->begin()->first;
    const Object::Ptr body = statement.extract<Object::Ptr>()->getObject(type);
    if (type == "SelectStmt") {
      describe_select(body, shape);
    } else if (type == "InsertStmt" || type == "UpdateStmt" || type == "DeleteStmt" || type == "MergeStmt") {
      describe_targets(tree::list(body, "returningList"), shape);
    } else if (type == "CopyStmt") {
      describe_copy(body, shape);
    } else if (type == "PrepareStmt" || type == "DeclareCursorStmt") {
      shape.defines = tree::text(body, type == "PrepareStmt" ? "name" : "portalname");
      describe_inner(body->get("query"), shape);
    } else if (type == "ExecuteStmt") {
      shape.refers_to = tree::text(body, "name");
    } else if (type == "FetchStmt") {
      shape.refers_to = tree::text(body, "portalname");
    } else if (type == "ExplainStmt") {
      shape.hidden = judge_.mentioned() != nullptr || rules_.has_patterns() || rules_.has_types() ||
                     tree::node(body->get("query"), "ExecuteStmt");
    }
  }

 private:
  void describe_inner(const Var& query, ResultShape& shape) {
    if (query.type() == typeid(Object::Ptr) && query.extract<Object::Ptr>()->size() == 1)
      describe(query, shape);
  }

  void describe_select(const Object::Ptr& select, ResultShape& shape) {
    if (const auto left = tree::object(select, "larg")) {  // UNION and the like: a column is of all of them
      describe_select(left, shape);
      ResultShape right;
      describe_select(tree::object(select, "rarg"), right);
      shape.by_position =
          shape.by_position && right.by_position && shape.columns.size() == right.columns.size();
      for (std::size_t i = 0; shape.by_position && i < shape.columns.size(); ++i) {
        if (shape.columns[i] == nullptr) shape.columns[i] = right.columns[i];
      }
      // Of what is not told apart, everything that is masked in any of them may be anywhere.
      if (!shape.by_position && judge_.mentioned() != nullptr) shape.any = judge_.mentioned();
      return;
    }
    if (tree::list(select, "valuesLists")) {
      Answer answer = judge_.answer_of(select);
      shape.by_position = answer.told;
      shape.any = answer.told ? nullptr : answer.any();
      if (answer.told) shape.columns = std::move(answer.rules);
      return;
    }
    describe_targets(tree::list(select, "targetList"), shape);
  }

  void describe_targets(const Array::Ptr& targets, ResultShape& shape) {
    shape.by_position = true;
    shape.columns.clear();
    for (unsigned i = 0; targets && i < targets->size(); ++i) {
      const auto target = tree::node(targets->get(i), "ResTarget");
      const Var value = target ? target->get("val") : Var();
      if (!target || is_star(value)) shape.by_position = false;
      shape.columns.push_back(judge_.answer(value));
    }
    if (!shape.by_position) shape.columns.clear();
  }

  void describe_copy(const Object::Ptr& body, ResultShape& shape) {
    shape.copy = CopyShape{};
    const Array::Ptr options = tree::list(body, "options");
    for (unsigned i = 0; options && i < options->size(); ++i) read_copy_option(options->get(i), *shape.copy);
    if (body->has("query")) {
      describe_inner(body->get("query"), shape);
      if (!shape.by_position) shape.any = judge_.mentioned();
      return;
    }
    const std::string table = tree::text(tree::object(body, "relation"), "relname");
    const Array::Ptr columns = tree::list(body, "attlist");
    const auto* const known = columns ? nullptr : columns_of(tree::object(body, "relation"), rules_, known_);
    if (known != nullptr) {
      shape.by_position = true;
      for (const std::string& name : *known) shape.columns.push_back(judge_.column(table, name));
      return;
    }
    if (!columns) {
      shape.any = judge_.any_of(table);
      return;
    }
    shape.by_position = true;
    for (std::size_t i = 0; i < columns->size(); ++i)
      shape.columns.push_back(judge_.column(table, tree::name_part(columns, i)));
  }

  static void read_copy_option(const Var& option, CopyShape& copy) {
    const auto element = tree::node(option, "DefElem");
    const std::string name = tree::text(element, "defname");
    const Var argument = element && element->has("arg") ? element->get("arg") : Var();
    const std::string value = tree::text(tree::node(argument, "String"), "sval");
    if (name == "header") {
      copy.header = is_on(argument);
      copy.header_match = value == "match";
    } else if (copy.format == CopyShape::Format::kOther) {
      return;  // whatever comes in which order
    } else if (name == "format" && value == "csv") {
      copy.format = CopyShape::Format::kCsv;
    } else if (name != "freeze" && !(name == "format" && value == "text")) {
      copy.format = CopyShape::Format::kOther;
    }
  }

  const ColumnJudge& judge_;
  const masking::Rules& rules_;
  const TableColumns& known_;
};

}  // namespace

ResultShape describe_result(const ColumnJudge& judge, const masking::Rules& rules, const Var& statement,
                            const TableColumns& known) {
  ResultShape shape;
  shape.tables = judge.tables();
  shape.labels = judge.derived();
  Describer(judge, rules, known).describe(statement, shape);
  if (!shape.by_position && shape.any == nullptr) shape.any = judge.unnamed();
  return shape;
}

}  // namespace understudy::replayer
