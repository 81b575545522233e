// Calls whose first argument is the name of a setting, a sequence or a channel: of no column; and calls that
// name their arguments, which are what they are called. Any thread.
#pragma once

#include <string>

#include "replayer/mask/followed_statements.h"
#include "replayer/mask/statement_values.h"
#include "replayer/mask/tree_parts.h"

namespace understudy::replayer {

// pg_notify('channel', ...), nextval('sequence')
[[nodiscard]] inline bool names_something(const Poco::JSON::Object::Ptr& call) {
  const auto args = proxy::tree::list(call, "args");
  const std::string function = parts::own_function(call);
  if (!args || args->size() == 0) return false;
  if (function == "pg_notify") return args->size() == 2;
  return takes_name_first(function) && proxy::tree::string_constant(parts::without_casts(args->get(0)));
}

// Of pg_notify()'s payload, if it is a constant or a parameter: where it goes.
inline void tell_channel(const Poco::JSON::Array::Ptr& args, ValueRole& role) {
  const Poco::Dynamic::Var channel = parts::without_casts(args->get(0));
  const Poco::Dynamic::Var payload = parts::without_casts(args->get(1));
  if (!proxy::tree::node(payload, "A_Const") && !proxy::tree::node(payload, "ParamRef")) return;
  if (const auto name = proxy::tree::string_constant(channel)) role.channel = *name;
  if (const auto parameter = proxy::tree::node(channel, "ParamRef"))
    role.channel_parameter = parameter->optValue<int>("number", 0) - 1;
}

// f(id => 7, email => 'x')
[[nodiscard]] inline bool has_masked_argument(const masking::Rules& rules,
                                              const Poco::JSON::Object::Ptr& call) {
  const auto args = proxy::tree::list(call, "args");
  for (unsigned i = 0; args && i < args->size(); ++i) {
    const auto named = proxy::tree::node(args->get(i), "NamedArgExpr");
    if (named && rules.for_column({}, proxy::tree::text(named, "name")) != nullptr) return true;
  }
  return false;
}

}  // namespace understudy::replayer
