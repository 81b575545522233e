// A text that comes in pieces, as its lines. A line longer than a limit is handed out cut. One thread at a
// time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "formats/bytes.h"

namespace understudy::logs {

class LineSplitter {
 public:
  struct Line {
    std::string_view text;     // without its "\n"; valid during the call. A "\r" may be part of a text
    std::uint64_t number = 0;  // from 1
    bool cut = false;          // it was longer than the limit
  };

  explicit LineSplitter(std::size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  template <typename Take>
  void feed(ByteView piece, Take take) {
    std::string_view text = as_text(piece);
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      const std::string_view part = text.substr(0, end);
      if (end == std::string_view::npos) return keep(part);
      if (begun_.empty() && !cut_ && part.size() <= max_line_bytes_) {
        hand_out(part, false, take);
      } else {
        keep(part);
        hand_out(begun_, cut_, take);
        begun_.clear();
        cut_ = false;
      }
      text.remove_prefix(end + 1);
    }
  }
  // What stands behind the last line's end is a line too.
  template <typename Take>
  void finish(Take take) {
    if (!begun_.empty() || cut_) hand_out(begun_, cut_, take);
    begun_.clear();
    cut_ = false;
  }

 private:
  void keep(std::string_view part) {
    const std::size_t room = max_line_bytes_ - begun_.size();
    cut_ = cut_ || part.size() > room;
    begun_ += part.substr(0, std::min(room, part.size()));
  }
  template <typename Take>
  void hand_out(std::string_view text, bool cut, Take& take) {
    take(Line{text, ++number_, cut});
  }

  const std::size_t max_line_bytes_;
  std::string begun_;
  bool cut_ = false;
  std::uint64_t number_ = 0;
};

}  // namespace understudy::logs
