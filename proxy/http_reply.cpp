#include "proxy/http_reply.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace understudy::proxy {
namespace {

using Progress = HttpReply::Progress;

Progress malformed(HttpReply& reply, std::string why) {
  reply.wrong = std::move(why);
  return Progress::kMalformed;
}

bool is_named(std::string_view line, std::string_view name) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  return line.size() > name.size() && line[name.size()] == ':' &&
         std::equal(name.begin(), name.end(), line.begin(), [&](char b, char a) { return same(a, b); });
}

std::string_view value_of(std::string_view line) {
  line.remove_prefix(line.find(':') + 1);
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
  return line;
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && error == std::errc{} && end == text.data() + text.size();
}

// "HTTP/1.0 200 OK".
bool read_status(std::string_view line, int& status) {
  constexpr std::string_view kVersion = "HTTP/1.";
  constexpr std::size_t kStatusAt = 9;
  constexpr std::size_t kDigits = 3;
  return line.starts_with(kVersion) && line.size() >= kStatusAt + kDigits && line[kStatusAt - 1] == ' ' &&
         read_number(line.substr(kStatusAt, kDigits), status) && status >= 100;
}

}  // namespace

HttpReply::Progress HttpReply::read(std::string_view received, bool ended, std::size_t most,
                                    HttpReply& reply) {
  constexpr std::string_view kLineEnd = "\r\n";
  constexpr std::string_view kHeaderEnd = "\r\n\r\n";
  const std::size_t header = received.substr(0, kMostHttpHeaderBytes).find(kHeaderEnd);
  if (header == std::string_view::npos) {
    if (received.size() >= kMostHttpHeaderBytes) return malformed(reply, "its header has no end");
    if (!ended) return Progress::kGoesOn;
    return malformed(reply, received.empty() ? "it said nothing" : "it ended within its header");
  }
  std::string_view lines = received.substr(0, header);
  const std::string_view body = received.substr(header + kHeaderEnd.size());
  const std::string_view first = lines.substr(0, lines.find(kLineEnd));
  if (!read_status(first, reply.status)) return malformed(reply, "it does not speak HTTP");
  std::optional<std::size_t> length;
  while (lines.size() > first.size()) {
    const std::size_t at = lines.rfind(kLineEnd);
    const std::string_view line = lines.substr(at + kLineEnd.size());
    lines = lines.substr(0, at);
    // HTTP/1.0 was asked for, which has no chunks.
    if (is_named(line, "transfer-encoding")) return malformed(reply, "it sent chunks, unasked");
    if (!is_named(line, "content-length")) continue;
    std::size_t said = 0;
    if (!read_number(value_of(line), said) || (length && *length != said)) {
      return malformed(reply, "its Content-Length is no number");
    }
    length = said;
  }
  if (length.value_or(0) > most || body.size() > most) return malformed(reply, "its answer is too long");
  if (length ? body.size() < *length : !ended) {
    return ended ? malformed(reply, "it ended within its answer") : Progress::kGoesOn;
  }
  reply.body = body.substr(0, length.value_or(body.size()));
  return Progress::kWhole;
}

}  // namespace understudy::proxy
