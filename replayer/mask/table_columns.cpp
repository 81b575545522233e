#include "replayer/mask/table_columns.h"

#include <algorithm>

#include "replayer/mask/tree_parts.h"

namespace understudy::replayer {
namespace {

using namespace parts;
using Object = Poco::JSON::Object;
using Array = Poco::JSON::Array;
using Poco::Dynamic::Var;
namespace tree = proxy::tree;

bool calls(const Var& var, std::string_view function) {
  bool found = false;
  for_each_part(var, [&](const std::string& key, const Var& part) {
    if (found) return;
    found = (key == "FuncCall" && last_part(tree::list(object_of(part), "funcname")) == function) ||
            calls(part, function);
  });
  return found;
}

// Triggers and operators are taken for ones that leave a client's temporary tables alone.
bool leaves_tables_alone(const std::string& type, const Object::Ptr& body, const Var& statement) {
  static const std::unordered_set<std::string_view> kQueries = {
      "SelectStmt",   "InsertStmt", "UpdateStmt", "DeleteStmt", "CopyStmt",
      "TruncateStmt", "VacuumStmt", "ListenStmt", "NotifyStmt", "VariableShowStmt"};
  if (type == "TransactionStmt") {
    const std::string kind = tree::text(body, "kind");
    return kind == "TRANS_STMT_BEGIN" || kind == "TRANS_STMT_START" || kind == "TRANS_STMT_COMMIT";
  }
  if (!kQueries.contains(type)) return false;
  const proxy::TreeJudgement judgement = proxy::judge_tree(statement);
  return !judgement.opaque && judgement.pin.empty() && !calls(statement, "set_config");
}

void read_created(const Object::Ptr& body, TableEffects& effects) {
  const auto table = tree::object(body, "relation");
  if (tree::text(table, "relpersistence") != "t" || table->has("schemaname") ||
      tree::flag(body, "if_not_exists"))
    return;
  for (const char* const other : {"inhRelations", "partbound", "ofTypename"}) {
    if (body->has(other)) return;
  }
  const Array::Ptr elements = tree::list(body, "tableElts");
  for (unsigned i = 0; elements && i < elements->size(); ++i) {
    const auto column = tree::node(elements->get(i), "ColumnDef");
    if (column) effects.columns.push_back(tree::text(column, "colname"));
    if (!column && !tree::node(elements->get(i), "Constraint")) return;  // LIKE
  }
  effects.creates = tree::text(table, "relname");
  effects.on_commit_drop = tree::text(body, "oncommit") == "ONCOMMIT_DROP";
  effects.disturbs = false;
}

}  // namespace

TableEffects table_effects(const Var& statement) {
  TableEffects effects;
  const auto& [type, value] = *statement.extract<Object::Ptr>()->begin();
  const auto body = object_of(value);
  if (!body) return effects;
  if (type == "CreateStmt") {
    read_created(body, effects);
    return effects;
  }
  effects.disturbs = !leaves_tables_alone(type, body, statement);
  effects.commits = tree::text(body, "kind") == "TRANS_STMT_COMMIT";
  const auto table = tree::object(body, "relation");
  const bool unlisted =
      (type == "InsertStmt" && !body->has("cols")) || (type == "CopyStmt" && !body->has("attlist"));
  if (unlisted && table && !table->has("schemaname")) effects.unlisted = tree::text(table, "relname");
  return effects;
}

const std::vector<std::string>* columns_of(const Object::Ptr& relation, const masking::Rules& rules,
                                           const TableColumns& known) {
  const std::string name = tree::text(relation, "relname");
  const auto own = known.find(name);
  if (own != known.end() && !relation->has("schemaname")) return &own->second;
  const auto told = rules.tables().find(name);
  return told == rules.tables().end() ? nullptr : &told->second;
}

}  // namespace understudy::replayer
