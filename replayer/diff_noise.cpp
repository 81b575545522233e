#include "replayer/diff_noise.h"

#include <charconv>
#include <numeric>

namespace understudy::replayer {
namespace {

struct Name {
  std::string_view words;
  std::string_view key;
};

constexpr std::array<Name, kNoiseRules> kNames = {{
    {"cancel keys", "cancel_keys"},
    {"process ids", "process_ids"},
    {"server versions", "server_versions"},
    {"settings only one server reports", "unreported_settings"},
    {"mapped users", "mapped_users"},
    {"table OIDs", "table_oids"},
    {"OIDs of user-defined types", "type_oids"},
    {"error texts", "error_texts"},
}};

// "15.18 (Debian ...)" -> "150018"; "9.6.24" -> "90624"; "18beta1" -> "180000".
std::string version_number_of(const std::string& version) {
  int parts[3] = {0, 0, 0};
  const char* at = version.data();
  const char* const end = at + version.size();
  for (int& part : parts) {
    const auto [next, error] = std::from_chars(at, end, part);
    if (error != std::errc()) break;
    at = next;
    if (at == end || *at != '.') break;
    ++at;
  }
  return std::to_string(parts[0] >= 10 ? parts[0] * 10'000 + parts[1]
                                       : parts[0] * 10'000 + parts[1] * 100 + parts[2]);
}

// The text with the first `what` taken out of it; the text itself when it is not there.
std::string without(std::string_view text, std::string_view what) {
  const std::size_t at = what.empty() ? std::string_view::npos : text.find(what);
  if (at == std::string_view::npos) return std::string(text);
  return std::string(text.substr(0, at)) + std::string(text.substr(at + what.size()));
}

}  // namespace

std::string_view noise_words(NoiseRule rule) { return kNames[static_cast<std::size_t>(rule)].words; }
std::string_view noise_key(NoiseRule rule) { return kNames[static_cast<std::size_t>(rule)].key; }

std::uint64_t NoiseCounts::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

ServerIdentity::ServerIdentity(std::uint32_t pid, const std::string& server_version)
    : process_id(pid == 0 ? "" : std::to_string(pid)), version(server_version) {
  if (!version.empty()) version_number = version_number_of(version);
}

bool CellNoise::absorbs(const wire::Value& a, const wire::Value& b, NoiseCounts& counts) const {
  if (a.is_null || b.is_null) return false;
  const std::string_view left = a.text();
  const std::string_view right = b.text();
  if (!a_.process_id.empty() && left == a_.process_id && right == b_.process_id) {
    counts.add(NoiseRule::kProcessId);
    return true;
  }
  if (a_.version.empty() || b_.version.empty() || a_.version == b_.version) return false;
  const bool number = left == a_.version_number && right == b_.version_number;
  const bool quoted = left.find(a_.version) != std::string_view::npos &&
                      right.find(b_.version) != std::string_view::npos &&
                      without(left, a_.version) == without(right, b_.version);
  // version() goes on to name the compiler and the build.
  const bool sentence = left.starts_with("PostgreSQL " + a_.version.substr(0, a_.version.find(' '))) &&
                        right.starts_with("PostgreSQL " + b_.version.substr(0, b_.version.find(' ')));
  if (!number && !quoted && !sentence) return false;
  counts.add(NoiseRule::kServerVersion);
  return true;
}

}  // namespace understudy::replayer
