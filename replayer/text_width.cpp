#include "replayer/text_width.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace understudy::replayer {
namespace {

// Narrower than that nothing fits.
constexpr std::size_t kLeastColumns = 40;

std::size_t environment_columns() {
  const char* const text = std::getenv("COLUMNS");
  if (text == nullptr) return 0;
  const std::string_view digits(text);
  std::size_t columns = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), columns);
  return error == std::errc() && end == digits.data() + digits.size() ? columns : 0;
}

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

bool beside_number(std::string_view text, std::size_t blank) {
  const auto is_digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  return is_digit(blank + 1) || is_digit(blank - 1);
}

// Where to break the line that begins here: the last blank within `columns`, else the first one after them;
// npos when it fits.
std::size_t break_place(std::string_view text, std::size_t columns) {
  const std::size_t begin = text.find_first_not_of(' ');
  std::size_t last = std::string_view::npos;
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ' && begin < i && !beside_number(text, i)) {
      if (count > columns && last != std::string_view::npos) return last;
      last = i;
      if (count > columns) return last;
    }
    count += begins_character(text[i]) ? 1 : 0;
  }
  return count > columns ? last : std::string_view::npos;
}

}  // namespace

std::size_t output_columns(std::size_t otherwise) {
  std::size_t columns = environment_columns();
  if (columns == 0) columns = terminal_columns();
  return columns == 0 ? otherwise : std::max(columns, kLeastColumns);
}

std::size_t columns_of(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), begins_character));
}

std::string fitted(std::string line, std::size_t columns) {
  if (line.size() <= columns || columns_of(line) <= columns) return line;
  constexpr std::string_view kCut = "...";
  const std::size_t kept = columns > kCut.size() ? columns - kCut.size() : 0;
  std::size_t count = 0;
  std::size_t at = 0;
  for (; at < line.size(); ++at) {
    if (begins_character(line[at]) && count++ == kept) break;
  }
  line.resize(at);
  return line + std::string(kCut);
}

std::string wrapped(std::string_view text, std::size_t columns, std::size_t indent) {
  std::string out;
  const std::string margin(indent, ' ');
  std::size_t room = columns;
  while (true) {
    const std::size_t place = break_place(text, room);
    if (place == std::string_view::npos) return out + std::string(text);
    out += text.substr(0, text.find_last_not_of(' ', place) + 1);
    const std::size_t next = text.find_first_not_of(' ', place);
    if (next == std::string_view::npos) return out;
    out += "\n" + margin;
    text.remove_prefix(next);
    room = columns > indent ? columns - indent : 1;
  }
}

}  // namespace understudy::replayer
