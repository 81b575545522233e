// What one parsed statement means to a session: from its tree, as libpg_query writes it. Any thread.
#pragma once

#include <Poco/JSON/Object.h>

#include <string_view>

#include "proxy/statement_traits.h"

namespace understudy::proxy {

// `statement` is {"SelectStmt": {...}}, `text` what it was made from. Throws what Poco throws when it is no
// such tree.
[[nodiscard]] StatementEffect effect_of_tree(const Poco::JSON::Object::Ptr& statement, std::string_view text);

// The careful answer: may write, and not to be run again.
[[nodiscard]] StatementEffect unknown_effect();

}  // namespace understudy::proxy
