#include "formats/wire/quoted_secrets.h"

#include <algorithm>

#include "formats/wire/sql_secrets.h"

namespace understudy::wire {
namespace {

// Longer texts are taken for secrets unseen: to look for them in a statement may take long.
constexpr std::size_t kLongestSought = 256;
// So many quotes in one text, and bytes looked through for them; all behind them is taken for a secret.
constexpr std::size_t kMostQuotes = 64;
constexpr std::size_t kMostSearched = std::size_t{16} << 20;

// Behind which a part of the statement stands, to the last quote: it can hold quotes itself.
constexpr std::string_view kTellText[] = {"at or near \"", "missing \"=\" after \""};

bool overwrite(std::string& text, std::size_t from, std::size_t to) {
  if (from >= to) return false;
  std::fill(text.begin() + static_cast<std::ptrdiff_t>(from), text.begin() + static_cast<std::ptrdiff_t>(to),
            'x');
  return true;
}

}  // namespace

void QuotedSecrets::restart(std::string_view statement) {
  secrets_.clear();
  statement_.clear();
  if (!may_hold_secrets(as_bytes(statement))) return;
  SqlSecretScanner scanner;
  scanner.scan(as_bytes(statement), 0, secrets_);
  if (!secrets_.empty()) statement_ = statement;
}

// Where in the statement it was quoted from.
QuotedSecrets::Place QuotedSecrets::place_of(std::string_view quoted) const {
  if (quoted.empty()) return Place::kElsewhere;
  if (quoted.size() > kLongestSought) return Place::kSecret;
  Place place = Place::kNone;
  auto secret = secrets_.begin();  // the first that does not end before what was found
  for (std::size_t at = statement_.find(quoted); at != std::string::npos;
       at = statement_.find(quoted, at + 1)) {
    place = Place::kElsewhere;
    while (secret != secrets_.end() && secret->to <= at) ++secret;
    if (secret == secrets_.end()) break;
    if (secret->from < at + quoted.size()) return Place::kSecret;
  }
  return place;
}

bool QuotedSecrets::hide_told_text(std::string& text) const {
  bool hidden = false;
  for (const std::string_view words : kTellText) {
    const std::size_t found = text.find(words);
    if (found == std::string::npos) continue;
    const std::size_t begin = found + words.size();
    const std::size_t quote = text.rfind('"');
    const std::size_t end = quote >= begin ? quote : text.size();
    if (place_of(std::string_view(text).substr(begin, end - begin)) != Place::kElsewhere)
      hidden = overwrite(text, begin, end) || hidden;
  }
  return hidden;
}

bool QuotedSecrets::hide_in(std::string& text) const {
  if (secrets_.empty()) return false;
  bool hidden = hide_told_text(text);
  std::size_t quotes = 0;
  for (std::size_t begin = text.find('"'); begin != std::string::npos;) {
    const std::size_t end = std::min(text.find('"', ++begin), text.size());
    if (++quotes > kMostQuotes || (quotes > 4 && quotes * statement_.size() > kMostSearched))
      return overwrite(text, begin, text.size()) || hidden;
    if (place_of(std::string_view(text).substr(begin, end - begin)) == Place::kSecret)
      hidden = overwrite(text, begin, end) || hidden;
    begin = end < text.size() ? end : std::string::npos;
  }
  return hidden;
}

}  // namespace understudy::wire
