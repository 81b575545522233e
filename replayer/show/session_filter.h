// Which sessions a user wants to see. A value; any thread.
#pragma once

#include <functional>
#include <limits>
#include <string>

#include "formats/transcript/event.h"

namespace understudy::replayer {

struct SessionFilter {
  // Patterns with * (anything) and ? (one character); empty: any.
  std::string user;
  std::string database;
  std::string application;
  std::string client;  // its address, with or without the port
  // Only sessions open at some time in [from, until).
  TimeNs from = std::numeric_limits<TimeNs>::min();
  TimeNs until = std::numeric_limits<TimeNs>::max();

  // What else is asked of it; empty: nothing.
  std::function<bool(const SessionDescriptor&)> also;

  // All but `from`, which asks when the session ended.
  [[nodiscard]] bool matches(const SessionDescriptor& session) const;
};

// Whether the text is as the pattern says: * is anything, ? is one character, the rest itself.
[[nodiscard]] bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace understudy::replayer
