// What passive capture made of the connections it saw. A value.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace understudy::recorder {

// Connections of one kind that gave no session, and their bytes.
struct Unread {
  std::uint64_t connections = 0;
  std::uint64_t bytes = 0;
};

struct CaptureCounts {
  // Sessions on record, each in one of these.
  std::uint64_t whole = 0;    // from the start-up packet on, nothing missing
  std::uint64_t joined = 0;   // open before the capture began; nothing missing since it was joined
  std::uint64_t partial = 0;  // with a hole
  // Of all those: not over when the capture ended, or no end was seen.
  std::uint64_t unfinished = 0;

  // Connections of PostgreSQL that are not on record, by reason: "TLS, no key".
  std::map<std::string, Unread> unreadable;
  // Connections of something else: "HTTP".
  std::map<std::string, Unread> foreign;
  std::uint64_t cancels = 0;            // cancel requests for a session on record
  std::uint64_t cancels_unmatched = 0;  // for one that is not
  std::uint64_t silent = 0;             // connections without a byte, or that left before they logged in

  std::uint64_t session_bytes = 0;  // of sessions on record, secrets that were left out included
  // Of sessions on record: never captured; and captured, but after a hole or before joining, so that nobody
  // can say which messages they belong to.
  std::uint64_t lost_bytes = 0;
  std::uint64_t passed_over_bytes = 0;
  std::uint64_t out_of_step = 0;  // places where what was captured contradicts the protocol
};

}  // namespace understudy::recorder
