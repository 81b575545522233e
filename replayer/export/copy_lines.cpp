#include "replayer/export/copy_lines.h"

namespace understudy::replayer {
namespace {

constexpr std::string_view kEndMark = "\\.";

// Whether `line` is how an end mark, or "\.\r", begins.
bool may_be_end_mark(const std::string& line) {
  return std::string_view("\\.\r").substr(0, line.size()) == line;
}

}  // namespace

void CopyLines::feed(ByteView data, std::string& out) {
  for (const char c : as_text(data)) {
    if (!trouble_.empty()) return;
    if (ended_) trouble_ = "its data goes on behind an end mark";
    if (c == '\0') trouble_ = "its data holds a zero byte";
    if (c == '\n' && held_.starts_with(kEndMark)) {
      ended_ = true;
      held_.clear();
      continue;
    }
    if (line_start_ || !held_.empty()) {
      held_ += c;
      line_start_ = false;
      if (may_be_end_mark(held_)) continue;
      out += held_;
      held_.clear();
    } else {
      out += c;
    }
    line_start_ = c == '\n';
  }
}

void CopyLines::finish(std::string& out) {
  const bool end_mark = held_.starts_with(kEndMark);
  if (!end_mark) out += held_;
  if (!line_start_ && !ended_ && !end_mark) out += '\n';
  *this = CopyLines();
}

}  // namespace understudy::replayer
