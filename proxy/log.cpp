#include "proxy/log.h"

#include <Poco/AutoPtr.h>
#include <Poco/ConsoleChannel.h>
#include <Poco/FormattingChannel.h>
#include <Poco/Logger.h>
#include <Poco/PatternFormatter.h>

#include <atomic>
#include <cstdio>
#include <iostream>

namespace understudy::proxy {
namespace {

std::atomic<LogLevel> shown{LogLevel::kInfo};

Poco::Logger& logger() {
  static Poco::Logger& instance = [&]() -> Poco::Logger& {
    const Poco::AutoPtr<Poco::PatternFormatter> pattern(
        new Poco::PatternFormatter("%Y-%m-%dT%H:%M:%S.%iZ %t"));
    const Poco::AutoPtr<Poco::ConsoleChannel> console(new Poco::ConsoleChannel(std::cerr));
    const Poco::AutoPtr<Poco::FormattingChannel> channel(new Poco::FormattingChannel(pattern, console));
    return Poco::Logger::create("understudy", channel, Poco::Message::PRIO_TRACE);
  }();
  return instance;
}

Poco::Message::Priority priority(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return Poco::Message::PRIO_ERROR;
    case LogLevel::kWarning:
      return Poco::Message::PRIO_WARNING;
    case LogLevel::kInfo:
      return Poco::Message::PRIO_INFORMATION;
    case LogLevel::kDebug:
      return Poco::Message::PRIO_DEBUG;
  }
  return Poco::Message::PRIO_DEBUG;
}

std::string_view name(LogLevel level) {
  constexpr std::string_view kNames[] = {"error", "warning", "info", "debug"};
  return kNames[static_cast<std::size_t>(level)];
}

bool needs_quotes(std::string_view value) {
  for (const char c : value) {
    if (c <= ' ' || c == '"' || c == '=' || c == 0x7F) return true;
  }
  return value.empty();
}

void append_value(std::string& line, std::string_view value) {
  if (!needs_quotes(value)) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      line += escape;
    } else {
      line += c;
    }
  }
  line += '"';
}

}  // namespace

void set_log_level(LogLevel level) {
  shown = level;
  logger();  // made before threads start
}

bool log_enabled(LogLevel level) { return level <= shown.load(std::memory_order_relaxed); }

void log_event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!log_enabled(level)) return;
  std::string line(name(level));
  line += ' ';
  line += event;
  for (const auto& [key, value] : fields) {
    line += ' ';
    line += key;
    line += '=';
    append_value(line, value);
  }
  logger().log(Poco::Message("understudy", line, priority(level)));
}

}  // namespace understudy::proxy
