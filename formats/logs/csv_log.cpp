#include "formats/logs/csv_log.h"

#include <algorithm>

#include "formats/logs/log_time.h"

namespace understudy::logs {
namespace {

// Columns by their place (PostgreSQL documentation, "Using CSV-Format Log Output").
enum Column : std::size_t {
  kLogTime,
  kUserName,
  kDatabaseName,
  kProcessId,
  kConnectionFrom,
  kSessionId,
  kSessionStart = 8,
  kSeverity = 11,
  kSqlstate,
  kMessage,
  kDetail,
  kHint,
  kInternalQuery = 16,
  kContext = 18,
  kQuery,
  kApplication = 22,
  kBackendType
};

// As much of a line as its time may take.
constexpr std::size_t kTimeBytes = 80;

}  // namespace

bool CsvLog::begins_record(std::string_view text) {
  const auto time = read_log_time(text.substr(0, kTimeBytes));
  return time && time->length < text.size() && text[time->length] == ',';
}

void CsvLog::feed(ByteView piece) {
  if (at_ > 0 && at_ * 2 >= buffer_.size()) {
    buffer_.erase(0, at_);
    at_ = 0;
  }
  buffer_ += as_text(piece);
  parse(false);
}

void CsvLog::finish() {
  enough_ = 0;
  parse(true);
  buffer_.clear();
  at_ = 0;
}

void CsvLog::parse(bool last) {
  while (at_ < buffer_.size()) {
    const std::string_view text = std::string_view(buffer_).substr(at_);
    if (skipping_) {
      const std::size_t passed = to_next_record(text, last);
      const bool found = passed < text.size() && begins_record(text.substr(passed));
      pass(passed);
      if (!found && !last) return;
      skipping_ = !found;
      continue;
    }
    if (!last && text.size() < enough_) return;
    std::size_t length = 0;
    Found found = read_record(text, last, length);
    if (found == Found::kRecord && length > max_record_bytes_) found = Found::kNeedMore;
    if (found == Found::kNeedMore && text.size() < max_record_bytes_) {
      enough_ = text.size() * 2;
      return;
    }
    enough_ = 0;
    if (found == Found::kRecord) {
      if (!take_record(line_)) note_unreadable("not a record of a server's csv log");
      pass(length);
    } else {
      note_unreadable(found == Found::kBad ? "broken csv: a line cut short, or no csv"
                                           : "a record of more than 64 MiB");
      // Not here again.
      skipping_ = true;
      pass(1);
    }
  }
}

// Reads columns_ from the beginning of `text`; `length` is then that of the record with its line's end.
CsvLog::Found CsvLog::read_record(std::string_view text, bool last, std::size_t& length) {
  columns_read_ = 0;
  std::size_t at = 0;
  while (true) {
    if (columns_read_ == kMostColumns) return Found::kBad;
    std::string& column = columns_[columns_read_];
    column.clear();
    if (at < text.size() && text[at] == '"') {
      ++at;
      while (true) {
        const std::size_t quote = text.find('"', at);
        if (quote == std::string_view::npos) return last ? Found::kBad : Found::kNeedMore;
        column += text.substr(at, quote - at);
        at = quote + 1;
        if (at == text.size() && !last) return Found::kNeedMore;
        if (at == text.size() || text[at] != '"') break;
        column += '"';
        ++at;
      }
    } else {
      const std::size_t end = text.find_first_of(",\n\"", at);
      if (end == std::string_view::npos && !last) return Found::kNeedMore;
      column = text.substr(at, end == std::string_view::npos ? end : end - at);
      at = std::min(end, text.size());
      if (!column.empty() && column.back() == '\r' && at < text.size() && text[at] == '\n') column.pop_back();
    }
    ++columns_read_;
    if (at < text.size() && text[at] == '\r') {
      if (at + 1 == text.size() && !last) return Found::kNeedMore;
      if (at + 1 < text.size() && text[at + 1] == '\n') ++at;
    }
    if (at == text.size() || text[at] == '\n') {
      length = std::min(at + 1, text.size());
      return Found::kRecord;
    }
    if (text[at] != ',') return Found::kBad;
    ++at;
  }
}

bool CsvLog::take_record(std::uint64_t line) {
  if (columns_read_ < kLeastColumns) return false;
  const auto time = read_log_time(columns_[kLogTime]);
  if (!time || columns_[kSeverity].empty()) return false;
  record_.clear();
  record_.line = line;
  record_.time = time->time;
  record_.zone_known = time->zone_known;
  if (const auto start = read_log_time(columns_[kSessionStart])) record_.session_start = start->time;
  record_.user.swap(columns_[kUserName]);
  record_.database.swap(columns_[kDatabaseName]);
  record_.process.swap(columns_[kProcessId]);
  record_.client.swap(columns_[kConnectionFrom]);
  record_.session.swap(columns_[kSessionId]);
  record_.severity.swap(columns_[kSeverity]);
  record_.sqlstate.swap(columns_[kSqlstate]);
  record_.message.swap(columns_[kMessage]);
  record_.detail.swap(columns_[kDetail]);
  record_.hint.swap(columns_[kHint]);
  record_.query.swap(columns_[kInternalQuery]);
  record_.context.swap(columns_[kContext]);
  record_.statement.swap(columns_[kQuery]);
  record_.application.swap(columns_[kApplication]);
  if (columns_read_ > kBackendType) record_.backend_type.swap(columns_[kBackendType]);
  handler_.record(record_);
  return true;
}

std::size_t CsvLog::to_next_record(std::string_view text, bool last) {
  std::size_t line = 0;
  while (true) {
    const std::size_t end = text.find('\n', line);
    if (end == std::string_view::npos) return text.size();
    line = end + 1;
    const std::string_view rest = text.substr(line);
    if (begins_record(rest)) return line;
    // Whether a record begins there is told once its time is there.
    if (rest.size() < kTimeBytes && rest.find('\n') == std::string_view::npos && !last) return line - 1;
  }
}

void CsvLog::pass(std::size_t bytes) {
  line_ += static_cast<std::uint64_t>(std::count(buffer_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                 buffer_.begin() + static_cast<std::ptrdiff_t>(at_ + bytes),
                                                 '\n'));
  at_ += bytes;
}

void CsvLog::note_unreadable(std::string_view why) { handler_.unreadable(line_, why); }

}  // namespace understudy::logs
