// What the configuration says of the admin port. Values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/address.h"

namespace understudy::proxy {

struct AdminSettings {
  std::optional<Address> listen;  // nothing: there is no admin port
  std::string token;              // secret; empty: none is asked for
};

// Return an empty string, or what is wrong with `value`; a token is not repeated.
[[nodiscard]] std::string set_admin_listen(AdminSettings& settings, std::string_view value);
[[nodiscard]] std::string set_admin_token(AdminSettings& settings, std::string_view value);

}  // namespace understudy::proxy
