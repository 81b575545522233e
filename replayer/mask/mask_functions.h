// The tokens of formats/masking/tokens.h as SQL, for PostgreSQL 12 and later without any extension: what
// `understudy mask-sql` prints. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

#include "formats/masking/rules.h"

namespace understudy::replayer {

// Functions in a schema "understudy" that make the same tokens, with the key in the setting `key_setting`.
[[nodiscard]] std::string mask_functions_sql(std::string_view key_setting);
// A block that masks every table of the database it is run in by the rules.
[[nodiscard]] std::string mask_tables_sql(const masking::Rules& rules);

}  // namespace understudy::replayer
