#include "formats/logs/log_format.h"

#include <algorithm>

#include "formats/logs/csv_log.h"
#include "formats/logs/pgreplay_file.h"

namespace understudy::logs {
namespace {

bool is_csv(std::string_view line) {
  const std::string_view rest = line.substr(line.find(','));
  return rest.starts_with(",\"") || rest.starts_with(",,");
}

}  // namespace

LogFormat detect_format(ByteView beginning) {
  if (PgreplayFile::begins_file(beginning)) return LogFormat::kPgreplay;
  std::string_view text = as_text(beginning.first(std::min(beginning.size(), kDetectionBytes)));
  std::size_t csv = 0;
  std::size_t json = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.starts_with("{\"") && line.find("\"error_severity\"") != std::string_view::npos) ++json;
    // A time, a comma, and then a name in quotes or none: a log_line_prefix of "%m," goes on otherwise.
    if (CsvLog::begins_record(line) && is_csv(line)) ++csv;
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  if (csv == 0 && json == 0) return LogFormat::kStderr;
  return csv >= json ? LogFormat::kCsv : LogFormat::kJson;
}

std::string_view format_name(LogFormat format) {
  switch (format) {
    case LogFormat::kStderr:
      return "stderr";
    case LogFormat::kCsv:
      return "csv";
    case LogFormat::kJson:
      return "json";
    case LogFormat::kPgreplay:
      break;
  }
  return "pgreplay";
}

}  // namespace understudy::logs
