// The key of a session's attribute: how much of the server's replies is known. Its one value so far: only
// errors, as in a server's log. Whatever else the server's bytes hold stands for "answered". Its
// CommandComplete has no tag where it was answered at that time, and "?" for one where it was by then at the
// latest (README.md, "Event payloads").
#pragma once

#include <string_view>

namespace understudy {

inline constexpr std::string_view kRepliesAttribute = "replies";
inline constexpr std::string_view kOnlyErrors = "errors";
inline constexpr std::string_view kAnsweredThen = "";
inline constexpr std::string_view kAnsweredByThen = "?";

}  // namespace understudy
