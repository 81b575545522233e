// A parse tree's parts, for those that walk it all. Any thread.
#pragma once

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <string>
#include <string_view>
#include <unordered_set>

#include "proxy/parse_tree_walk.h"

namespace understudy::replayer::parts {

[[nodiscard]] inline bool is_object(const Poco::Dynamic::Var& var) {
  return var.type() == typeid(Poco::JSON::Object::Ptr);
}
[[nodiscard]] inline bool is_array(const Poco::Dynamic::Var& var) {
  return var.type() == typeid(Poco::JSON::Array::Ptr);
}
[[nodiscard]] inline Poco::JSON::Object::Ptr object_of(const Poco::Dynamic::Var& var) {
  return is_object(var) ? var.extract<Poco::JSON::Object::Ptr>() : nullptr;
}

// Of a qualified name; empty of a star.
[[nodiscard]] inline std::string last_part(const Poco::JSON::Array::Ptr& names) {
  return names && names->size() > 0 ? proxy::tree::name_part(names, names->size() - 1) : std::string();
}

// Calls `visit(member's name, its value)` for each member of an object, `visit("", item)` for each of a list.
template <typename Visit>
void for_each_part(const Poco::Dynamic::Var& var, Visit&& visit) {
  if (is_array(var)) {
    for (const Poco::Dynamic::Var& item : *var.extract<Poco::JSON::Array::Ptr>()) visit(std::string(), item);
  } else if (is_object(var)) {
    for (const auto& [key, member] : *var.extract<Poco::JSON::Object::Ptr>()) visit(key, member);
  }
}

// What stands together in one of these is about the same columns.
[[nodiscard]] inline bool is_expression(std::string_view node) {
  static const std::unordered_set<std::string_view> kExpressions = {"A_Expr",       "FuncCall",   "CaseExpr",
                                                                    "CoalesceExpr", "MinMaxExpr", "XmlExpr"};
  return kExpressions.contains(node);
}

// Of a function that may be the server's own; else empty.
[[nodiscard]] inline std::string own_function(const Poco::JSON::Object::Ptr& call) {
  const auto names = proxy::tree::list(call, "funcname");
  if (!names || names->size() == 0 || names->size() > 2) return {};
  if (names->size() == 2 && proxy::tree::name_part(names, 0) != "pg_catalog") return {};
  return proxy::tree::name_part(names, names->size() - 1);
}

[[nodiscard]] inline Poco::Dynamic::Var without_casts(Poco::Dynamic::Var expression) {
  while (const auto cast = proxy::tree::node(expression, "TypeCast")) expression = cast->get("arg");
  return expression;
}

[[nodiscard]] inline std::string type_of_cast(const Poco::JSON::Object::Ptr& cast) {
  const auto names = proxy::tree::list(proxy::tree::object(cast, "typeName"), "names");
  return names && names->size() > 0 ? proxy::tree::name_part(names, names->size() - 1) : std::string();
}

// a = b, a IN (b, c): true or false, whatever it is compared for.
[[nodiscard]] inline bool is_equality(const Poco::JSON::Object::Ptr& expression) {
  const std::string kind = proxy::tree::text(expression, "kind");
  const std::string op =
      proxy::tree::name_part(proxy::tree::list(expression, "name"), 0);  // the schema, if it has one
  return (kind == "AEXPR_OP" || kind == "AEXPR_IN") && (op == "=" || op == "<>");
}

}  // namespace understudy::replayer::parts
