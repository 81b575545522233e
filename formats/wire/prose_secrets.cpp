#include "formats/wire/prose_secrets.h"

#include <algorithm>
#include <string_view>

#include "formats/wire/sql_secrets.h"

namespace understudy::wire {
namespace {

constexpr std::string_view kPassword = "password";
constexpr std::size_t kWindowBytes = std::size_t{16} << 10;  // in which a secret must end
constexpr std::size_t kMostPlaces = 256;                     // behind them all is taken for a secret

char lower(char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter; }
bool is_blank(char letter) { return letter == ' ' || (letter >= '\t' && letter <= '\r'); }
bool is_word(char letter) {
  return (lower(letter) >= 'a' && lower(letter) <= 'z') || (letter >= '0' && letter <= '9') ||
         letter == '_' || (letter & '\x80') != 0;
}

class ProseSecrets {
 public:
  explicit ProseSecrets(std::string_view text) : text_(text) {}

  std::vector<SecretRange> find() {
    std::size_t places = 0;
    for (std::size_t at = next_password(0); at < text_.size(); at = next_password(at + 1)) {
      if (++places > kMostPlaces) return all_from(at);
      behind_password(at);
    }
    for (std::size_t at = text_.find("://"); at != std::string_view::npos; at = text_.find("://", at + 1)) {
      const std::size_t scheme = scheme_before(at);
      if (scheme == at) continue;
      if (++places > kMostPlaces) return all_from(scheme);
      scan(scheme, true);
    }
    return std::move(found_);
  }

 private:
  std::vector<SecretRange> all_from(std::size_t at) {
    found_.push_back({at, text_.size()});
    return std::move(found_);
  }
  [[nodiscard]] std::size_t next_password(std::size_t from) const {
    for (auto at = text_.begin() + static_cast<std::ptrdiff_t>(from);; ++at) {
      at = std::search(at, text_.end(), kPassword.begin(), kPassword.end(),
                       [](char letter, char wanted) { return lower(letter) == wanted; });
      const auto place = static_cast<std::size_t>(at - text_.begin());
      if (at == text_.end() || place == 0 || !is_word(text_[place - 1])) return place;
      if (place >= 2 && text_[place - 2] == '\\') return place;  // E'\npassword=...'
      if (place >= 3 && lower(text_[place - 1]) == 'l' && lower(text_[place - 2]) == 's') return place;
    }
  }
  [[nodiscard]] std::size_t scheme_before(std::size_t colon) const {
    for (const std::string_view scheme : {"postgresql", "postgres"}) {
      const std::size_t begin = colon - std::min(colon, scheme.size());
      const std::string_view before = text_.substr(begin, colon - begin);
      if (std::equal(before.begin(), before.end(), scheme.begin(), scheme.end(),
                     [](char letter, char wanted) { return lower(letter) == wanted; }))
        return begin;
    }
    return colon;
  }
  [[nodiscard]] char letter(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }
  [[nodiscard]] std::size_t behind_blanks(std::size_t at) const {
    while (is_blank(letter(at))) ++at;
    return at;
  }

  void behind_password(std::size_t at) {
    std::size_t next = behind_blanks(at + kPassword.size());
    const bool assigned = letter(next) == '=';
    if (assigned) next = behind_blanks(next + 1);
    if (letter(next) == '\\' && letter(next + 1) == '\'') ++next;
    const bool doubled = letter(next) == '\'' && letter(next + 1) == '\'';
    // In a quoted quote, or the value of a connection string.
    if (doubled || (assigned && letter(next) == '\'')) {
      quoted(next);
      // format('... password=''%s''', 'secret'); 'password=' || 'secret'
      if (doubled || may_end_literal(next)) scan(at, true);
      return;
    }
    // 'ALTER ROLE x PASSWORD ' || 'secret', format('... PASSWORD %L', 'secret'), password=secret
    const bool ends_string = letter(next) == '\'' && (is_blank(letter(next + 1)) || letter(next + 1) == '|');
    if (ends_string || assigned || letter(next) == '%') scan(at, true);
    if (!assigned) scan(at, false);
  }
  // And what follows, belongs to it.
  [[nodiscard]] bool may_end_literal(std::size_t quote) const {
    const char next = letter(behind_blanks(quote + 1));
    return next != '\0' && std::string_view("|,):/'").find(next) != std::string_view::npos;
  }
  void quoted(std::size_t at) {
    while (letter(at) == '\'') ++at;
    const std::size_t end = std::min(text_.find('\'', at), text_.size());
    if (end > at) found_.push_back({at, end});
  }
  void scan(std::size_t at, bool inside_string) {
    SqlSecretScanner scanner;
    // Words may follow a URI that does not begin a string.
    if (inside_string) scanner.scan(as_bytes("' "), 0, found_);
    scanner.scan(as_bytes(text_.substr(at, kWindowBytes)), at, found_);
  }

  const std::string_view text_;
  std::vector<SecretRange> found_;
};

}  // namespace

bool hide_secrets_in_prose(std::string& text) {
  if (!may_hold_secrets(as_bytes(text))) return false;
  const std::vector<SecretRange> found = ProseSecrets(text).find();
  for (const SecretRange& range : found)
    std::fill(text.begin() + static_cast<std::ptrdiff_t>(range.from),
              text.begin() + static_cast<std::ptrdiff_t>(range.to), 'x');
  return !found.empty();
}

}  // namespace understudy::wire
