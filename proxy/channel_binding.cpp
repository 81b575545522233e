#include "proxy/channel_binding.h"

#include <algorithm>

#include "formats/wire/message_types.h"

namespace understudy::proxy {
namespace {

constexpr std::string_view kPlus{"SCRAM-SHA-256-PLUS\0", 19};
constexpr std::size_t kNamesAt = 9;  // type, length, code

void store_be32(Byte* at, std::uint32_t value) {
  for (int i = 3; i >= 0; --i, value >>= 8) at[i] = static_cast<Byte>(value);
}

}  // namespace

std::size_t take_out_channel_binding(std::span<Byte> message) {
  if (message.size() < kNamesAt || static_cast<char>(message[0]) != wire::backend::kAuthentication ||
      load_be32(message.data() + 5) != static_cast<std::uint32_t>(wire::AuthenticationCode::kSasl)) {
    return message.size();
  }
  const auto names = message.subspan(kNamesAt);
  const std::size_t at = as_text(names).find(kPlus);
  if (at == std::string_view::npos) return message.size();
  std::copy(names.begin() + static_cast<std::ptrdiff_t>(at + kPlus.size()), names.end(),
            names.begin() + static_cast<std::ptrdiff_t>(at));
  const std::size_t left = message.size() - kPlus.size();
  store_be32(message.data() + 1, static_cast<std::uint32_t>(left - 1));
  return left;
}

bool believes_server_cannot_bind(ByteView payload) {
  // mechanism NUL, length of the response, response: "y,,n=...". Only that mechanism has such a first byte.
  constexpr std::string_view kName{"SCRAM-SHA-256\0", 14};
  constexpr std::size_t kFlagAt = kName.size() + 4;
  return as_text(payload).starts_with(kName) && payload.size() > kFlagAt && payload[kFlagAt] == 'y';
}

}  // namespace understudy::proxy
