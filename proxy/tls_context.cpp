#include "proxy/tls_context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <stdexcept>

namespace understudy::proxy {
namespace {

constexpr unsigned char kAlpn[] = "\x0apostgresql";
constexpr unsigned kAlpnLength = sizeof kAlpn - 1;
// Ciphertext taken by one recv(): what fits into a worker's scratch buffer, so that nothing stays behind.
constexpr std::size_t kReadAhead = std::size_t{64} << 10;

[[noreturn]] void fail(std::string_view key, const std::string& file) {
  const unsigned long code = ERR_peek_error();  // the first is the cause
  std::string reason = "cannot be used";
  if (ERR_SYSTEM_ERROR(code)) {
    reason = std::generic_category().message(ERR_GET_REASON(code));
  } else if (const char* words = ERR_reason_error_string(code)) {
    reason = words;
  }
  throw std::runtime_error(std::string(key) + ": " + file + ": " + reason);
}

[[noreturn]] void missing(const char* what) { throw std::runtime_error(what); }

// A key file with a password would make OpenSSL ask for it at the terminal. `asked`: a bool.
int no_password(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
  if (asked != nullptr) *static_cast<bool*>(asked) = true;
  return -1;
}

SslContext make_context(const SSL_METHOD* method) {
  ERR_clear_error();
  SslContext context(SSL_CTX_new(method));
  if (!context) throw std::runtime_error("OpenSSL makes no TLS context");
  SSL_CTX* const raw = context.get();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  // Nothing is resumed (libpq does not), and a stream that ends without a farewell is judged by PostgreSQL's
  // own protocol, which has one.
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_options(
      raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // What could not be written is offered again from the backlog's memory. Idle sessions hold no buffers.
  SSL_CTX_set_mode(
      raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(raw, 1);
  SSL_CTX_set_default_read_buffer_len(raw, kReadAhead);
  SSL_CTX_set_default_passwd_cb(raw, no_password);
  return context;
}

// The certificate's chain and its key; `side` is "client" or "server".
void use_certificate(SSL_CTX* context, const std::string& side, const std::string& certificate_file,
                     const std::string& key_file) {
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
    fail(side + "_tls_cert_file", certificate_file);
  }
  ERR_clear_error();
  bool password_wanted = false;
  SSL_CTX_set_default_passwd_cb_userdata(context, &password_wanted);
  const int loaded = SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  if (password_wanted) {
    throw std::runtime_error(side + "_tls_key_file: " + key_file + ": is protected by a password");
  }
  if (loaded != 1) fail(side + "_tls_key_file", key_file);
  ERR_clear_error();
  if (SSL_CTX_check_private_key(context) != 1) fail(side + "_tls_key_file", key_file);
}

void trust(SSL_CTX* context, std::string_view key, const std::string& ca_file) {
  ERR_clear_error();
  const int done = ca_file == kSystemCertificates
                       ? SSL_CTX_set_default_verify_paths(context)
                       : SSL_CTX_load_verify_locations(context, ca_file.c_str(), nullptr);
  if (done != 1) fail(key, ca_file);
}

// A client that names its protocols must name ours, else it took us for something else.
int choose_protocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* length,
                    const unsigned char* offered, unsigned offered_length, void* /*data*/) {
  for (unsigned at = 0; at < offered_length; at += offered[at] + 1U) {
    const unsigned size = offered[at] + 1U;
    if (size == kAlpnLength && at + size <= offered_length &&
        std::equal(kAlpn, kAlpn + kAlpnLength, offered + at)) {
      *chosen = offered + at + 1;
      *length = offered[at];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool is_number(const std::string& host) {
  in6_addr scratch{};
  return inet_pton(AF_INET, host.c_str(), &scratch) == 1 || inet_pton(AF_INET6, host.c_str(), &scratch) == 1;
}

// The certificate must be this host's.
void expect_host(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* const rules = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (is_number(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(rules, host.c_str(), host.size());
  }
}

}  // namespace

void SslContextDeleter::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

ClientTls::ClientTls(const TlsSettings::Clients& settings)
    : mode_(settings.mode), name_(settings.name), context_(make_context(TLS_server_method())) {
  if (settings.certificate_file.empty() || settings.key_file.empty()) {
    missing("TLS to clients needs both client_tls_cert_file and client_tls_key_file");
  }
  if (mode_ >= ClientTlsMode::kVerifyCa && settings.ca_file.empty()) {
    missing("client_tls_sslmode = verify-ca and verify-full need client_tls_ca_file");
  }
  SSL_CTX* const context = context_.get();
  if (!settings.version_12) SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  if (!settings.version_13) SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
  use_certificate(context, "client", settings.certificate_file, settings.key_file);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  if (settings.ca_file.empty()) return;
  trust(context, "client_tls_ca_file", settings.ca_file);
  if (settings.ca_file != kSystemCertificates) {
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(settings.ca_file.c_str()));
  }
  const bool demanded = mode_ >= ClientTlsMode::kVerifyCa;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (demanded ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
}

std::unique_ptr<TlsConnection> ClientTls::accept(std::unique_ptr<Connection> socket, bool direct) const {
  SslHandle ssl(SSL_new(context_.get()));
  if (!ssl) return nullptr;
  SSL_set_accept_state(ssl.get());
  return std::make_unique<TlsConnection>(std::move(socket), std::move(ssl), direct);
}

ServerTls::ServerTls(const TlsSettings::Servers& settings, Protocol protocol)
    : mode_(settings.mode), host_(settings.host), context_(make_context(TLS_client_method())) {
  const bool postgres = protocol == Protocol::kPostgres;
  const std::string side = postgres ? "server" : "patroni";
  if (settings.certificate_file.empty() != settings.key_file.empty()) {
    missing((side + "_tls_cert_file and " + side + "_tls_key_file are given both or not at all").c_str());
  }
  if (mode_ >= ServerTlsMode::kVerifyCa && settings.ca_file.empty()) {
    missing("server_tls_sslmode = verify-ca and verify-full need server_tls_ca_file");
  }
  SSL_CTX* const context = context_.get();
  if (postgres) SSL_CTX_set_alpn_protos(context, kAlpn, kAlpnLength);
  if (!settings.certificate_file.empty()) {
    use_certificate(context, side, settings.certificate_file, settings.key_file);
  }
  if (settings.ca_file.empty()) return;
  trust(context, side + "_tls_ca_file", settings.ca_file);
  if (mode_ >= ServerTlsMode::kRequire) SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
}

std::unique_ptr<TlsConnection> ServerTls::connect(std::unique_ptr<Connection> socket,
                                                  const std::string& host) const {
  SslHandle ssl(SSL_new(context_.get()));
  if (!ssl) return nullptr;
  const std::string& expected = host_.empty() ? host : host_;
  SSL_set_connect_state(ssl.get());
  if (!is_number(expected)) SSL_set_tlsext_host_name(ssl.get(), expected.c_str());
  if (mode_ == ServerTlsMode::kVerifyFull) expect_host(ssl.get(), expected);
  return std::make_unique<TlsConnection>(std::move(socket), std::move(ssl), false);
}

TlsContexts load_tls(const TlsSettings& settings) {
  TlsContexts contexts;
  TlsSettings::Clients clients = settings.clients;
  if (clients.mode == ClientTlsMode::kUnset) {
    const bool given = !clients.certificate_file.empty() || !clients.key_file.empty();
    clients.mode = given ? ClientTlsMode::kAllow : ClientTlsMode::kDisable;
  }
  if (clients.mode != ClientTlsMode::kDisable) contexts.clients = std::make_shared<ClientTls>(clients);
  if (settings.servers.mode != ServerTlsMode::kDisable) {
    contexts.servers = std::make_shared<ServerTls>(settings.servers);
  }
  return contexts;
}

}  // namespace understudy::proxy
