// What differs between two runs by nature, and is therefore no difference. Every rule has a name and counts
// what it absorbed; nothing is left out silently. One thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "formats/wire/lists.h"

namespace understudy::replayer {

enum class NoiseRule : std::uint8_t {
  kCancelKey,          // BackendKeyData of a login
  kProcessId,          // a cell that holds the session's own backend's process id
  kServerVersion,      // server_version, and cells that quote it
  kUnreportedSetting,  // a setting that only one of the servers reports at login (majors differ in which)
  kMappedUser,         // session_authorization, where each server names the user its session logged in as
  kTableOid,           // a column's table, known by an OID that each server makes for itself
  kTypeOid,            // a column's or parameter's type made by a user (OID of 16384 or more)
  kErrorText,          // another message of the same severity and SQLSTATE (place in the source included)
};
inline constexpr std::size_t kNoiseRules = 8;

// "cancel keys", "process ids", ...; and a key for JSON: "cancel_keys".
[[nodiscard]] std::string_view noise_words(NoiseRule rule);
[[nodiscard]] std::string_view noise_key(NoiseRule rule);

class NoiseCounts {
 public:
  void add(NoiseRule rule, std::uint64_t count = 1) { counts_[static_cast<std::size_t>(rule)] += count; }
  [[nodiscard]] std::uint64_t of(NoiseRule rule) const { return counts_[static_cast<std::size_t>(rule)]; }
  [[nodiscard]] std::uint64_t total() const;

 private:
  std::array<std::uint64_t, kNoiseRules> counts_{};
};

// What a session's own server is called in the values it returns.
struct ServerIdentity {
  std::string process_id;      // decimal
  std::string version;         // "15.18 (Debian 15.18-0+deb12u1)", as server_version says
  std::string version_number;  // "150018", as server_version_num would
  ServerIdentity() = default;
  ServerIdentity(std::uint32_t pid, const std::string& server_version);
};

// Whether two cells that differ do so by nature, and by which rule.
class CellNoise {
 public:
  CellNoise() = default;
  CellNoise(ServerIdentity a, ServerIdentity b) : a_(std::move(a)), b_(std::move(b)) {}
  // Adds to `counts` when it is noise.
  [[nodiscard]] bool absorbs(const wire::Value& a, const wire::Value& b, NoiseCounts& counts) const;

 private:
  ServerIdentity a_;
  ServerIdentity b_;
};

}  // namespace understudy::replayer
