// What the configuration says of TLS, on both sides: values only. pgbouncer's words for the keys, libpq's for
// the modes. tls_context.h makes of them what OpenSSL needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace understudy::proxy {

enum class ClientTlsMode : std::uint8_t {
  kUnset,      // allow when there is a certificate, else disable
  kDisable,    // an SSLRequest is answered "no"
  kAllow,      // the client chooses
  kRequire,    // who comes over TCP without TLS is refused; a certificate is verified if one is shown
  kVerifyCa,   // and must show a certificate that client_tls_ca_file vouches for
  kVerifyFull  // and it must name the user, by what ClientCertName says
};

// What of a client's certificate must be the user's name: pg_hba.conf's clientname.
enum class ClientCertName : std::uint8_t {
  kCommonName,
  kDistinguishedName  // the whole subject, as RFC 2253 writes it
};

enum class ServerTlsMode : std::uint8_t {
  kDisable,
  kPrefer,     // plain when the server has no TLS or the handshake fails; anyone between can bring that about
  kRequire,    // as libpq: the certificate is verified if there is a CA file
  kVerifyCa,   // a certificate that server_tls_ca_file vouches for
  kVerifyFull  // and that is the host's we connect to
};

struct TlsSettings {
  struct Clients {
    ClientTlsMode mode = ClientTlsMode::kUnset;
    ClientCertName name = ClientCertName::kCommonName;
    std::string certificate_file;
    std::string key_file;
    std::string ca_file;
    bool version_12 = true;
    bool version_13 = true;
    bool operator==(const Clients&) const = default;
  };
  struct Servers {
    ServerTlsMode mode = ServerTlsMode::kDisable;
    std::string ca_file;  // kSystemCertificates: those of the system
    std::string certificate_file;
    std::string key_file;
    std::string host;  // the name to expect, when it is not that of the backend's address
    bool operator==(const Servers&) const = default;
  };
  Clients clients;
  Servers servers;
  bool operator==(const TlsSettings&) const = default;
};

inline constexpr std::string_view kSystemCertificates = "system";

// Each sets what `value` says and returns an empty string, or returns what is wrong.
[[nodiscard]] std::string set_client_tls_mode(ClientTlsMode& mode, std::string_view value);
[[nodiscard]] std::string set_client_cert_name(ClientCertName& name, std::string_view value);
[[nodiscard]] std::string set_server_tls_mode(ServerTlsMode& mode, std::string_view value);
// "secure" (1.2 and 1.3), or a list of tlsv1.2 and tlsv1.3.
[[nodiscard]] std::string set_tls_versions(TlsSettings::Clients& clients, std::string_view value);

}  // namespace understudy::proxy
