#include "replayer/condition_values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "formats/command.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMaxPatternBytes = 500;
// Whoever nests repetitions gets copies of copies.
constexpr std::uint64_t kMaxParts = 2'000;

template <typename Value>
std::optional<Value> whole(std::string_view text, int base = 10) {
  Value value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

int read_address(std::string_view text, std::array<Byte, 16>& out) {
  const std::string copy(text);
  if (::inet_pton(AF_INET, copy.c_str(), out.data()) == 1) return AF_INET;
  return ::inet_pton(AF_INET6, copy.c_str(), out.data()) == 1 ? AF_INET6 : 0;
}

// The most that {n}, {n,} or {n,m} at `at` makes of what stands before it, with that itself; 1 for what is
// none.
std::uint64_t copies_of_interval(std::string_view pattern, std::size_t at) {
  std::uint64_t most = 1;
  bool open = false;
  for (++at; at < pattern.size() && pattern[at] != '}'; ++at) {
    open = pattern[at] == ',';
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(pattern.data() + at, pattern.data() + pattern.size(), number);
    if (error == std::errc::result_out_of_range) return kMaxParts + 1;
    if (error != std::errc()) continue;
    most = std::max(most, number);
    at = static_cast<std::size_t>(end - pattern.data()) - 1;
  }
  return std::min(most + (open ? 1 : 0), kMaxParts + 1);
}

// Behind a bracket expression that begins at `at`; "]" stands for itself where it comes first.
std::size_t past_brackets(std::string_view pattern, std::size_t at) {
  at += at + 1 < pattern.size() && pattern[at + 1] == '^' ? 2 : 1;
  return std::min(pattern.find(']', at + 1), pattern.size() - 1);
}

// How many parts are compiled of it, copies included; kMaxParts + 1 stands for more. (X+ is compiled as XX*.)
std::uint64_t compiled_parts(std::string_view pattern) {
  std::vector<std::uint64_t> groups{0};  // of the group, and those around it: parts so far
  std::uint64_t last = 0;                // of what a repetition would repeat
  for (std::size_t at = 0; at < pattern.size() && groups.back() <= kMaxParts; ++at) {
    const char c = pattern[at];
    if (c == '+' || c == '{') {
      const std::uint64_t copies = c == '+' ? 2 : copies_of_interval(pattern, at);
      groups.back() += last * (copies - 1);
      last *= copies;
      continue;
    }
    if (c == '(') {
      groups.push_back(0);
      continue;
    }
    if (c == '*' || c == '?') continue;
    last = 1;
    if (c == ')' && groups.size() > 1) {
      last = std::max<std::uint64_t>(1, groups.back());
      groups.pop_back();
    }
    groups.back() += last;
    if (c == '\\') ++at;
    if (c == '[') at = past_brackets(pattern, at);
  }
  return groups.back();
}

// "\1" refers back; "\\1" does not.
bool refers_back(std::string_view pattern) {
  for (std::size_t i = 0; i + 1 < pattern.size(); ++i) {
    if (pattern[i] != '\\') continue;
    if (pattern[i + 1] >= '1' && pattern[i + 1] <= '9') return true;
    ++i;
  }
  return false;
}

}  // namespace

std::optional<std::int64_t> parse_duration_value(std::string_view text) {
  const auto value = parse_duration(text);
  return value && *value >= 0 ? std::optional<std::int64_t>(*value) : std::nullopt;
}

std::optional<std::int64_t> parse_size_value(std::string_view text) {
  const auto value = parse_size(text);
  return value && *value <= INT64_MAX ? std::optional(static_cast<std::int64_t>(*value)) : std::nullopt;
}

std::optional<std::int64_t> parse_count_value(std::string_view text) {
  const auto value = whole<std::int64_t>(text);
  return value && *value >= 0 ? value : std::nullopt;
}

std::optional<std::uint64_t> parse_fingerprint(std::string_view text) {
  return text.size() == 16 ? whole<std::uint64_t>(text, 16) : std::nullopt;
}

std::string_view host_of_peer(std::string_view peer) {
  std::string_view host = peer.substr(0, peer.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

bool AddressRange::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  family_ = read_address(text.substr(0, slash), bytes_);
  const auto bits = whole<unsigned>(text.substr(slash + 1));
  if (family_ == 0 || !bits || *bits > (family_ == AF_INET ? 32U : 128U)) return false;
  bits_ = *bits;
  return true;
}

bool AddressRange::contains(std::string_view address) const {
  std::array<Byte, 16> other{};
  if (read_address(address, other) != family_ || family_ == 0) return false;
  const std::size_t bytes = bits_ / 8;
  if (!std::equal(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(bytes), other.begin()))
    return false;
  if (bits_ % 8 == 0) return true;
  const unsigned shift = 8 - bits_ % 8;
  return (bytes_[bytes] >> shift) == (other[bytes] >> shift);
}

RegularExpression::~RegularExpression() {
  if (usable_) ::regfree(&compiled_);
}

std::string RegularExpression::compile(const std::string& pattern, bool any_case) {
  if (pattern.size() > kMaxPatternBytes)
    return "it has more than " + std::to_string(kMaxPatternBytes) + " bytes";
  if (refers_back(pattern)) return "it refers back to what it found, which is not supported";
  if (compiled_parts(pattern) > kMaxParts)
    return "its repetitions amount to more than " + std::to_string(kMaxParts) + " parts";
  const int error =
      ::regcomp(&compiled_, pattern.c_str(), REG_EXTENDED | REG_NOSUB | (any_case ? REG_ICASE : 0));
  if (error == 0) {
    usable_ = true;
    return {};
  }
  char why[200];
  ::regerror(error, &compiled_, why, sizeof why);
  return why;
}

bool RegularExpression::found_in(const std::string& text) const {
  return usable_ && ::regexec(&compiled_, text.c_str(), 0, nullptr, 0) == 0;
}

}  // namespace understudy::replayer
