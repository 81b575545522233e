// log_line_prefix: what stands before each message of a stderr log, and what it tells (PostgreSQL
// documentation, "What to Log"). Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/logs/log_record.h"

namespace understudy::logs {

class LogLinePrefix {
 public:
  // As in postgresql.conf: "%m [%p] %q%u@%d ". Escapes that no version knows are taken as nothing, as the
  // server does.
  explicit LogLinePrefix(std::string_view text);

  [[nodiscard]] const std::string& text() const { return text_; }
  // Sessions can be told apart.
  [[nodiscard]] bool tells_sessions() const { return has('c') || has('p'); }
  [[nodiscard]] bool has(char escape) const;

  // Takes `line` apart: fills in what the prefix tells and `record.severity`. None when the line has not
  // this prefix; else what stands behind "LOG:  ".
  [[nodiscard]] std::optional<std::string_view> read(std::string_view line, LogRecord& record) const {
    std::uint64_t work = 0;
    return read(line, record, work);
  }
  // `work` is raised by how much that took: by one for about every step.
  [[nodiscard]] std::optional<std::string_view> read(std::string_view line, LogRecord& record,
                                                     std::uint64_t& work) const;

 private:
  struct Element {
    char escape = 0;  // 0: a literal
    std::string literal{};
    int width = 0;  // padded with blanks, on the left; below 0: on the right
  };
  struct Attempt;

  std::string text_;
  std::vector<Element> elements_;
};

// The word before a message ("LOG:  "), with how many bytes it takes. Empty when there is none.
struct SeverityWord {
  std::string_view word{};
  std::size_t length = 0;
};
[[nodiscard]] SeverityWord read_severity(std::string_view text);

// The SQLSTATE that log_error_verbosity = verbose writes before a message: "22012" of "22012: division by
// zero". Empty when there is none; a message of a log that is not verbose may look as if it had one.
[[nodiscard]] std::string_view read_sqlstate(std::string_view message);
// The message without it.
[[nodiscard]] std::string_view behind_sqlstate(std::string_view message);

}  // namespace understudy::logs
