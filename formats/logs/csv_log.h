// csvlog: 23 columns in PostgreSQL 12, 24 in 13, 26 from 14 on, of which the first 23 never changed. A record
// spans lines where a text does. One thread at a time.
#pragma once

#include <array>
#include <vector>

#include "formats/logs/log_record.h"

namespace understudy::logs {

class CsvLog final : public LogParser {
 public:
  // `handler` must outlive the parser.
  explicit CsvLog(LogHandler& handler, std::size_t max_record_bytes = kMaxRecordBytes)
      : handler_(handler), max_record_bytes_(max_record_bytes) {}

  void feed(ByteView piece) override;
  void finish() override;

  // Whether a record may begin here: a time and a comma. False also when there is too little to tell.
  [[nodiscard]] static bool begins_record(std::string_view text);

 private:
  enum class Found : std::uint8_t { kRecord, kNeedMore, kBad };
  void parse(bool last);
  [[nodiscard]] Found read_record(std::string_view text, bool last, std::size_t& length);
  [[nodiscard]] bool take_record(std::uint64_t line);
  // How much of `text`, which begins within a line, certainly stands before the next record.
  [[nodiscard]] static std::size_t to_next_record(std::string_view text, bool last);
  void pass(std::size_t bytes);
  void note_unreadable(std::string_view why);

  static constexpr std::size_t kLeastColumns = 23;
  static constexpr std::size_t kMostColumns = 40;

  LogHandler& handler_;
  const std::size_t max_record_bytes_;
  std::string buffer_;  // from `at_` on: not parsed yet
  std::size_t at_ = 0;
  std::size_t enough_ = 0;  // bytes worth another attempt: a long record is not read from its start each time
  std::uint64_t line_ = 1;
  bool skipping_ = false;  // up to the next record; what is passed was told
  std::array<std::string, kMostColumns> columns_;
  std::size_t columns_read_ = 0;
  LogRecord record_;
};

}  // namespace understudy::logs
