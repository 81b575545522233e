#include "formats/wire/sql_secrets.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "formats/wire/secret_text.h"
#include "formats/wire/secret_words.h"

namespace understudy::wire {
namespace {

// What may stand between two literals that are put together: 'pass' || 'word'
bool joins_literals(char letter) {
  return letter == '\'' || letter == '|' || letter == '$' || is_secret_blank(letter);
}

// The last letter before `end` that is a literal's own, behind it; E'' has one that is not.
std::size_t behind_own_letter(std::string_view text, std::size_t end) {
  for (;;) {
    while (end > 0 && joins_literals(text[end - 1])) --end;
    const bool prefix =
        end > 0 && end < text.size() && text[end] == '\'' && secret_lower(text[end - 1]) == 'e';
    if (!prefix) return end;
    --end;
  }
}

// By its rarest letter, `w` or `W`.
bool has_password(std::string_view text, char w) {
  constexpr std::string_view kBackwards = "ssap";
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (at < end) {
    at = static_cast<const char*>(std::memchr(at, w, static_cast<std::size_t>(end - at)));
    if (at == nullptr) return false;
    auto place = static_cast<std::size_t>(at - text.data());
    std::size_t found = 0;
    while (found < kBackwards.size()) {
      if (place == 0 || secret_lower(text[place - 1]) != kBackwards[found]) {
        const std::size_t behind = behind_own_letter(text, place);
        if (behind == place) break;
        place = behind;
        continue;
      }
      --place;
      ++found;
    }
    if (found == kBackwards.size()) return true;
    ++at;
  }
  return false;
}

// Of a scheme's ://
bool has_slashes(std::string_view text) {
  for (std::size_t at = text.find('/'); at != std::string_view::npos; at = text.find('/', at + 1)) {
    std::size_t next = at + 1;
    while (next < text.size() && joins_literals(text[next])) ++next;
    if (next < text.size() && text[next] == '/') return true;
  }
  return false;
}

}  // namespace

bool may_hold_secrets(ByteView bytes) {
  const std::string_view text = as_text(bytes);
  if (text.size() < 8) return false;
  return has_password(text, 'w') || has_password(text, 'W') || has_slashes(text);
}

SqlSecretScanner::SqlSecretScanner() { restart(); }
SqlSecretScanner::~SqlSecretScanner() = default;

void SqlSecretScanner::restart() {
  text_ = std::make_unique<SecretText>(0, false);
  scanned_ = 0;
}

void SqlSecretScanner::scan(ByteView piece, std::size_t offset, std::vector<SecretRange>& found) {
  const std::string_view bytes = as_text(piece);
  std::size_t begin = 0;  // of the text, in the piece
  while (begin < bytes.size()) {
    const std::size_t end = std::min(bytes.find('\0', begin), bytes.size());
    SecretMarks marks(scanned_, offset + begin, found);
    for (const char letter : bytes.substr(begin, end - begin)) {
      marks.move_to(scanned_);
      text_->letter(letter, scanned_++, marks);
    }
    if (end == bytes.size()) return;
    text_->settle(marks);
    restart();
    begin = end + 1;
  }
}

}  // namespace understudy::wire
