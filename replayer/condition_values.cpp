#include "replayer/condition_values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "formats/command.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMaxPatternBytes = 500;
constexpr std::uint64_t kMaxRepeats =
    1'000;  // of all {n} multiplied: whoever nests them gets that many copies

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

std::uint64_t repeats(std::string_view pattern) {
  std::uint64_t product = 1;
  for (std::size_t i = pattern.find('{'); i != std::string_view::npos; i = pattern.find('{', i + 1)) {
    std::uint64_t most = 1;
    for (std::size_t at = i + 1; at < pattern.size() && pattern[at] != '}'; ++at) {
      std::uint64_t number = 0;
      const auto [end, error] = std::from_chars(pattern.data() + at, pattern.data() + pattern.size(), number);
      if (error == std::errc::result_out_of_range) return UINT64_MAX;
      if (error != std::errc()) continue;
      most = std::max(most, number);
      at = static_cast<std::size_t>(end - pattern.data()) - 1;
    }
    if (most > kMaxRepeats || product * most > kMaxRepeats) return UINT64_MAX;
    product *= most;
  }
  return product;
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
  if (repeats(pattern) > kMaxRepeats)
    return "its repetitions amount to more than " + std::to_string(kMaxRepeats);
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
