// The statements that give a psql session the settings another session began with. Pure; any thread.
#pragma once

#include <map>
#include <string>

#include "formats/transcript/event.h"

namespace understudy::replayer {

// `reported`: what the server told of settings at login, by name. What the startup parameters ask for besides
// is set too; `left_out` counts those that cannot be. `safe_encoding`: of the client_encoding reported
// (script_text.h).
[[nodiscard]] std::string session_settings(const SessionDescriptor& session,
                                           const std::map<std::string, std::string>& reported,
                                           bool safe_encoding, std::uint64_t& left_out);

// The -c name=value and --name=value of the startup parameter "options"; false when it holds anything else.
[[nodiscard]] bool parse_options(std::string_view options,
                                 std::vector<std::pair<std::string, std::string>>& out);

}  // namespace understudy::replayer
