// What a backend is asked, and what its answers mean. Pure: text in, values out; any thread.
// (PostgreSQL documentation, "Recovery Information Functions", "Control Data Functions", "Timelines"; the
// history file's lines as backup/timeline.c writes them.)
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/query_answer.h"
#include "proxy/topology_tracker.h"

namespace understudy::proxy {

// One row, one round trip, on a primary and on a replica, PostgreSQL 12 to 18.
[[nodiscard]] std::string_view state_query();
// Nothing when it is not a row that state_query() can bring.
[[nodiscard]] std::optional<CheckResult> parse_state(const QueryRow& row);

// One row with the text of the history file of `timeline`, NULL when there is no such file.
[[nodiscard]] std::string history_query(std::uint32_t timeline);
// Lines that are not understood are passed over, as the server does with comments.
[[nodiscard]] std::vector<TimelineSwitch> parse_history(std::string_view text);

}  // namespace understudy::proxy
