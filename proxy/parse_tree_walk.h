// What running a parsed statement may do, from every node and function in it. Any thread.
#pragma once

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <cstdint>
#include <optional>
#include <string>

namespace understudy::proxy {

// A tree as libpg_query writes it: {"SelectStmt": {"targetList": [{"ResTarget": {...}}], ...}}.
namespace tree {

// The only member of a node: {"ColumnRef": {...}}; null when it is not one of that type.
[[nodiscard]] Poco::JSON::Object::Ptr node(const Poco::Dynamic::Var& var, const char* type);
// Of a member that is an object, a list, a text, true; null, null, empty, false when there is none such.
[[nodiscard]] Poco::JSON::Object::Ptr object(const Poco::JSON::Object::Ptr& parent, const char* key);
[[nodiscard]] Poco::JSON::Array::Ptr list(const Poco::JSON::Object::Ptr& parent, const char* key);
[[nodiscard]] std::string text(const Poco::JSON::Object::Ptr& parent, const char* key);
[[nodiscard]] bool flag(const Poco::JSON::Object::Ptr& parent, const char* key);
// 'text' or TRUE and FALSE, written as such.
[[nodiscard]] std::optional<std::string> string_constant(const Poco::Dynamic::Var& var);
[[nodiscard]] std::optional<bool> boolean_constant(const Poco::Dynamic::Var& var);
// The i-th of a qualified name, a list of String nodes; empty past its end.
[[nodiscard]] std::string name_part(const Poco::JSON::Array::Ptr& names, std::size_t i);
// Whether the call is of set_config, with three arguments.
[[nodiscard]] bool is_set_config(const Poco::JSON::Object::Ptr& call);

}  // namespace tree

struct TreeJudgement {
  bool read_safe = true;      // as in StatementEffect
  bool may_write = false;     // as in StatementEffect
  bool opaque = false;        // as in StatementEffect
  bool sets_local = false;    // calls set_config(..., true)
  std::string pin;            // why the session cannot move; empty if it can
  std::uint8_t holds = 0;     // as in StatementEffect
  std::uint8_t releases = 0;  // as in StatementEffect
};

// Views, operators, casts to a user's type and x.f (which may be f(x)) can hide functions: those are taken
// for safe.
[[nodiscard]] TreeJudgement judge_tree(const Poco::Dynamic::Var& statement);

}  // namespace understudy::proxy
