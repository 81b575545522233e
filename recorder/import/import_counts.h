// What was found in the logs, and what was made of it. Values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "formats/transcript/event.h"

namespace understudy::recorder {

// How often something was met, and where first.
struct Places {
  static constexpr std::size_t kShown = 3;
  std::uint64_t count = 0;
  std::vector<std::string> first;  // "postgresql.log:17"

  void add(const std::string& file, std::uint64_t line);
};
// By what it is: one of a few constant texts.
using PlacesByKind = std::map<std::string, Places, std::less<>>;

struct ImportCounts {
  std::uint64_t records = 0;
  std::uint64_t sessions = 0;
  std::uint64_t refused_logins = 0;  // of sessions
  std::uint64_t begun_before = 0;    // of sessions: their connection is not in the log
  std::uint64_t without_end = 0;     // of sessions: nor is their end
  std::uint64_t given_up = 0;        // of those: too many were open
  std::uint64_t simple = 0;          // statements by protocol
  std::uint64_t executed = 0;
  std::uint64_t fetches = 0;
  std::uint64_t timed = 0;  // of all statements: the log has their duration
  std::uint64_t errors = 0;
  std::uint64_t cancels = 0;              // of errors
  std::uint64_t passwords_in_errors = 0;  // errors in which some were hidden
  std::uint64_t copies = 0;               // COPY FROM STDIN, without data
  std::uint64_t other_records = 0;        // that tell nothing of a session's statements
  std::uint64_t replication = 0;          // sessions left out
  PlacesByKind left_out;                  // statements that cannot be said again
  PlacesByKind unreadable;                // lines
  PlacesByKind doubtful;                  // values that may not be what was sent
  PlacesByKind zones;                     // times whose zone is not known
  TimeNs first_time = 0;
  TimeNs last_time = 0;

  [[nodiscard]] std::uint64_t statements() const { return simple + executed + fetches; }
};

}  // namespace understudy::recorder
