// Structured logging: one fact a line, as "event key=value ...", with the session it concerns. No secret is
// ever an argument. Safe from any thread.
//
//     2026-11-24T13:31:07.123Z info listening address=127.0.0.1:6432
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/configuration.h"

namespace understudy::proxy {

using LogField = std::pair<std::string_view, std::string>;

// Sets where lines go (stderr) and what is shown. Called by main() before threads start, and at a reload.
void set_log_level(LogLevel level);
[[nodiscard]] bool log_enabled(LogLevel level);
// Values with blanks, quotes or control characters are quoted and escaped.
void log_event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

}  // namespace understudy::proxy
