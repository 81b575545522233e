#include "proxy/log_limit.h"

namespace understudy::proxy {
namespace {

constexpr TimeNs kOneSecond = 1'000'000'000;
// Enough to see who it is and what he does.
constexpr unsigned kLinesPerSecond = 10;

LogLimit& limit() {
  static LogLimit instance(kLinesPerSecond);
  return instance;
}

}  // namespace

bool LogLimit::takes(std::string_view event, TimeNs now) {
  const std::lock_guard guard(mutex_);
  auto found = seconds_.find(event);
  if (found == seconds_.end()) found = seconds_.emplace(event, Second{.began = now}).first;
  Second& second = found->second;
  if (now - second.began >= kOneSecond) {
    second.began = now;
    second.logged = 0;  // what was withheld stays until it is taken
  }
  if (second.logged < per_second_) {
    ++second.logged;
    return true;
  }
  ++second.withheld;
  return false;
}

std::vector<std::pair<std::string, std::uint64_t>> LogLimit::withheld(TimeNs now) {
  std::vector<std::pair<std::string, std::uint64_t>> taken;
  const std::lock_guard guard(mutex_);
  for (auto& [event, second] : seconds_) {
    if (second.withheld == 0 || (now != kTheEnd && now - second.began < kOneSecond)) continue;
    taken.emplace_back(event, std::exchange(second.withheld, 0));
  }
  return taken;
}

void log_limited(LogLevel level, std::string_view event, std::initializer_list<LogField> fields, TimeNs now) {
  if (log_enabled(level) && limit().takes(event, now)) log_event(level, event, fields);
}

void log_withheld(TimeNs now) {
  for (const auto& [event, lines] : limit().withheld(now)) {
    log_event(LogLevel::kWarning, "lines_withheld",
              {{"event", event},
               {"lines", std::to_string(lines)},
               {"reason", "more than " + std::to_string(kLinesPerSecond) + " of these in a second"}});
  }
}

}  // namespace understudy::proxy
