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
    {"mapped users and databases", "mapped_names"},
    {"tables' OIDs", "table_oids"},
    {"OIDs of user-defined types", "type_oids"},
    {"error texts", "error_texts"},
    {"logins refused in production", "refused_logins"},
}};

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

// "15.18 (Debian ...)" -> "150018"; "9.6.24" -> "90624"; "18beta1" -> "180000".
std::string version_number(const std::string& server_version) {
  if (server_version.empty()) return {};
  unsigned parts[3] = {0, 0, 0};
  const char* at = server_version.data();
  const char* const end = at + server_version.size();
  for (unsigned& part : parts) {
    const auto [next, error] = std::from_chars(at, end, part);
    if (part > 1000) part = 0;  // no version of PostgreSQL's
    if (error != std::errc()) break;
    at = next;
    if (at == end || *at != '.') break;
    ++at;
  }
  return std::to_string(parts[0] >= 10 ? parts[0] * 10'000 + parts[1]
                                       : parts[0] * 10'000 + parts[1] * 100 + parts[2]);
}

CellNoise::Side::Side(SessionIdentity who) : identity(std::move(who)) {
  if (identity.process_id != 0) process_id = std::to_string(identity.process_id);
  const std::string& version = identity.server_version;
  version_number = replayer::version_number(version);
  if (!version.empty()) sentence = "PostgreSQL " + version.substr(0, version.find(' ')) + " ";
}

CellNoise::CellNoise(SessionIdentity a, SessionIdentity b) : a_(std::move(a)), b_(std::move(b)) {}

bool CellNoise::absorbs(const wire::Value& a, const wire::Value& b, NoiseCounts& counts) const {
  if (a.is_null || b.is_null) return false;
  if (process_ids(a, b)) {
    counts.add(NoiseRule::kProcessId);
  } else if (versions(a.text(), b.text())) {
    counts.add(NoiseRule::kServerVersion);
  } else if (names(a.text(), b.text())) {
    counts.add(NoiseRule::kMappedName);
  } else {
    return false;
  }
  return true;
}

// As text, or as an integer in binary format.
bool CellNoise::process_ids(const wire::Value& a, const wire::Value& b) const {
  if (a_.process_id.empty() || b_.process_id.empty()) return false;
  if (a.text() == a_.process_id && b.text() == b_.process_id) return true;
  return a.bytes.size() == 4 && b.bytes.size() == 4 && load_be32(a.bytes.data()) == a_.identity.process_id &&
         load_be32(b.bytes.data()) == b_.identity.process_id;
}

bool CellNoise::versions(std::string_view a, std::string_view b) const {
  const std::string& version_a = a_.identity.server_version;
  const std::string& version_b = b_.identity.server_version;
  if (version_a.empty() || version_b.empty()) return false;
  // version() goes on to name the machine, the compiler and the build.
  if (a.starts_with(a_.sentence) && b.starts_with(b_.sentence)) return true;
  if (version_a == version_b) return false;
  if (a == a_.version_number && b == b_.version_number) return true;
  return a.find(version_a) != std::string_view::npos && b.find(version_b) != std::string_view::npos &&
         without(a, version_a) == without(b, version_b);
}

bool CellNoise::names(std::string_view a, std::string_view b) const {
  const auto named = [&](const std::string& in_a, const std::string& in_b) {
    return !in_a.empty() && !in_b.empty() && a == in_a && b == in_b;
  };
  return named(a_.identity.user, b_.identity.user) || named(a_.identity.database, b_.identity.database);
}

}  // namespace understudy::replayer
