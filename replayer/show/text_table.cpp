#include "replayer/show/text_table.h"

#include <algorithm>

#include "replayer/show/message_text.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kRowsThatDecide = 200;

}  // namespace

TextTable::TextTable(Output& out, std::vector<Column> columns)
    : out_(out), columns_(std::move(columns)), widths_(columns_.size()) {
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  add(std::move(titles));
}

void TextTable::add(std::vector<std::string> cells) {
  widen(cells);
  if (streaming_) return print(cells);
  held_.push_back(std::move(cells));
  if (held_.size() > kRowsThatDecide) finish();
}

void TextTable::finish() {
  streaming_ = true;
  for (const auto& cells : held_) print(cells);
  held_.clear();
}

void TextTable::widen(const std::vector<std::string>& cells) {
  for (std::size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], columns_of(cells[i]));
}

void TextTable::print(const std::vector<std::string>& cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths_[i] - columns_of(cells[i]), ' ');
    line += (i > 0 ? "  " : "") + (columns_[i].right ? padding + cells[i] : cells[i] + padding);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out_.line(line);
}

}  // namespace understudy::replayer
