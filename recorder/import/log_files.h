// Files of logs on disk or on standard input: opened, decompressed, told apart, parsed. Used by the main
// thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/capture/decompressor.h"
#include "formats/logs/log_format.h"
#include "formats/logs/stderr_log.h"
#include "recorder/import/import_sessions.h"

namespace understudy::recorder {

// How logs are to be read.
struct LogDialect {
  std::optional<logs::LogFormat> format;  // none: told from each file's beginning
  std::string prefix;                     // log_line_prefix; empty: likewise
};

struct LogFile {
  std::string name;
  std::optional<logs::LogFormat> format;  // none: not looked at yet, it can be read only once
  std::optional<TimeNs> first;            // its first record's time
  std::uint64_t bytes = 0;                // as stored; 0: not known
};
// What each is, in the order in which they were written: by their first records, or as given where one has
// none, or is no regular file (standard input "-", a pipe): that is read once, by LogFileReader. Throws
// std::system_error naming a file that cannot be opened.
[[nodiscard]] std::vector<LogFile> survey_logs(const std::vector<std::string>& names,
                                               const LogDialect& dialect);

class LogFileReader {
 public:
  // Throws std::system_error naming the file. `prefix`: of a log before this one.
  LogFileReader(const LogFile& file, const LogDialect& dialect, std::string likely_prefix,
                ImportSessions& sessions);
  ~LogFileReader();
  LogFileReader(const LogFileReader&) = delete;
  LogFileReader& operator=(const LogFileReader&) = delete;

  // Reads a piece. False when there is no more.
  bool read();
  [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }
  // Why it could not be read to its end; empty when it could.
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] std::optional<logs::LogFormat> format() const { return format_; }
  // The log_line_prefix it was read with; empty for other dialects.
  [[nodiscard]] std::string prefix() const { return stderr_ == nullptr ? std::string() : stderr_->prefix(); }

 private:
  void take(ByteView plain);
  void begin();
  void parse(ByteView plain);
  void end();

  const std::string name_;
  const LogDialect dialect_;
  const std::string likely_prefix_;
  ImportSessions& sessions_;
  int descriptor_;
  ByteBuffer buffer_;
  std::uint64_t bytes_read_ = 0;
  capture::Decompressor decompressor_;
  ByteBuffer first_;  // until there is enough to tell the dialect
  std::optional<logs::LogFormat> format_;
  std::unique_ptr<logs::LogParser> parser_;    // of a log
  logs::StderrLog* stderr_ = nullptr;          // parser_, if it is one
  std::unique_ptr<logs::PgreplayFile> items_;  // of pgreplay's
  std::string error_;
};

}  // namespace understudy::recorder
