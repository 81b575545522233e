// What a server writes to standard error, or its logging collector to a file: lines with a prefix; further
// lines of a text begin with a tab; DETAIL, HINT, CONTEXT and STATEMENT follow what they belong to on lines
// of their own. One thread at a time.
//
// With log_error_verbosity = verbose a message begins with its SQLSTATE, and LOCATION follows: of such
// records the SQLSTATE is taken off the message.
#pragma once

#include <optional>
#include <vector>

#include "formats/logs/line_splitter.h"
#include "formats/logs/log_line_prefix.h"
#include "formats/logs/log_record.h"

namespace understudy::logs {

class StderrLog final : public LogParser {
 public:
  // `prefix`: log_line_prefix; empty: told from the first lines, where `likely` is that of a log before this
  // one. `handler` must outlive the parser.
  StderrLog(LogHandler& handler, const std::string& prefix, std::string likely = {},
            std::size_t max_record_bytes = kMaxRecordBytes);

  void feed(ByteView piece) override;
  void finish() override;

  // The prefix in use; empty while it is not known, or when none was found.
  [[nodiscard]] std::string prefix() const { return prefix_ ? prefix_->text() : std::string(); }

 private:
  // So many lines are looked at before a prefix is chosen.
  static constexpr std::size_t kSampleLines = 2000;
  static constexpr std::size_t kSampleBytes = std::size_t{1} << 20;

  void line(const LineSplitter::Line& line);
  void take(std::string_view text, std::uint64_t number, bool cut);
  void detect();
  void continued(std::string_view text, std::uint64_t number);
  void add(std::string_view word, std::string_view text);
  void begin(std::string_view message);
  void end_record();
  void take_off_sqlstate();
  void unreadable(std::uint64_t number, std::string_view why);

  LogHandler& handler_;
  const std::string likely_;
  const std::size_t max_record_bytes_;
  LineSplitter lines_;
  std::optional<LogLinePrefix> prefix_;
  bool hopeless_ = false;            // no prefix was found
  std::vector<std::string> sample_;  // while there is no prefix
  std::vector<bool> sample_cut_;
  std::size_t sample_bytes_ = 0;
  std::uint64_t sample_begins_ = 1;  // its first line's number

  LogRecord record_;  // what further lines may add to
  bool has_record_ = false;
  bool has_location_ = false;          // a LOCATION was among its further lines
  std::string* last_field_ = nullptr;  // of record_, that a line with a tab continues; null: one passed over
  bool in_unreadable_ = false;         // lines with a tab belong to what was told already
  std::size_t record_bytes_ = 0;
  LogRecord fields_;  // of the line at hand
};

}  // namespace understudy::logs
