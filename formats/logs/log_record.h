// One message of a PostgreSQL server's log, whatever dialect it was written in (PostgreSQL documentation,
// "Error Reporting and Logging"). Values only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/transcript/event.h"

namespace understudy::logs {

// Longer records are passed over, and counted: nothing of a log is held that is not bounded.
inline constexpr std::size_t kMaxRecordBytes = std::size_t{64} << 20;

struct LogRecord {
  TimeNs time = 0;           // when the line was written; 0: the log does not say
  bool zone_known = true;    // else the time was taken as UTC
  TimeNs session_start = 0;  // 0: the log does not say
  std::string session;       // %c; empty: the log does not say
  std::string process;       // %p; likewise
  std::string user;          // empty also where there is none
  std::string database;
  std::string application;
  std::string client;        // host, "host:port", "host(port)", "[IPv6 address]"; "[local]"
  std::string backend_type;  // "client backend"
  std::string severity;      // "LOG", "ERROR"
  std::string sqlstate;      // empty: the log does not say
  std::string message;
  std::string detail;
  std::string hint;
  std::string context;
  std::string statement;   // that an error is about
  std::string query;       // or of a function within it
  std::uint64_t line = 0;  // of the file, from 1

  void clear() { *this = LogRecord(); }
};

// What a log parser hands out, in the order of the file.
class LogHandler {
 public:
  virtual ~LogHandler() = default;
  virtual void record(const LogRecord& record) = 0;
  // `line` and what follows up to the next record cannot be read. `why` is one of a few constant texts.
  virtual void unreadable(std::uint64_t line, std::string_view why) = 0;
};

// One dialect. Bytes are pushed in pieces of any size; what is handed out does not depend on how they are
// cut. One thread at a time.
class LogParser {
 public:
  virtual ~LogParser() = default;
  virtual void feed(ByteView piece) = 0;
  // No more bytes come.
  virtual void finish() = 0;
};

}  // namespace understudy::logs
