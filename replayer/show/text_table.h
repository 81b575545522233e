// A table that streams: the first rows decide how wide its columns are, later ones follow. Holds at most
// those first rows. One thread at a time.
#pragma once

#include <string>
#include <vector>

#include "replayer/output.h"

namespace understudy::replayer {

class TextTable {
 public:
  struct Column {
    std::string title;
    bool right = false;  // numbers
  };

  // `out` is borrowed.
  TextTable(Output& out, std::vector<Column> columns);
  // As many cells as there are columns; UTF-8 without control characters.
  void add(std::vector<std::string> cells);
  // Writes what is held.
  void finish();

 private:
  void widen(const std::vector<std::string>& cells);
  void print(const std::vector<std::string>& cells);

  Output& out_;
  std::vector<Column> columns_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<std::string>> held_;
  bool streaming_ = false;
};

}  // namespace understudy::replayer
