// Which texts of SQL a replica answers as its primary would: by their words, whatever else is known of them.
// A replica has what was written to tables, and nothing of what a server says of itself. Any thread.
#pragma once

#include <span>
#include <string_view>

#include "proxy/sql_tokens.h"

namespace understudy::proxy {

// False for what does not begin as a read (SELECT, VALUES, TABLE, WITH, COPY, a parenthesis), and where a
// word could name what is a server's own: its statistics, settings, version, processes, or a sequence's
// position, of which a replica is told ahead. Whether what is read may be read again elsewhere is another
// question (StatementEffect::read_safe).
[[nodiscard]] bool same_on_a_replica(std::string_view sql, std::span<const SqlToken> tokens);

}  // namespace understudy::proxy
