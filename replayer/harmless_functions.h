// Functions that do nothing but compute. What is not listed may do anything: nextval, pg_notify, one's own.
#pragma once

#include <string_view>

namespace understudy::replayer {

// `name` as in the parse tree: in lower case, of the schema pg_catalog or of none.
[[nodiscard]] bool only_computes(std::string_view name);

}  // namespace understudy::replayer
