// Times as a server's log writes them: "2026-11-24 13:31:07.123 UTC", "1795527067.123". Any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "formats/transcript/event.h"

namespace understudy::logs {

struct LogTime {
  TimeNs time = 0;
  std::size_t length = 0;  // of the text it was read from
  bool fraction = false;   // with milliseconds
  bool zone_known = true;  // else it was taken as UTC: an abbreviation can mean several zones
};

// At the beginning of `text`; what follows does not matter. Zones are UTC, offsets, and the abbreviations
// whose meaning is not in dispute.
[[nodiscard]] std::optional<LogTime> read_log_time(std::string_view text);
// Seconds since 1970 with three decimals, as %n.
[[nodiscard]] std::optional<LogTime> read_epoch_time(std::string_view text);
// Nanoseconds of a day's beginning since 1970, in the Gregorian calendar.
[[nodiscard]] TimeNs day_begins(int year, unsigned month, unsigned day);

}  // namespace understudy::logs
