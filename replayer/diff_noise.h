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
  kProcessId,          // a cell that holds the process id of the session's own backend
  kServerVersion,      // server_version, and cells that quote it
  kUnreportedSetting,  // a setting that only one of the servers reports at login (majors differ in which)
  kMappedName,         // a cell or setting with the user or database that each session was opened with
  kTableOid,      // a column's table, known by an OID that each server makes for itself, and its place in it
  kTypeOid,       // a column's or parameter's type made by a user (OID of 16384 or more)
  kErrorText,     // another message of the same severity and SQLSTATE (place in the source included)
  kRefusedLogin,  // a password that production refused, where the replay came with one of its own
};
inline constexpr std::size_t kNoiseRules = 9;

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

// What a session and its server are called, in values that name them.
struct SessionIdentity {
  std::uint32_t process_id = 0;  // 0: not known
  std::string server_version;    // "15.18 (Debian 15.18-0+deb12u1)", as server_version says; may be empty
  std::string user;
  std::string database;
};
// "150018", as server_version_num has it; empty for no version.
[[nodiscard]] std::string version_number(const std::string& server_version);

// Whether two cells that differ do so by nature, and by which rule.
class CellNoise {
 public:
  CellNoise() = default;
  CellNoise(SessionIdentity a, SessionIdentity b);
  // Adds to `counts` when it is noise.
  [[nodiscard]] bool absorbs(const wire::Value& a, const wire::Value& b, NoiseCounts& counts) const;

 private:
  [[nodiscard]] bool process_ids(const wire::Value& a, const wire::Value& b) const;
  [[nodiscard]] bool versions(std::string_view a, std::string_view b) const;
  [[nodiscard]] bool names(std::string_view a, std::string_view b) const;

  // One session's side, and what of it is looked for in cells.
  struct Side {
    SessionIdentity identity;
    std::string process_id;      // decimal
    std::string version_number;  // "150018"
    std::string sentence;        // how version() begins: "PostgreSQL 15.18 "
    Side() = default;
    explicit Side(SessionIdentity who);
  };
  Side a_;
  Side b_;
};

}  // namespace understudy::replayer
