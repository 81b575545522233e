#include "proxy/topology.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace understudy::proxy {
namespace {

constexpr std::size_t kHalfDigits = 8;

std::optional<std::uint32_t> parse_half(std::string_view digits) {
  std::uint32_t value = 0;
  if (digits.empty() || digits.size() > kHalfDigits) return std::nullopt;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

bool same_address(const SocketAddress& one, const SocketAddress& other) {
  return one.length == other.length && std::memcmp(&one.storage, &other.storage, one.length) == 0;
}

// All but the positions, which move with every check and are nobody's news.
bool same_standing(const BackendState& one, const BackendState& other) {
  return one.address == other.address && one.removed == other.removed && one.up == other.up &&
         one.role == other.role && one.fenced == other.fenced && one.timeline == other.timeline &&
         one.history == other.history && one.error == other.error &&
         std::ranges::equal(one.addresses, other.addresses, same_address);
}

bool same_standing(const Topology& one, const Topology& other) {
  const auto same = [](const BackendState& a, const BackendState& b) { return same_standing(a, b); };
  return one.primary == other.primary && one.patroni == other.patroni &&
         std::ranges::equal(one.backends, other.backends, same);
}

std::uint32_t primary_timeline(const Topology& topology) {
  return topology.primary ? topology.backends[*topology.primary].timeline : 0;
}

std::string describe_backend(const BackendState& backend) {
  std::string text = backend.address.to_string();
  if (!backend.up) {
    return text + (backend.error.empty() ? " not heard of yet" : " down (" + backend.error + ")");
  }
  if (backend.fenced) text += " fenced, says it is";
  text += " ";
  text += to_string(backend.role);
  text += " on timeline " + std::to_string(backend.timeline);
  if (backend.role == BackendRole::kReplica) {
    text += ", " + std::to_string(backend.lag_bytes) + " bytes behind";
  }
  return text;
}

}  // namespace

std::optional<Lsn> parse_lsn(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto high = parse_half(text.substr(0, slash));
  const auto low = parse_half(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return Lsn{std::uint64_t{*high} << 32 | *low};
}

std::string to_string(Lsn lsn) {
  char text[2 * kHalfDigits + 2];
  std::snprintf(text, sizeof text, "%X/%X", static_cast<std::uint32_t>(lsn.value >> 32),
                static_cast<std::uint32_t>(lsn.value));
  return text;
}

std::string_view to_string(BackendRole role) {
  switch (role) {
    case BackendRole::kPrimary:
      return "primary";
    case BackendRole::kReplica:
      return "replica";
    case BackendRole::kUnknown:
      break;
  }
  return "unknown";
}

bool BackendState::operator==(const BackendState& other) const {
  return same_standing(*this, other) && lsn == other.lsn && lag_bytes == other.lag_bytes && lag == other.lag;
}

const BackendState* Topology::find(const Address& address) const {
  const auto found = std::ranges::find(backends, address, &BackendState::address);
  return found == backends.end() ? nullptr : &*found;
}

std::string Topology::describe() const {
  std::string text;
  for (const BackendState& backend : backends) {
    if (backend.removed) continue;
    if (!text.empty()) text += "; ";
    text += describe_backend(backend);
  }
  if (patroni == PatroniState::kNotAsked || patroni == PatroniState::kAnswers) return text;
  if (!text.empty()) text += "; ";
  return text + "Patroni " +
         (patroni == PatroniState::kAwaited ? "not heard of yet" : "silent: " + patroni_error);
}

void CurrentTopology::set(Topology next) {
  bool news = false;
  {
    const std::lock_guard lock(mutex_);
    const Topology& previous = *snapshot_;
    const bool moved =
        next.primary != previous.primary || primary_timeline(next) != primary_timeline(previous);
    next.generation = previous.generation + (moved ? 1 : 0);
    news = !same_standing(next, previous);
    snapshot_ = std::make_shared<const Topology>(std::move(next));
  }
  if (news && changed_) changed_();
}

}  // namespace understudy::proxy
