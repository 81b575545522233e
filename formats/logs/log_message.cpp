#include "formats/logs/log_message.h"

#include <charconv>

namespace understudy::logs {
namespace {

using Kind = LogMessage::Kind;

constexpr std::size_t kMaxParameters = 65'535;

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

// "0.450 ms", at its beginning; microseconds are all there is.
std::optional<TimeNs> take_milliseconds(std::string_view& text) {
  constexpr TimeNs kMillisecond = 1'000'000;
  constexpr TimeNs kLongest = TimeNs{10'000'000'000} * kMillisecond;  // 115 days
  std::int64_t whole = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error != std::errc() || whole < 0 || whole > kLongest / kMillisecond) return std::nullopt;
  std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  TimeNs fraction = 0;
  if (take(rest, ".")) {
    TimeNs unit = kMillisecond;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      unit /= 10;
      fraction += unit * (rest.front() - '0');
      rest.remove_prefix(1);
    }
  }
  if (!take(rest, " ms")) return std::nullopt;
  text = rest;
  return whole * kMillisecond + fraction;
}

// "name/portal: statement". False when there is no such end.
bool take_names(std::string_view text, LogMessage& out) {
  const std::size_t end = text.find(": ");
  if (end == std::string_view::npos) return false;
  std::string_view name = text.substr(0, end);
  const std::size_t slash = name.find('/');
  if (slash != std::string_view::npos) out.portal = name.substr(slash + 1);
  name = name.substr(0, slash);
  out.name = name == "<unnamed>" ? std::string_view() : name;
  out.text = text.substr(end + 2);
  return true;
}

// What was asked, whether a duration stands before it or not.
void take_request(std::string_view text, LogMessage& out) {
  if (take(text, "statement: ")) {
    out.kind = Kind::kStatement;
    out.text = text;
  } else if (take(text, "fastpath function call: ")) {
    out.kind = Kind::kFunctionCall;
    out.text = text;
  } else if (take(text, "execute fetch from ")) {
    if (take_names(text, out)) out.kind = Kind::kFetch;
  } else if (take(text, "execute ")) {
    if (take_names(text, out)) out.kind = Kind::kExecute;
  } else if (out.duration && take(text, "parse ")) {
    if (take_names(text, out)) out.kind = Kind::kParse;
  } else if (out.duration && take(text, "bind ")) {
    if (take_names(text, out)) out.kind = Kind::kBind;
  }
}

// "$1 = "
bool take_number(std::string_view& text, std::size_t expected) {
  if (!take(text, "$")) return false;
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number != expected) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return take(text, " = ");
}

std::optional<LogParameter> take_value(std::string_view& text) {
  if (take(text, "NULL")) return LogParameter();
  if (!take(text, "'")) return std::nullopt;
  std::string value;
  while (true) {
    const std::size_t quote = text.find('\'');
    if (quote == std::string_view::npos) return std::nullopt;
    value += text.substr(0, quote);
    text.remove_prefix(quote + 1);
    if (!take(text, "'")) return LogParameter(std::move(value));
    value += '\'';
  }
}

}  // namespace

LogMessage read_log_message(std::string_view message) {
  LogMessage out;
  std::string_view rest = message;
  if (take(rest, "duration: ")) {
    out.duration = take_milliseconds(rest);
    if (!out.duration) return {};
    if (rest.empty()) {
      out.kind = Kind::kDuration;
    } else if (take(rest, "  ")) {
      take_request(rest, out);
    }
  } else if (take(rest, "connection received: ")) {
    out.kind = Kind::kConnection;
    out.text = rest;
  } else if (take(rest, "connection authorized: ")) {
    out.kind = Kind::kAuthorized;
    out.text = rest;
  } else if (take(rest, "disconnection: ")) {
    out.kind = Kind::kDisconnection;
    out.text = rest;
  } else if (take(rest, "replication connection authorized: ") ||
             take(rest, "received replication command: ")) {
    out.kind = Kind::kReplication;
    out.text = rest;
  } else {
    take_request(rest, out);
  }
  return out;
}

std::string_view connection_word(std::string_view text, std::string_view word) {
  std::size_t at = 0;
  while (true) {
    at = text.find(word, at);
    if (at == std::string_view::npos) return {};
    if (at == 0 || text[at - 1] == ' ') break;
    ++at;
  }
  const std::string_view rest = text.substr(at + word.size());
  // A value may hold blanks: it goes on to the last blank before the next "word=", or to the end.
  const std::size_t next = rest.find('=');
  if (next == std::string_view::npos) return rest;
  const std::size_t blank = rest.rfind(' ', next);
  std::string_view value = rest.substr(0, blank == std::string_view::npos ? next : blank);
  // "SSL enabled (protocol=...", "GSS (authenticated=...": no words of ours.
  for (const std::string_view tail : {" SSL enabled", " GSS"}) {
    if (value.ends_with(tail)) value.remove_suffix(tail.size());
  }
  return value;
}

std::optional<std::vector<LogParameter>> read_parameters(std::string_view text) {
  if (!take(text, "parameters: ") && !take(text, "Parameters: ")) {
    constexpr std::string_view kWith = "with parameters: ";
    const std::size_t at = text.find(kWith);
    if (at == std::string_view::npos) return std::nullopt;
    text.remove_prefix(at + kWith.size());
  }
  std::vector<LogParameter> parameters;
  do {
    if (parameters.size() == kMaxParameters || !take_number(text, parameters.size() + 1)) return std::nullopt;
    auto value = take_value(text);
    if (!value) return std::nullopt;
    parameters.push_back(std::move(*value));
  } while (take(text, ", "));
  return parameters;
}

}  // namespace understudy::logs
