// A message or an event of a session as one line for people: its name and what it says. Control characters
// are escaped, authentication and cancel keys never shown. Any thread.
#pragma once

#include <string>

#include "replayer/message_splitter.h"

namespace understudy::replayer {

// "Query  select 1", "Bind  portal p of s: 7, 'ada', NULL". Each value takes about `limit_bytes` at most.
// `row_formats`: of the columns, when it is a DataRow (request_tracker.h).
[[nodiscard]] std::string item_text(const SessionItem& item, const std::vector<std::int16_t>& row_formats,
                                    std::size_t limit_bytes);

}  // namespace understudy::replayer
