// What the kinds and reasons of a transcript are called, in text and in JSON alike. Any thread.
#pragma once

#include <string_view>

#include "formats/transcript/event.h"

namespace understudy::replayer {

[[nodiscard]] std::string_view event_name(EventKind kind);             // "opened", "gap", ...
[[nodiscard]] std::string_view direction_name(Direction direction);    // "client", "server"
[[nodiscard]] std::string_view close_reason_name(CloseReason reason);  // "the client left", ...
[[nodiscard]] std::string_view redaction_name(RedactionKind kind);     // "a password", ...
[[nodiscard]] std::string_view gap_reason_name(GapReason reason);      // "overload", ...

}  // namespace understudy::replayer
