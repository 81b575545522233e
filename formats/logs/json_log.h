// jsonlog (PostgreSQL 15 and later): an object a line, whose members are strings and numbers. One thread at a
// time.
#pragma once

#include "formats/logs/line_splitter.h"
#include "formats/logs/log_record.h"

namespace understudy::logs {

class JsonLog final : public LogParser {
 public:
  // `handler` must outlive the parser.
  explicit JsonLog(LogHandler& handler, std::size_t max_record_bytes = kMaxRecordBytes)
      : handler_(handler), lines_(max_record_bytes) {}

  void feed(ByteView piece) override;
  void finish() override;

 private:
  void line(const LineSplitter::Line& line);
  [[nodiscard]] bool take(std::string_view object);
  [[nodiscard]] bool take_member(const std::string& key, std::string& value);

  LogHandler& handler_;
  LineSplitter lines_;
  LogRecord record_;
  std::string key_;
  std::string value_;
  std::string port_;
};

}  // namespace understudy::logs
