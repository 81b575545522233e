#include "proxy/tls_settings.h"

#include <utility>

namespace understudy::proxy {
namespace {

template <typename Mode, std::size_t N>
std::string choose(Mode& mode, std::string_view value, const std::pair<std::string_view, Mode> (&names)[N]) {
  std::string known;
  for (const auto& [name, meaning] : names) {
    if (name == value) {
      mode = meaning;
      return {};
    }
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  return "\"" + std::string(value) + "\" is not one of " + known;
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

std::string set_client_tls_mode(ClientTlsMode& mode, std::string_view value) {
  using M = ClientTlsMode;
  if (value.empty()) {
    mode = M::kUnset;
    return {};
  }
  // "prefer" is what pgbouncer calls allow, too: on this side it is the client who prefers.
  return choose<M>(mode, value,
                   {{"disable", M::kDisable},
                    {"allow", M::kAllow},
                    {"prefer", M::kAllow},
                    {"require", M::kRequire},
                    {"verify-ca", M::kVerifyCa},
                    {"verify-full", M::kVerifyFull}});
}

std::string set_client_cert_name(ClientCertName& name, std::string_view value) {
  using N = ClientCertName;
  return choose<N>(name, value, {{"CN", N::kCommonName}, {"DN", N::kDistinguishedName}});
}

std::string set_server_tls_mode(ServerTlsMode& mode, std::string_view value) {
  using M = ServerTlsMode;
  // libpq's allow begins without TLS and comes back with it if the server refuses; here it is prefer.
  return choose<M>(mode, value,
                   {{"disable", M::kDisable},
                    {"allow", M::kPrefer},
                    {"prefer", M::kPrefer},
                    {"require", M::kRequire},
                    {"verify-ca", M::kVerifyCa},
                    {"verify-full", M::kVerifyFull}});
}

std::string set_tls_versions(TlsSettings::Clients& clients, std::string_view value) {
  bool version_12 = value == "secure";
  bool version_13 = value == "secure";
  for (bool more = value != "secure"; more;) {
    const std::size_t comma = value.find(',');
    const std::string_view one = without_blanks(value.substr(0, comma));
    if (one != "tlsv1.2" && one != "tlsv1.3") {
      return "\"" + std::string(one) + "\" is not tlsv1.2 or tlsv1.3 (earlier ones are not offered)";
    }
    (one == "tlsv1.2" ? version_12 : version_13) = true;
    more = comma != std::string_view::npos;
    if (more) value.remove_prefix(comma + 1);
  }
  clients.version_12 = version_12;
  clients.version_13 = version_13;
  return {};
}

}  // namespace understudy::proxy
