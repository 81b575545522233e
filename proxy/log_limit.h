// Whoever reaches the port can have the proxy log: a line for each login that never comes, for each byte
// against the protocol. So many lines of one kind are logged in a second; the others are counted, and the
// count is logged when that second is over. (The metrics count all of them anyway.)
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/transcript/event.h"
#include "proxy/log.h"

namespace understudy::proxy {

// Decides; logs nothing. Times are passed in. Any thread.
class LogLimit {
 public:
  explicit LogLimit(unsigned per_second) : per_second_(per_second) {}

  // Whether a line of this kind may be logged now; if not, it is counted.
  [[nodiscard]] bool takes(std::string_view event, TimeNs now);
  // Takes what was counted in seconds that are over, by kind; at `kTheEnd` all of it.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> withheld(TimeNs now);

  static constexpr TimeNs kTheEnd = INT64_MAX;

 private:
  struct Second {
    TimeNs began = 0;
    unsigned logged = 0;
    std::uint64_t withheld = 0;
  };
  const unsigned per_second_;
  std::mutex mutex_;
  std::map<std::string, Second, std::less<>> seconds_;  // guarded by mutex_; kinds are few
};

// log_event() within the limit, which is one for the process, as the log is.
void log_limited(LogLevel level, std::string_view event, std::initializer_list<LogField> fields, TimeNs now);
// Logs how many lines were not. Now and then, and with LogLimit::kTheEnd when nothing follows.
void log_withheld(TimeNs now);

}  // namespace understudy::proxy
