// Finding what a user named in a recording: a session by its id, a moment by the clock or by how far into the
// recording it is. Any thread.
#pragma once

#include <optional>
#include <string>

#include "formats/transcript/recording.h"

namespace understudy::replayer {

// "1.17"; none when malformed.
[[nodiscard]] std::optional<SessionId> parse_session_id(std::string_view text);

// The session, from the chunk in which it opens: only heads are searched, and one chunk decoded. None when
// the recording does not know it. A session whose opening is lost has a descriptor with nothing but its id.
[[nodiscard]] std::optional<SessionSummary> find_session(const Recording& recording, SessionId id);

// A duration since `start` ("90s", "1.5h"), or a time ("2026-11-24T13:31:07.5Z", "2026-11-24 13:31",
// "...+02:00"; UTC unless it says otherwise). None when it is neither.
[[nodiscard]] std::optional<TimeNs> parse_moment(std::string_view text, TimeNs start);

// Never overflows, whatever times a recording claims.
[[nodiscard]] TimeNs time_between(TimeNs from, TimeNs to);

// Tells on standard error what had to be passed over in reading, a line each; whether there was anything.
// Call it when all is read.
bool warn_of_damage(const char* command, const Recording& recording);

}  // namespace understudy::replayer
