#include "replayer/show/session_filter.h"

namespace understudy::replayer {
namespace {

bool wanted(const std::string& pattern, std::string_view text) {
  return pattern.empty() || matches_pattern(pattern, text);
}

// "192.0.2.7:49152" -> "192.0.2.7", "[::1]:49152" -> "::1".
std::string_view host_of(std::string_view peer) {
  std::string_view host = peer.substr(0, peer.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
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
         (wanted(client, session.peer) || wanted(client, host_of(session.peer))) && session.opened_at < until;
}

}  // namespace understudy::replayer
