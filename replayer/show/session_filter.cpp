#include "replayer/show/session_filter.h"

#include "replayer/condition_values.h"

namespace understudy::replayer {
namespace {

bool wanted(const std::string& pattern, std::string_view text) {
  return pattern.empty() || matches_pattern(pattern, text);
}

}  // namespace

// After a mismatch only the last * can take more: linear but for the length of the pattern.
bool matches_pattern(std::string_view pattern, std::string_view text) {
  std::size_t at = 0;
  std::size_t in_pattern = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (at < text.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      star_text = at;
    } else if (in_pattern < pattern.size() &&
               (pattern[in_pattern] == '?' || pattern[in_pattern] == text[at])) {
      ++in_pattern;
      ++at;
    } else if (star != std::string_view::npos) {
      in_pattern = star + 1;
      at = ++star_text;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

bool SessionFilter::matches(const SessionDescriptor& session) const {
  return wanted(user, session.user()) && wanted(database, session.database()) &&
         wanted(application, session.parameter("application_name")) &&
         (wanted(client, session.peer) || wanted(client, host_of_peer(session.peer))) &&
         session.opened_at < until && (!also || also(session));
}

}  // namespace understudy::replayer
