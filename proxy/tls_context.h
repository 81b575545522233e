// Certificates, keys and rules as OpenSSL holds them, made from TlsSettings: one context for clients that
// come, one for servers we go to. Immutable: a reload makes new ones, and connections keep those they began
// with.
//
// Threads: load_tls on the main thread; the contexts and CurrentTls from any.
#pragma once

#include <memory>
#include <mutex>

#include "proxy/tls_connection.h"
#include "proxy/tls_settings.h"

struct ssl_ctx_st;

namespace understudy::proxy {

struct SslContextDeleter {
  void operator()(ssl_ctx_st* context) const;
};
using SslContext = std::unique_ptr<ssl_ctx_st, SslContextDeleter>;

// Accepts clients.
class ClientTls {
 public:
  // Throws std::runtime_error naming the key and the file.
  explicit ClientTls(const TlsSettings::Clients& settings);
  // `direct`: the client began with TLS and no SSLRequest, so that ALPN must tell what it speaks. Null when
  // there is no memory.
  [[nodiscard]] std::unique_ptr<TlsConnection> accept(std::unique_ptr<Connection> socket, bool direct) const;

  [[nodiscard]] bool required() const { return mode_ >= ClientTlsMode::kRequire; }
  // A certificate must be shown that names the user.
  [[nodiscard]] bool names_users() const { return mode_ == ClientTlsMode::kVerifyFull; }
  // By its common name, else by the whole subject.
  [[nodiscard]] bool by_common_name() const { return name_ == ClientCertName::kCommonName; }

 private:
  ClientTlsMode mode_;
  ClientCertName name_;
  SslContext context_;
};

// Goes to servers.
class ServerTls {
 public:
  // What is spoken inside; keys in errors are named accordingly (server_tls_..., patroni_tls_...).
  enum class Protocol : std::uint8_t { kPostgres, kHttps };

  // Throws std::runtime_error naming the key and the file.
  explicit ServerTls(const TlsSettings::Servers& settings, Protocol protocol = Protocol::kPostgres);
  // `host`: name or number of the server, as configured. Null when there is no memory.
  [[nodiscard]] std::unique_ptr<TlsConnection> connect(std::unique_ptr<Connection> socket,
                                                       const std::string& host) const;

  // Without TLS rather than not at all.
  [[nodiscard]] bool optional() const { return mode_ == ServerTlsMode::kPrefer; }

 private:
  ServerTlsMode mode_;
  std::string host_;
  SslContext context_;
};

// Null: no TLS on that side.
struct TlsContexts {
  std::shared_ptr<const ClientTls> clients;
  std::shared_ptr<const ServerTls> servers;
};
// Reads every file the settings name. Throws std::runtime_error naming the key, the file and the reason.
[[nodiscard]] TlsContexts load_tls(const TlsSettings& settings);

// The contexts that new connections use.
class CurrentTls {
 public:
  [[nodiscard]] TlsContexts get() const {
    const std::lock_guard lock(mutex_);
    return contexts_;
  }
  void set(TlsContexts contexts) {
    const std::lock_guard lock(mutex_);
    std::swap(contexts_, contexts);  // the old ones die unlocked, if nobody uses them
  }

 private:
  mutable std::mutex mutex_;
  TlsContexts contexts_;
};

}  // namespace understudy::proxy
