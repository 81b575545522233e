// How a client proves who it is, and who judges that. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace understudy::proxy {

enum class AuthenticationMethod : std::uint8_t { kTrust, kPassword, kMd5, kScram, kReject };

// "trust", "password" ("plain"), "md5", "scram-sha-256", "reject". None for any other word.
[[nodiscard]] std::optional<AuthenticationMethod> authentication_method_named(std::string_view word);

// Who judges: the server (its messages are relayed), or the proxy by a file, or nobody.
enum class AuthenticationSource : std::uint8_t { kRelay, kFile, kTrust };

}  // namespace understudy::proxy
