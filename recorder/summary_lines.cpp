#include "recorder/summary_lines.h"

#include "formats/command.h"

namespace understudy::recorder {

std::string counted(std::uint64_t number, const std::string& what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

void SummaryLines::put(const std::string& label, const std::string& value) {
  constexpr std::size_t kColumn = 26;
  text_ += label;
  text_.append(label.size() < kColumn ? kColumn - label.size() : 1, ' ');
  text_ += value + "\n";
}

void SummaryLines::put_if(std::uint64_t number, const std::string& label, const std::string& value) {
  if (number > 0) put(label, value);
}

void SummaryLines::put_count(std::uint64_t number, const std::string& label, const std::string& more) {
  put_if(number, label, std::to_string(number) + more);
}

void SummaryLines::put_written(const std::string& output, unsigned run, const Statistics& recording) {
  put("written", output + ", run " + std::to_string(run) + ": " + format_size(recording.stored_bytes) +
                     " in " + counted(recording.segments, "segment"));
  if (run < 2) return;
  put("", "beside what was there, up to run " + std::to_string(run - 1) +
              ": what is read a second time is in it twice");
}

}  // namespace understudy::recorder
