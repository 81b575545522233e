#include "formats/logs/log_line_prefix.h"

#include <algorithm>
#include <charconv>

#include "formats/logs/log_time.h"

namespace understudy::logs {
namespace {

// Of primary lines, then of those that add to one.
constexpr std::string_view kSeverities[] = {"LOG",     "ERROR",  "STATEMENT", "DETAIL",   "FATAL",
                                            "WARNING", "NOTICE", "HINT",      "CONTEXT",  "PANIC",
                                            "INFO",    "DEBUG",  "QUERY",     "LOCATION", "BACKTRACE",
                                            "DEBUG1",  "DEBUG2", "DEBUG3",    "DEBUG4",   "DEBUG5"};
constexpr std::size_t kMaxFieldBytes = 1024;  // of a name in a prefix
constexpr std::size_t kSqlstate = 5;
constexpr int kMaxAttempts = 4096;  // to read one line
constexpr std::string_view kKnown = "abcdehilmnpPqQrstuvxL";

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }
bool is_sqlstate_letter(char letter) { return is_digit(letter) || (letter >= 'A' && letter <= 'Z'); }
bool is_hex(char letter) { return is_digit(letter) || (letter >= 'a' && letter <= 'f'); }

template <typename Is>
std::size_t run_of(std::string_view text, Is is) {
  std::size_t length = 0;
  while (length < text.size() && is(text[length])) ++length;
  return length;
}

// How long the value of an escape with a form of its own is; none when it is not there, or has no form.
std::optional<std::size_t> formed_length(char escape, std::string_view text) {
  const auto number = [](std::string_view at) {
    const std::size_t sign = !at.empty() && at.front() == '-' ? 1 : 0;
    const std::size_t length = run_of(at.substr(sign), is_digit);
    return length == 0 ? std::optional<std::size_t>() : sign + length;
  };
  switch (escape) {
    case 'm':
    case 't':
    case 's': {
      const auto time = read_log_time(text);
      if (!time || time->fraction != (escape == 'm')) return std::nullopt;
      return time->length;
    }
    case 'n': {
      const auto time = read_epoch_time(text);
      return time ? std::optional(time->length) : std::nullopt;
    }
    case 'p':
    case 'l':
    case 'x':
    case 'Q':
      return number(text);
    case 'c': {
      const std::size_t start = run_of(text, is_hex);
      if (start == 0 || start == text.size() || text[start] != '.') return std::nullopt;
      const std::size_t process = run_of(text.substr(start + 1), is_hex);
      return process == 0 ? std::optional<std::size_t>() : start + 1 + process;
    }
    case 'e':
      if (text.size() < kSqlstate || run_of(text.substr(0, kSqlstate), is_sqlstate_letter) < kSqlstate)
        return std::nullopt;
      return kSqlstate;
    case 'P':
      return number(text).value_or(0);
    case 'v': {
      // Without a virtual transaction nothing is written.
      const std::size_t backend = run_of(text, is_digit);
      if (backend == 0 || backend == text.size() || text[backend] != '/') return 0;
      return backend + 1 + run_of(text.substr(backend + 1), is_digit);
    }
    default:
      return std::nullopt;
  }
}

bool has_form(char escape) { return std::string_view("mtsnplxQcePv").find(escape) != std::string_view::npos; }

void take(char escape, std::string_view value, LogRecord& record) {
  switch (escape) {
    case 'm':
    case 't':
      if (const auto time = read_log_time(value)) {
        record.time = time->time;
        record.zone_known = time->zone_known;
      }
      break;
    case 'n':
      if (const auto time = read_epoch_time(value)) record.time = time->time;
      break;
    case 's':
      if (const auto time = read_log_time(value)) record.session_start = time->time;
      break;
    case 'p':
      record.process = value;
      break;
    case 'c':
      record.session = value;
      break;
    case 'u':
      record.user = value == "[unknown]" ? std::string_view() : value;
      break;
    case 'd':
      record.database = value == "[unknown]" ? std::string_view() : value;
      break;
    case 'a':
      record.application = value == "[unknown]" ? std::string_view() : value;
      break;
    case 'b':
      record.backend_type = value;
      break;
    case 'h':
      // The colons of an IPv6 address are not those before a port.
      if (record.client.empty()) {
        record.client = value;
        if (value.find(':') != std::string_view::npos) record.client = "[" + record.client + "]";
      }
      break;
    case 'r':
      record.client = value;
      break;
    case 'e':
      record.sqlstate = value;
      break;
    default:
      break;
  }
}

}  // namespace

SeverityWord read_severity(std::string_view text) {
  for (const std::string_view word : kSeverities) {
    if (!text.starts_with(word)) continue;
    const std::string_view rest = text.substr(word.size());
    if (rest.starts_with(":  ")) return {word, word.size() + 3};
    // An editor, or a mailer, may have taken blanks from the end of an empty message's line.
    if (rest == ":" || rest == ": ") return {word, text.size()};
  }
  return {};
}

std::string_view read_sqlstate(std::string_view message) {
  const std::string_view code = message.substr(0, kSqlstate);
  // The blank goes where blanks at a line's end do.
  const std::string_view rest = message.substr(code.size());
  const bool ends = rest.starts_with(": ") || rest == ":";
  return ends && run_of(code, is_sqlstate_letter) == kSqlstate ? code : std::string_view();
}

std::string_view behind_sqlstate(std::string_view message) {
  const std::size_t length = read_sqlstate(message).size();
  return message.substr(length == 0 ? 0 : std::min(length + 2, message.size()));
}

LogLinePrefix::LogLinePrefix(std::string_view text) : text_(text) {
  const auto literal = [this](char letter) {
    if (elements_.empty() || elements_.back().escape != 0) elements_.push_back({});
    elements_.back().literal += letter;
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      literal(text[at]);
      continue;
    }
    if (++at == text.size()) break;
    if (text[at] == '%') {
      literal('%');
      continue;
    }
    int width = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), width);
    if (error == std::errc()) at = static_cast<std::size_t>(end - text.data());
    if (at == text.size()) break;
    if (kKnown.find(text[at]) != std::string_view::npos) elements_.push_back({text[at], {}, width});
  }
}

bool LogLinePrefix::has(char escape) const {
  return std::any_of(elements_.begin(), elements_.end(),
                     [escape](const Element& element) { return element.escape == escape; });
}

// Reads a line element by element. Names can hold anything, also what follows them in the prefix: where one
// ends is tried, a bounded number of times.
struct LogLinePrefix::Attempt {
  const std::vector<Element>& elements;
  std::vector<std::string_view> values{};  // by element
  SeverityWord severity{};
  std::string_view message{};
  int left = kMaxAttempts;
  std::uint64_t steps = 0;  // attempts, and places where a name was thought to end

  bool from(std::size_t index, std::string_view rest) {
    ++steps;
    if (--left < 0) return false;
    if (index == elements.size()) return end(rest);
    const Element& element = elements[index];
    if (element.escape == 0) {
      return rest.starts_with(element.literal) && from(index + 1, rest.substr(element.literal.size()));
    }
    // What belongs to no session has nothing behind %q.
    if (element.escape == 'q') {
      if (from(index + 1, rest)) return true;
      std::fill(values.begin() + static_cast<std::ptrdiff_t>(index), values.end(), std::string_view());
      return end(rest);
    }
    if (element.width > 0) {
      const std::size_t blanks = run_of(rest, [](char letter) { return letter == ' '; });
      if (blanks < static_cast<std::size_t>(element.width)) rest.remove_prefix(blanks);
    }
    if (has_form(element.escape)) return formed(index, rest);
    return named(index, rest);
  }

 private:
  bool end(std::string_view rest) {
    severity = read_severity(rest);
    if (severity.length == 0) return false;
    message = rest.substr(severity.length);
    return true;
  }
  bool after(std::size_t index, std::string_view value, std::string_view rest) {
    const Element& element = elements[index];
    values[index] = value;
    if (element.width < 0) {
      const std::size_t width = static_cast<std::size_t>(-static_cast<long>(element.width));
      std::size_t padding = value.size() < width ? width - value.size() : 0;
      values[index] = value.substr(0, value.find_last_not_of(' ') + 1);
      for (; padding > 0 && !rest.empty() && rest.front() == ' '; --padding) rest.remove_prefix(1);
    }
    return from(index + 1, rest);
  }
  bool formed(std::size_t index, std::string_view rest) {
    const auto length = formed_length(elements[index].escape, rest);
    if (length) return after(index, rest.substr(0, *length), rest.substr(*length));
    // Where there is nothing to tell, a server writes blanks up to the width.
    return elements[index].width != 0 && after(index, {}, rest);
  }
  bool named(std::size_t index, std::string_view rest) {
    const bool literal_next = index + 1 < elements.size() && elements[index + 1].escape == 0;
    const std::size_t limit = std::min(rest.size(), kMaxFieldBytes);
    for (std::size_t length = 0; length <= limit && left > 0; ++length) {
      ++steps;
      if (literal_next) {
        const std::string& literal = elements[index + 1].literal;
        length = rest.substr(0, limit + literal.size()).find(literal, length);
        if (length == std::string_view::npos) return false;
      } else if (index + 1 == elements.size() && read_severity(rest.substr(length)).length == 0) {
        continue;
      }
      if (after(index, rest.substr(0, length), rest.substr(length))) return true;
    }
    return false;
  }
};

std::optional<std::string_view> LogLinePrefix::read(std::string_view line, LogRecord& record,
                                                    std::uint64_t& work) const {
  Attempt attempt{.elements = elements_};
  attempt.values.resize(elements_.size());
  const bool fits = attempt.from(0, line);
  work += attempt.steps;
  if (!fits) return std::nullopt;
  for (std::size_t n = 0; n < elements_.size(); ++n) {
    if (elements_[n].escape != 0 && !attempt.values[n].empty())
      take(elements_[n].escape, attempt.values[n], record);
  }
  record.severity = attempt.severity.word;
  return attempt.message;
}

}  // namespace understudy::logs
