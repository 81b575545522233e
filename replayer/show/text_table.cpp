#include "replayer/show/text_table.h"

#include <algorithm>

#include "replayer/text_width.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kRowsThatDecide = 200;
// What a column that may be abridged gets, if there is room, for rows that are not known yet.
constexpr std::size_t kRoomForMore = 24;
constexpr std::size_t kBetween = 2;

}  // namespace

TextTable::TextTable(Output& out, std::vector<Column> columns, std::size_t width)
    : out_(out), columns_(std::move(columns)), width_(width), widths_(columns_.size()) {
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  add(std::move(titles));
}

void TextTable::add(std::vector<std::string> cells) {
  widen(cells);
  if (streaming_) return print(cells);
  held_.push_back(std::move(cells));
  if (held_.size() <= kRowsThatDecide) return;
  lay_out(true);
  finish();
}

void TextTable::finish() {
  if (!streaming_) lay_out(false);
  streaming_ = true;
  for (const auto& cells : held_) print(cells);
  held_.clear();
}

void TextTable::widen(const std::vector<std::string>& cells) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool settled = streaming_ && width_ > 0 && columns_[i].least > 0;
    if (!settled) widths_[i] = std::max(widths_[i], columns_of(cells[i]));
  }
}

void TextTable::lay_out(bool more_follows) {
  streaming_ = true;
  if (width_ == 0) return;
  for (std::size_t i = 0; more_follows && i < columns_.size(); ++i) {
    if (columns_[i].least > 0) widths_[i] = std::max(widths_[i], kRoomForMore);
  }
  break_lines();
  for (std::size_t i = 0; i < lines_.size(); ++i)
    narrow(lines_[i], i + 1 < lines_.size() ? lines_[i + 1] : columns_.size());
}

// As few lines as can be, were all columns as narrow as they may.
void TextTable::break_lines() {
  std::size_t taken = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const std::size_t least = columns_[i].least == 0 ? widths_[i] : std::min(widths_[i], columns_[i].least);
    if (i > 0 && taken + kBetween + least > width_) {
      lines_.push_back(i);
      taken = margin(i) + least;
    } else {
      taken += (i > 0 ? kBetween : 0) + least;
    }
  }
}

void TextTable::narrow(std::size_t from, std::size_t to) {
  while (line_width(from, to) > width_) {
    std::size_t widest = to;
    for (std::size_t i = from; i < to; ++i) {
      const bool may = columns_[i].least > 0 && widths_[i] > columns_[i].least;
      if (may && (widest == to || widths_[i] > widths_[widest])) widest = i;
    }
    if (widest == to) return;
    --widths_[widest];
  }
}

std::size_t TextTable::line_width(std::size_t from, std::size_t to) const {
  std::size_t width = margin(from);
  for (std::size_t i = from; i < to; ++i) width += widths_[i] + (i > from ? kBetween : 0);
  return width;
}

// Further lines of a row begin under its second cell.
std::size_t TextTable::margin(std::size_t line_from) const {
  return line_from == 0 ? 0 : widths_[0] + kBetween;
}

void TextTable::print(const std::vector<std::string>& cells) const {
  std::string line;
  const auto flush = [&] {
    line.erase(line.find_last_not_of(' ') + 1);
    if (!line.empty()) out_.line(line);
  };
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool begins = std::find(lines_.begin(), lines_.end(), i) != lines_.end();
    if (begins && i > 0) {
      flush();
      line.assign(margin(i), ' ');
    } else if (i > 0) {
      line.append(kBetween, ' ');
    }
    const std::string cell = fitted(cells[i], widths_[i]);
    const std::string padding(widths_[i] - columns_of(cell), ' ');
    line += columns_[i].right ? padding + cell : cell + padding;
  }
  flush();
}

}  // namespace understudy::replayer
