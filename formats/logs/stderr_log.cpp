#include "formats/logs/stderr_log.h"

#include <utility>

#include "formats/logs/prefix_detection.h"

namespace understudy::logs {
namespace {

constexpr std::string_view kNoPrefix = "a line without the log's prefix";

}  // namespace

StderrLog::StderrLog(LogHandler& handler, const std::string& prefix, std::string likely,
                     std::size_t max_record_bytes)
    : handler_(handler),
      likely_(std::move(likely)),
      max_record_bytes_(max_record_bytes),
      lines_(max_record_bytes) {
  if (!prefix.empty()) prefix_.emplace(prefix);
}

void StderrLog::feed(ByteView piece) {
  lines_.feed(piece, [this](const LineSplitter::Line& each) { line(each); });
}

void StderrLog::finish() {
  lines_.finish([this](const LineSplitter::Line& each) { line(each); });
  if (!prefix_ && !hopeless_) detect();
  end_record();
}

void StderrLog::line(const LineSplitter::Line& line) {
  if (prefix_ || hopeless_) return take(line.text, line.number, line.cut);
  if (sample_.empty()) sample_begins_ = line.number;
  sample_.emplace_back(line.text);
  sample_cut_.push_back(line.cut);
  sample_bytes_ += line.text.size();
  if (sample_.size() >= kSampleLines || sample_bytes_ >= kSampleBytes) detect();
}

void StderrLog::detect() {
  const std::string found = detect_prefix(sample_, likely_);
  hopeless_ = found.empty();
  if (!hopeless_) prefix_.emplace(found);
  std::vector<std::string> sample;
  sample.swap(sample_);
  for (std::size_t n = 0; n < sample.size(); ++n) take(sample[n], sample_begins_ + n, sample_cut_[n]);
  sample_cut_.clear();
}

void StderrLog::take(std::string_view text, std::uint64_t number, bool cut) {
  if (cut) return unreadable(number, "a record of more than 64 MiB");
  if (!text.empty() && text.front() == '\t') return continued(text.substr(1), number);
  if (text.empty() || text == "\r") return;
  if (hopeless_) return unreadable(number, "no log_line_prefix could be told from the lines: give it");
  fields_.clear();
  const auto message = prefix_->read(text, fields_);
  if (!message) return unreadable(number, kNoPrefix);
  in_unreadable_ = false;
  fields_.line = number;
  for (const std::string_view addition :
       {"DETAIL", "HINT", "CONTEXT", "STATEMENT", "QUERY", "LOCATION", "BACKTRACE"}) {
    if (fields_.severity == addition) return add(addition, *message);
  }
  begin(*message);
}

void StderrLog::continued(std::string_view text, std::uint64_t number) {
  if (in_unreadable_) return;
  if (!has_record_) return unreadable(number, "a line that continues one that is not in the log");
  if (last_field_ == nullptr) return;
  record_bytes_ += text.size() + 1;
  if (record_bytes_ > max_record_bytes_) {
    has_record_ = false;
    return unreadable(record_.line, "a record of more than 64 MiB");
  }
  *last_field_ += '\n';
  *last_field_ += text;
}

void StderrLog::add(std::string_view word, std::string_view text) {
  // Lines of several processes may alternate; they do so between records, which are written at once.
  if (!has_record_ || fields_.process != record_.process || fields_.session != record_.session)
    return unreadable(fields_.line, "an addition to a message that is not in the log");
  record_bytes_ += text.size();
  if (record_bytes_ > max_record_bytes_) {
    has_record_ = false;
    return unreadable(record_.line, "a record of more than 64 MiB");
  }
  last_field_ = word == "DETAIL"      ? &record_.detail
                : word == "HINT"      ? &record_.hint
                : word == "CONTEXT"   ? &record_.context
                : word == "STATEMENT" ? &record_.statement
                : word == "QUERY"     ? &record_.query
                                      : nullptr;
  if (last_field_ != nullptr) *last_field_ = text;
  has_location_ = has_location_ || word == "LOCATION";
}

void StderrLog::begin(std::string_view message) {
  end_record();
  std::swap(record_, fields_);
  record_.message = message;
  has_record_ = true;
  has_location_ = false;
  last_field_ = &record_.message;
  record_bytes_ = message.size();
}

void StderrLog::end_record() {
  if (has_record_) {
    take_off_sqlstate();
    handler_.record(record_);
  }
  has_record_ = false;
}

// "ABCDE: text" can be an application's own message, so LOCATION has to tell that the record is verbose. The
// code of success is no such message's beginning; a log that is cut may lack what follows it.
void StderrLog::take_off_sqlstate() {
  const std::string_view code = read_sqlstate(record_.message);
  if (code.empty() || !(has_location_ || code == "00000")) return;
  record_.sqlstate = code;
  record_.message = behind_sqlstate(record_.message);
}

void StderrLog::unreadable(std::uint64_t number, std::string_view why) {
  end_record();
  in_unreadable_ = true;
  handler_.unreadable(number, why);
}

}  // namespace understudy::logs
