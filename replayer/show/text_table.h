// A table that streams: the first rows decide how wide its columns are, later ones follow. If it is too wide,
// the columns that may be are abridged, the widest first; if that is not enough, each row is broken into
// several lines. Holds at most those first rows. One thread at a time.
#pragma once

#include <string>
#include <vector>

#include "replayer/output.h"

namespace understudy::replayer {

class TextTable {
 public:
  struct Column {
    std::string title;
    bool right = false;     // numbers
    std::size_t least = 0;  // columns it may be abridged to; 0: it may not be
  };

  // `out` is borrowed. `width`: columns a line may take; 0: as many as it does.
  TextTable(Output& out, std::vector<Column> columns, std::size_t width);
  // As many cells as there are columns; UTF-8 without control characters.
  void add(std::vector<std::string> cells);
  // Writes what is held.
  void finish();

 private:
  void widen(const std::vector<std::string>& cells);
  void lay_out(bool more_follows);
  void break_lines();
  void narrow(std::size_t from, std::size_t to);
  [[nodiscard]] std::size_t line_width(std::size_t from, std::size_t to) const;
  [[nodiscard]] std::size_t margin(std::size_t line_from) const;
  void print(const std::vector<std::string>& cells) const;

  Output& out_;
  std::vector<Column> columns_;
  std::size_t width_;
  std::vector<std::size_t> widths_;
  std::vector<std::size_t> lines_{0};  // the columns that begin one
  std::vector<std::vector<std::string>> held_;
  bool streaming_ = false;
};

}  // namespace understudy::replayer
