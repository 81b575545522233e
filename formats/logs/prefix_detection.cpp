#include "formats/logs/prefix_detection.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "formats/logs/log_line_prefix.h"
#include "formats/logs/log_message.h"
#include "formats/logs/log_time.h"

namespace understudy::logs {
namespace {

constexpr std::size_t kMaxPrefixBytes = 512;
constexpr std::size_t kMaxCandidates = 60;
// Steps of reading, for all candidates together: some seconds at most. What a server wrote takes a hundredth.
constexpr std::uint64_t kMaxWork = 20'000'000;

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }
bool is_lower_hex(char letter) { return is_digit(letter) || (letter >= 'a' && letter <= 'f'); }
bool is_upper(char letter) { return letter >= 'A' && letter <= 'Z'; }
bool is_word(char letter) {
  return is_digit(letter) || is_upper(letter) || (letter >= 'a' && letter <= 'z') || letter == '_' ||
         letter == '-' || letter == '.' || letter == '$' || static_cast<unsigned char>(letter) >= 0x80;
}

struct Label {
  std::string_view word;
  char escape;
};
constexpr Label kLabels[] = {{"user", 'u'},
                             {"usr", 'u'},
                             {"u", 'u'},
                             {"db", 'd'},
                             {"database", 'd'},
                             {"d", 'd'},
                             {"app", 'a'},
                             {"appname", 'a'},
                             {"a", 'a'},
                             {"application", 'a'},
                             {"application_name", 'a'},
                             {"client", 'h'},
                             {"host", 'h'},
                             {"remote", 'r'},
                             {"ip", 'h'},
                             {"h", 'h'},
                             {"r", 'r'},
                             {"pid", 'p'},
                             {"p", 'p'},
                             {"session", 'c'},
                             {"sess", 'c'},
                             {"sid", 'c'},
                             {"c", 'c'},
                             {"line", 'l'},
                             {"l", 'l'},
                             {"xid", 'x'},
                             {"tx", 'x'},
                             {"txid", 'x'},
                             {"x", 'x'},
                             {"vxid", 'v'},
                             {"vtxid", 'v'},
                             {"v", 'v'},
                             {"cmd", 'i'},
                             {"tag", 'i'},
                             {"i", 'i'},
                             {"sqlstate", 'e'},
                             {"state", 'e'},
                             {"error_code", 'e'},
                             {"e", 'e'},
                             {"qid", 'Q'},
                             {"query_id", 'Q'},
                             {"queryid", 'Q'},
                             {"type", 'b'},
                             {"backend", 'b'},
                             {"b", 'b'},
                             {"start", 's'},
                             {"s", 's'}};
constexpr std::string_view kBackendTypes[] = {"client backend",    "checkpointer",
                                              "background writer", "autovacuum launcher",
                                              "autovacuum worker", "walwriter",
                                              "walsender",         "postmaster",
                                              "parallel worker",   "logical replication launcher",
                                              "startup",           "archiver",
                                              "background worker", "not initialized"};
constexpr std::string_view kCommandTags[] = {"SELECT",  "INSERT", "UPDATE", "DELETE",
                                             "BEGIN",   "COMMIT", "idle",   "authentication",
                                             "startup", "PARSE",  "BIND",   "ROLLBACK"};

// Turns the text before a severity into a prefix that would have written it.
class Guess {
 public:
  explicit Guess(std::string_view text) : text_(text) {}

  std::string made() {
    while (at_ < text_.size()) {
      if (!time() && !fixed_words() && !session() && !address() && !number() && !word()) literal(1);
    }
    return out_;
  }

 private:
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
  [[nodiscard]] bool inside_word() const {
    return at_ > 0 && is_word(text_[at_ - 1]) && text_[at_ - 1] != '-';
  }
  void escape(char which, std::size_t length) {
    out_ += '%';
    out_ += which;
    used_.insert(which);
    at_ += length;
  }
  void literal(std::size_t length) {
    for (; length > 0; --length) {
      if (text_[at_] == '%') out_ += '%';
      out_ += text_[at_++];
    }
  }
  bool time() {
    if (const auto found = read_log_time(rest())) {
      escape(found->fraction                                                     ? 'm'
             : used_.contains('m') || used_.contains('t') || used_.contains('n') ? 's'
                                                                                 : 't',
             found->length);
      return true;
    }
    const auto epoch = inside_word() ? std::nullopt : read_epoch_time(rest());
    if (epoch) escape('n', epoch->length);
    return epoch.has_value();
  }
  bool fixed_words() {
    if (rest().starts_with("[local]")) {
      escape('h', 7);
      return true;
    }
    if (inside_word()) return false;
    for (const std::string_view type : kBackendTypes) {
      if (!rest().starts_with(type)) continue;
      escape('b', type.size());
      return true;
    }
    return false;
  }
  // "6560e6bb.1a2b"
  bool session() {
    if (inside_word()) return false;
    std::size_t start = 0;
    while (start < rest().size() && is_lower_hex(rest()[start])) ++start;
    if (start != 8 || start == rest().size() || rest()[start] != '.') return false;
    std::size_t end = start + 1;
    while (end < rest().size() && is_lower_hex(rest()[end])) ++end;
    if (end == start + 1) return false;
    escape('c', end);
    return true;
  }
  // "192.0.2.7", "192.0.2.7(49152)", "::1(49152)"
  bool address() {
    if (inside_word()) return false;
    std::size_t end = 0;
    std::size_t dots = 0;
    std::size_t colons = 0;
    while (end < rest().size() && (is_lower_hex(rest()[end]) || rest()[end] == '.' || rest()[end] == ':')) {
      dots += rest()[end] == '.' ? 1 : 0;
      colons += rest()[end] == ':' ? 1 : 0;
      ++end;
    }
    // A colon behind it belongs to the prefix.
    while (end > 0 && rest()[end - 1] == ':' && colons > 0) {
      --end;
      --colons;
    }
    if (dots != 3 && colons < 2) return false;
    const std::size_t port = with_port(end);
    escape(port > end ? 'r' : 'h', port);
    return true;
  }
  [[nodiscard]] std::size_t with_port(std::size_t end) const {
    if (end == rest().size() || rest()[end] != '(') return end;
    const std::size_t close = rest().find(')', end);
    const std::string_view digits =
        rest().substr(end + 1, close == std::string_view::npos ? 0 : close - end - 1);
    return !digits.empty() && std::all_of(digits.begin(), digits.end(), is_digit) ? close + 1 : end;
  }
  bool number() {
    if (inside_word()) return false;
    std::size_t end = 0;
    while (end < rest().size() && is_digit(rest()[end])) ++end;
    if (end == 0) return false;
    const char next = end < rest().size() ? rest()[end] : ' ';
    if (rest().starts_with("00000") && (end == 5)) {
      escape('e', 5);
    } else if (next == '/') {
      std::size_t local = end + 1;
      while (local < rest().size() && is_digit(rest()[local])) ++local;
      escape('v', local);
    } else if (is_word(next) && next != '-') {
      return false;
    } else if (used_.contains('p') && used_.contains('l') && rest().substr(0, end) == "1") {
      literal(end);  // "[%l-1]": no transaction has that id
    } else {
      escape(!used_.contains('p') ? 'p' : !used_.contains('l') ? 'l' : 'x', end);
    }
    return true;
  }
  bool word() {
    std::size_t end = 0;
    if (rest().front() == '-' || rest().front() == '.') return false;
    const bool unknown = rest().starts_with("[unknown]");
    if (unknown) end = 9;
    while (end < rest().size() && is_word(rest()[end])) ++end;
    if (end == 0) return false;
    const std::string_view found = rest().substr(0, end);
    if (end < rest().size() && rest()[end] == '=') return labelled(found);
    if (is_sqlstate(found)) {
      escape('e', end);
    } else if (std::find(std::begin(kCommandTags), std::end(kCommandTags), found) != std::end(kCommandTags)) {
      escape('i', end);
    } else {
      if (out_.ends_with("%a ")) {  // the name of an application may have blanks
        out_.pop_back();
        at_ += end;
        return true;
      }
      for (const char which : {'u', 'd', 'a'}) {
        if (used_.contains(which)) continue;
        escape(which, end);
        return true;
      }
      literal(end);
    }
    return true;
  }
  [[nodiscard]] bool is_sqlstate(std::string_view found) const {
    return found.size() == 5 && is_digit(found[1]) && std::all_of(found.begin(), found.end(), [](char each) {
             return is_digit(each) || is_upper(each);
           });
  }
  bool labelled(std::string_view label) {
    std::string lower(label);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char each) { return is_upper(each) ? static_cast<char>(each - 'A' + 'a') : each; });
    const auto known = std::find_if(std::begin(kLabels), std::end(kLabels),
                                    [&lower](const Label& each) { return each.word == lower; });
    literal(label.size() + 1);
    if (known == std::end(kLabels)) return true;
    const std::size_t end = std::min(rest().find_first_of(",;| \t])"), rest().size());
    const std::size_t port = with_port(std::min(rest().find('('), end));
    if (known->escape == 's') {
      (void)time();
      return true;
    }
    const bool has_port = (known->escape == 'h' || known->escape == 'r') && port > end;
    const std::size_t length = rest().starts_with("[unknown]") ? 9 : rest().starts_with("[local]") ? 7 : end;
    escape(has_port ? 'r' : known->escape, has_port ? port : length);
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
  std::set<char> used_;
};

std::size_t severity_begins(std::string_view line) {
  const std::string_view head = line.substr(0, kMaxPrefixBytes);
  for (std::size_t at = 0; at < head.size(); ++at) {
    // "%t-%c-" ends with a dash.
    if (is_upper(head[at]) && (at == 0 || !is_word(head[at - 1]) || head[at - 1] == '-') &&
        read_severity(line.substr(at)).length > 0)
      return at;
  }
  return std::string_view::npos;
}

// What a session says of itself must be what its prefix tells.
bool contradicts(std::string_view message, const LogRecord& record, const LogLinePrefix& prefix) {
  const LogMessage read = read_log_message(behind_sqlstate(message));
  if (read.kind != LogMessage::Kind::kAuthorized) return false;
  return (prefix.has('u') && record.user != connection_word(read.text, "user=")) ||
         (prefix.has('d') && record.database != connection_word(read.text, "database="));
}

// 0 too when that are fewer than `enough`, or it took more than kMaxWork to find out.
std::size_t lines_that_fit(const std::string& text, std::span<const std::string> lines, std::size_t enough,
                           std::uint64_t& work) {
  const LogLinePrefix prefix(text);
  if (!prefix.tells_sessions() || !(prefix.has('m') || prefix.has('t') || prefix.has('n'))) return 0;
  std::size_t fitting = 0;
  std::size_t left = lines.size();
  LogRecord record;
  for (const std::string& line : lines) {
    if (fitting + left-- < enough || work > kMaxWork) return 0;
    record.clear();
    const auto message = prefix.read(line, record, work);
    if (message && contradicts(*message, record, prefix)) return 0;
    if (message) ++fitting;
  }
  return fitting < enough ? 0 : fitting;
}

std::string swapped(std::string text) {
  for (std::size_t at = 0; at + 1 < text.size(); ++at) {
    if (text[at] != '%') continue;
    ++at;
    text[at] = text[at] == 'u' ? 'd' : text[at] == 'd' ? 'u' : text[at];
  }
  return text;
}

// Words were taken for a user and a database: they may be an application's name.
std::string as_application(std::string text) {
  if (text.find("%a") != std::string::npos) return text;
  for (const std::string_view words : {"%u %d", "%u"}) {
    const std::size_t at = text.find(words);
    if (at == std::string::npos) continue;
    return text.replace(at, words.size(), "%a");
  }
  return text;
}

}  // namespace

std::string guess_prefix(std::string_view line) {
  const std::size_t end = severity_begins(line);
  return end == std::string_view::npos ? std::string() : Guess(line.substr(0, end)).made();
}

std::string detect_prefix(std::span<const std::string> lines, const std::string& likely) {
  std::map<std::string, std::size_t> guessed;
  for (const std::string& line : lines) {
    const std::string guess = guess_prefix(line);
    if (!guess.empty()) ++guessed[guess];
  }
  std::vector<std::pair<std::size_t, std::string>> frequent;
  for (const auto& [text, count] : guessed) frequent.emplace_back(count, text);
  std::sort(frequent.rbegin(), frequent.rend());
  if (frequent.size() > kMaxCandidates) frequent.resize(kMaxCandidates);
  std::vector<std::string> candidates;
  for (const auto& [count, text] : frequent) candidates.push_back(text);
  // What belongs to no session may have less.
  for (std::size_t n = 0; n < frequent.size(); ++n) {
    for (const auto& [count, shorter] : frequent) {
      const std::string& longer = frequent[n].second;
      if (longer.size() > shorter.size() && longer.starts_with(shorter) &&
          candidates.size() < 4 * kMaxCandidates)
        candidates.push_back(shorter + "%q" + longer.substr(shorter.size()));
    }
  }
  std::string best = likely;
  std::uint64_t work = 0;
  std::size_t most = likely.empty() ? 0 : lines_that_fit(likely, lines, 0, work);
  std::set<std::string> tried;
  for (const std::string& candidate : candidates) {
    for (const std::string& text : {candidate, swapped(candidate), as_application(candidate)}) {
      if (!tried.insert(text).second) continue;
      const std::size_t fitting = lines_that_fit(text, lines, most, work);
      // Of two that fit as many, the one that tells more.
      if (fitting < most || fitting == 0) continue;
      const auto tells = [](const std::string& one) { return std::count(one.begin(), one.end(), '%'); };
      if (fitting > most || (best != likely && tells(text) > tells(best))) {
        most = fitting;
        best = text;
      }
    }
  }
  return best;
}

}  // namespace understudy::logs
