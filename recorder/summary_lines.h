// What a command that makes a recording of something else prints at its end: a table of labels and values.
// Used by one thread.
#pragma once

#include <cstdint>
#include <string>

#include "recorder/statistics.h"

namespace understudy::recorder {

// "1 segment", "2 segments".
[[nodiscard]] std::string counted(std::uint64_t number, const std::string& what);

class SummaryLines {
 public:
  void put(const std::string& label, const std::string& value);
  // These two only where there is something to tell; the second tells the number itself.
  void put_if(std::uint64_t number, const std::string& label, const std::string& value);
  void put_count(std::uint64_t number, const std::string& label, const std::string& more = {});
  // Below the line before.
  void put_more(const std::string& text) { text_ += text; }
  // Where the recording is, and how large.
  void put_written(const std::string& output, unsigned run, const Statistics& recording);
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace understudy::recorder
