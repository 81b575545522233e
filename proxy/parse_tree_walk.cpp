#include "proxy/parse_tree_walk.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <unordered_set>

#include "formats/wire/sql_text.h"
#include "proxy/known_functions.h"
#include "proxy/statement_traits.h"

namespace understudy::proxy {

using Poco::Dynamic::Var;
using Object = Poco::JSON::Object;
using Array = Poco::JSON::Array;

namespace tree {

Object::Ptr node(const Var& var, const char* type) {
  if (var.type() != typeid(Object::Ptr)) return nullptr;
  return var.extract<Object::Ptr>()->getObject(type);
}

Object::Ptr object(const Object::Ptr& parent, const char* key) {
  return parent ? parent->getObject(key) : nullptr;
}

Array::Ptr list(const Object::Ptr& parent, const char* key) {
  return parent ? parent->getArray(key) : nullptr;
}

std::string text(const Object::Ptr& parent, const char* key) {
  return parent && parent->has(key) && parent->get(key).isString() ? parent->getValue<std::string>(key)
                                                                   : std::string();
}

bool flag(const Object::Ptr& parent, const char* key) {
  return parent && parent->has(key) && parent->get(key).isBoolean() && parent->getValue<bool>(key);
}

std::optional<std::string> string_constant(const Var& var) {
  const Object::Ptr constant = object(node(var, "A_Const"), "sval");
  if (!constant) return std::nullopt;
  return text(constant, "sval");
}

std::optional<bool> boolean_constant(const Var& var) {
  const Object::Ptr constant = object(node(var, "A_Const"), "boolval");
  if (!constant) return std::nullopt;
  return flag(constant, "boolval");  // false is left out
}

std::string name_part(const Array::Ptr& names, std::size_t i) {
  return names && i < names->size() ? text(node(names->get(static_cast<unsigned>(i)), "String"), "sval")
                                    : std::string();
}

bool is_set_config(const Object::Ptr& call) {
  const Array::Ptr names = list(call, "funcname");
  const Array::Ptr arguments = list(call, "args");
  return names && arguments && arguments->size() == 3 && name_part(names, names->size() - 1) == "set_config";
}

}  // namespace tree

namespace {

// Nodes that do nothing by themselves but read and compute.
const std::unordered_set<std::string_view> kReadingNodes = {
    "A_ArrayExpr",    "A_Const",         "A_Expr",           "A_Indices",         "A_Indirection",
    "A_Star",         "BitString",       "BoolExpr",         "Boolean",           "BooleanTest",
    "CTECycleClause", "CTESearchClause", "CaseExpr",         "CaseWhen",          "CoalesceExpr",
    "CollateClause",  "ColumnDef",       "ColumnRef",        "CommonTableExpr",   "Float",
    "FuncCall",       "GroupingFunc",    "GroupingSet",      "Integer",           "JoinExpr",
    "List",           "MinMaxExpr",      "NamedArgExpr",     "NullTest",          "ParamRef",
    "RangeFunction",  "RangeSubselect",  "RangeTableFunc",   "RangeTableFuncCol", "RangeVar",
    "ResTarget",      "RowExpr",         "SQLValueFunction", "SelectStmt",        "SetToDefault",
    "SortBy",         "String",          "SubLink",          "TypeCast",          "TypeName",
    "WindowDef",      "XmlExpr",         "XmlSerialize"};

class Walk {
 public:
  void visit(const Var& var) {
    if (var.type() == typeid(Array::Ptr)) {
      for (const Var& item : *var.extract<Array::Ptr>()) visit(item);
    } else if (var.type() == typeid(Object::Ptr)) {
      const Object::Ptr& object = var.extract<Object::Ptr>();
      for (const auto& [key, member] : *object) {
        visit_member(key, member);
        if (member.type() == typeid(Object::Ptr)) visit_relation(object, member.extract<Object::Ptr>());
        visit(member);
      }
    }
  }
  TreeJudgement take() { return std::move(found_); }

 private:
  void visit_member(const std::string& key, const Var& member) {
    if (std::isupper(static_cast<unsigned char>(key.front())) != 0) {
      if (member.type() == typeid(Object::Ptr)) visit_node(key, member.extract<Object::Ptr>());
    } else if (key == "intoClause" || key == "lockingClause") {
      writes();  // a locked row's header holds a transaction id
    }
    if (key == "intoClause") visit_into(member.extract<Object::Ptr>());
  }

  void visit_node(const std::string& type, const Object::Ptr& body) {
    if (type == "FuncCall") {
      visit_call(body);
    } else if (type == "A_Indirection") {
      visit_indirection(tree::list(body, "indirection"));
    } else if (type == "RangeTableSample") {
      found_.read_safe = false;  // other rows each time
    } else if (!kReadingNodes.contains(type)) {
      writes();
    }
    // A rule on this view calls set_config.
    if (type == "UpdateStmt" && tree::text(tree::object(body, "relation"), "relname") == "pg_settings")
      pin("UPDATE of pg_settings");
  }

  // Only a relation that is being made is marked temporary; one that goes with its transaction needs nothing:
  // until then the transaction is made again as a whole.
  void visit_relation(const Object::Ptr& maker, const Object::Ptr& relation) {
    if (tree::text(relation, "relpersistence") != "t") return;
    const bool goes =
        tree::text(maker, "oncommit") == "ONCOMMIT_DROP" || tree::text(maker, "onCommit") == "ONCOMMIT_DROP";
    if (goes) return writes();
    pin("temporary table " + wire::quote_identifier(tree::text(relation, "relname")), kHeldTemporary);
  }

  void visit_into(const Object::Ptr& into) {
    const Object::Ptr relation = tree::object(into, "rel");
    if (tree::text(relation, "schemaname").starts_with("pg_temp"))
      pin("temporary table " + wire::quote_identifier(tree::text(relation, "relname")), kHeldTemporary);
  }

  void visit_call(const Object::Ptr& call) {
    const Array::Ptr names = tree::list(call, "funcname");
    const std::size_t parts = names ? names->size() : 0;
    const bool builtin = parts == 1 || (parts == 2 && tree::name_part(names, 0) == "pg_catalog");
    const std::string name = parts == 0 ? std::string() : tree::name_part(names, parts - 1);
    if (tree::is_set_config(call)) {
      visit_set_config(tree::list(call, "args"));
    } else {
      visit_function(name, builtin);
    }
  }

  void visit_set_config(const Array::Ptr& arguments) {
    if (tree::boolean_constant(arguments->get(2)) == true) {
      found_.sets_local = true;
    } else {
      pin("set_config() with values the proxy cannot know");
    }
  }

  // (x).f is a column of x, or f(x).
  void visit_indirection(const Array::Ptr& steps) {
    const std::size_t count = steps ? steps->size() : 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = tree::name_part(steps, i);
      if (!name.empty()) visit_function(name, true);
    }
  }

  void visit_function(const std::string& name, bool builtin) {
    const std::string_view state = pinning_state(name);
    if (is_advisory_unlock(name)) found_.releases |= kHeldLock;
    if (!state.empty()) {
      found_.read_safe = false;
      pin(std::string(state), state == kAdvisoryLock ? kHeldLock : std::uint8_t{0});
    } else if (builtin && is_safe_function(name)) {
      return;
    } else if (builtin && is_volatile_reader(name)) {
      found_.read_safe = false;
    } else {
      if (!builtin || !is_plain_writer(name)) found_.opaque = true;
      writes();
    }
  }

  void writes() {
    found_.read_safe = false;
    found_.may_write = true;
  }

  // `held`: 0 for what nobody can be asked about; then nothing else counts.
  void pin(std::string why, std::uint8_t held = 0) {
    found_.read_safe = false;
    lasts_ = lasts_ || held == 0;
    found_.holds = lasts_ ? std::uint8_t{0} : static_cast<std::uint8_t>(found_.holds | held);
    if (found_.pin.empty()) found_.pin = std::move(why);
  }

  TreeJudgement found_;
  bool lasts_ = false;
};

}  // namespace

TreeJudgement judge_tree(const Var& statement) {
  Walk walk;
  walk.visit(statement);
  return walk.take();
}

}  // namespace understudy::proxy
