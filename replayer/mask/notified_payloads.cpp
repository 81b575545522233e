#include "replayer/mask/notified_payloads.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{4} << 20;

// Neither has a NUL in it.
std::string key_of(std::string_view channel, std::string_view payload) {
  return std::string(channel) + '\0' + std::string(payload);
}

}  // namespace

void NotifiedPayloads::say(std::string_view channel, std::string_view payload, std::string_view masked) {
  if (channel.empty() || payload.empty() || payload.size() != masked.size()) return;
  if (bytes_ > kMaxBytes) {
    masked_.clear();
    bytes_ = 0;
  }
  const auto [known, added] = masked_.emplace(key_of(channel, payload), masked);
  if (added) {
    bytes_ += channel.size() + 2 * payload.size() + 100;
  } else if (known->second == payload) {
    known->second = masked;
  }
}

const std::string* NotifiedPayloads::find(std::string_view channel, std::string_view payload) const {
  const auto found = masked_.find(key_of(channel, payload));
  return found == masked_.end() ? nullptr : &found->second;
}

}  // namespace understudy::replayer
