// The parameters of a Bind as the texts a server would read. Any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "replayer/session_statements.h"

namespace understudy::replayer {

// NULL is no text. None when one cannot be written, and `why` then says so.
[[nodiscard]] std::optional<std::vector<std::optional<std::string>>> bound_texts(
    const StatementText& statement, ByteView bind, std::string& why);

}  // namespace understudy::replayer
