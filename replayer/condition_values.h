// The values of a condition (condition.h): numbers with units, networks, regular expressions. Any thread.
#pragma once

#include <regex.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/bytes.h"

namespace understudy::replayer {

// Not below 0; none when malformed. Durations are nanoseconds.
[[nodiscard]] std::optional<std::int64_t> parse_duration_value(std::string_view text);
[[nodiscard]] std::optional<std::int64_t> parse_size_value(std::string_view text);
[[nodiscard]] std::optional<std::int64_t> parse_count_value(std::string_view text);
// Sixteen hexadecimal digits.
[[nodiscard]] std::optional<std::uint64_t> parse_fingerprint(std::string_view text);

// "192.0.2.7:49152" -> "192.0.2.7", "[::1]:49152" -> "::1".
[[nodiscard]] std::string_view host_of_peer(std::string_view peer);

// "10.0.0.0/8", "2001:db8::/32".
class AddressRange {
 public:
  [[nodiscard]] bool parse(std::string_view text);
  // False for what is no address, or one of the other family.
  [[nodiscard]] bool contains(std::string_view address) const;

 private:
  std::array<Byte, 16> bytes_{};
  int family_ = 0;
  unsigned bits_ = 0;
};

// POSIX extended, without references back (which take exponential time), and bounded in what it may repeat
// (which takes exponential memory).
class RegularExpression {
 public:
  RegularExpression() = default;
  ~RegularExpression();
  RegularExpression(const RegularExpression&) = delete;
  RegularExpression& operator=(const RegularExpression&) = delete;

  // Why it cannot be used; empty when it can.
  [[nodiscard]] std::string compile(const std::string& pattern, bool any_case);
  [[nodiscard]] bool found_in(const std::string& text) const;

 private:
  regex_t compiled_{};
  bool usable_ = false;
};

}  // namespace understudy::replayer
