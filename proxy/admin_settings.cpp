#include "proxy/admin_settings.h"

#include <algorithm>
#include <stdexcept>

namespace understudy::proxy {
namespace {

constexpr std::uint16_t kDefaultPort = 6433;

}  // namespace

std::string set_admin_listen(AdminSettings& settings, std::string_view value) {
  settings.listen.reset();
  if (value.empty()) return {};
  try {
    Address address = Address::parse(value, kDefaultPort);
    if (address.is_unix()) return "expected HOST:PORT or :PORT: the admin port is not a Unix socket";
    if (address.host.empty()) address.host = "127.0.0.1";  // every interface must be asked for: 0.0.0.0
    settings.listen = std::move(address);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

// It travels in a header.
std::string set_admin_token(AdminSettings& settings, std::string_view value) {
  if (!std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c < '\x7f'; })) {
    return "expected visible ASCII characters without blanks";
  }
  settings.token = value;
  return {};
}

}  // namespace understudy::proxy
