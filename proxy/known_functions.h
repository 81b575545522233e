// What PostgreSQL's own functions do to a session, by name: the parser does not know to which function a name
// resolves. Any thread.
//
// A user may have put another function of the same name before pg_catalog in search_path; that cannot be
// known here.
#pragma once

#include <string_view>

namespace understudy::proxy {

// Immutable or stable in every form, and reads nothing but the database. Lower case; not what needs a session
// (transaction ids, process ids) and not what reads files or runs a query given as text.
[[nodiscard]] bool is_safe_function(std::string_view name);

// Gives another result each time, looks at the session, or waits; but writes nothing.
[[nodiscard]] bool is_volatile_reader(std::string_view name);

// One of PostgreSQL's own that writes or tells others something, and does nothing to the session.
[[nodiscard]] bool is_plain_writer(std::string_view name);

inline constexpr std::string_view kAdvisoryLock = "session-level advisory lock";

// Leaves something in the session that cannot be set again elsewhere: what that is, in words; empty if it
// does not. set_config is not one of these: it depends on its arguments.
[[nodiscard]] std::string_view pinning_state(std::string_view name);

// May give back what kAdvisoryLock says.
[[nodiscard]] bool is_advisory_unlock(std::string_view name);

}  // namespace understudy::proxy
