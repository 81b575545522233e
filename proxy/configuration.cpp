#include "proxy/configuration.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <thread>

#include "formats/command.h"

namespace understudy::proxy {
namespace {

std::string not_a(std::string_view what, std::string_view value) {
  return "\"" + std::string(value) + "\" is not " + std::string(what);
}

template <typename Number>
std::string set_number(Number& out, std::string_view value, unsigned base = 10, Number least = 0) {
  Number number = 0;
  const char* end = value.data() + value.size();
  const auto [stopped, error] = std::from_chars(value.data(), end, number, static_cast<int>(base));
  if (value.empty() || error != std::errc{} || stopped != end || number < least) {
    return not_a(base == 8 ? "an octal number" : "a whole number in range", value);
  }
  out = number;
  return {};
}

// More threads than any machine has processors would only take descriptors away from clients.
std::string set_workers(unsigned& out, std::string_view value) {
  constexpr unsigned kMost = 1024;
  unsigned number = 0;
  std::string wrong = set_number(number, value);
  if (wrong.empty() && number > kMost) wrong = not_a("a number of up to " + std::to_string(kMost), value);
  if (wrong.empty()) out = number;
  return wrong;
}

std::string set_duration(TimeNs& out, std::string_view value) {
  const auto duration = parse_duration(value);
  if (!duration) return not_a("a duration such as 500ms, 30s or 5min", value);
  out = *duration;
  return {};
}

std::string set_size(std::size_t& out, std::string_view value) {
  const auto size = parse_size(value);
  if (!size) return not_a("a size such as 64KiB, 1MiB or 4MiB", value);
  out = static_cast<std::size_t>(*size);
  return {};
}

std::string set_flag(bool& out, std::string_view value) {
  const bool on = value == "on" || value == "true" || value == "yes" || value == "1";
  if (!on && value != "off" && value != "false" && value != "no" && value != "0")
    return not_a("on or off", value);
  out = on;
  return {};
}

std::string set_text(std::string& out, std::string_view value) {
  out = value;
  return {};
}

std::string set_level(LogLevel& out, std::string_view value) {
  constexpr std::string_view kNames[] = {"error", "warning", "info", "debug"};
  const auto* found = std::find(std::begin(kNames), std::end(kNames), value);
  if (found == std::end(kNames)) return not_a("one of error, warning, info, debug", value);
  out = static_cast<LogLevel>(found - kNames);
  return {};
}

std::string set_addresses(std::vector<Address>& out, std::string_view value, std::uint16_t default_port) {
  std::vector<Address> addresses;
  try {
    while (!value.empty()) {
      const std::size_t comma = value.find(',');
      std::string_view one = value.substr(0, comma);
      while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
      while (!one.empty() && one.back() == ' ') one.remove_suffix(1);
      addresses.push_back(Address::parse(one, default_port));
      value = comma == std::string_view::npos ? std::string_view() : value.substr(comma + 1);
    }
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  if (addresses.empty()) return "no address given";
  for (auto one = addresses.begin(); one != addresses.end(); ++one) {
    if (std::find(addresses.begin(), one, *one) != one) return one->to_string() + " is given twice";
  }
  out = std::move(addresses);
  return {};
}

std::string set_auth(Configuration& configuration, std::string_view value) {
  constexpr std::string_view kNames[] = {"relay", "file", "trust", "query"};
  const auto* found = std::find(std::begin(kNames), std::end(kNames), value);
  if (found == std::end(kNames)) return not_a("one of relay, file, trust, query", value);
  configuration.auth = static_cast<AuthenticationSource>(found - kNames);
  return {};
}

std::string set_auth_type(Configuration& configuration, std::string_view value) {
  const auto method = authentication_method_named(value);
  if (!method) return not_a("one of scram-sha-256, md5, plain, trust, reject", value);
  configuration.auth_type = *method;
  return {};
}

std::string set_mode(Configuration& configuration, std::string_view value) {
  constexpr std::string_view kNames[] = {"primary", "split", "replica", "shadow"};
  const auto* found = std::find(std::begin(kNames), std::end(kNames), value);
  if (found == std::end(kNames)) return not_a("one of primary, split, replica, shadow", value);
  configuration.mode = static_cast<Mode>(found - kNames);
  return {};
}

// One of two words; the first is false.
std::string set_either(bool& out, std::string_view value, std::string_view no, std::string_view yes) {
  if (value != no && value != yes) return not_a(std::string(no) + " or " + std::string(yes), value);
  out = value == yes;
  return {};
}

using C = Configuration;
using V = std::string_view;

constexpr ConfigurationKey kKeys[] = {
    {"listen", "addresses, 127.0.0.1:6432",
     "where clients connect: HOST:PORT, :PORT (all interfaces), [IPV6]:PORT, /SOCKET/DIRECTORY", false,
     [](C& c, V v) { return set_addresses(c.listen, v, 6432); }},
    {"backend", "addresses, 127.0.0.1:5432",
     "the PostgreSQL server to relay to; of several, the one that is primary, and on to the next when it "
     "dies",
     false, [](C& c, V v) { return set_addresses(c.backends, v, 5432); }},
    {"mode", "word, primary",
     "who answers: primary (the primary), split (replicas, what is safe to be read there), replica (replicas "
     "only: read-only service), shadow (the primary; reads also run on shadow_backend, and are compared)",
     false, set_mode},
    {"shadow_backend", "address, none", "in mode shadow, the server that is compared with the primary", false,
     [](C& c, V v) { return set_addresses(c.shadow, v, 5432); }},
    {"max_replica_lag", "duration, 10s", "a replica further behind gets no reads; 0: however far", true,
     [](C& c, V v) { return set_duration(c.limits.replica_lag.time, v); }},
    {"max_replica_lag_bytes", "bytes, 0", "the same in bytes of the log", true,
     [](C& c, V v) { return set_number(c.limits.replica_lag.bytes, v); }},
    {"split_consistency", "word, monotonic",
     "what a session must find at a replica: monotonic (all it wrote or saw), own-writes (what it wrote)",
     false, [](C& c, V v) { return set_either(c.own_writes_only, v, "monotonic", "own-writes"); }},
    {"split_functions", "word, pin",
     "after a function that is not PostgreSQL's own, DO or CALL, which may change settings unseen: pin (the "
     "session reads at the primary until DISCARD ALL) or trust",
     false, [](C& c, V v) { return set_either(c.trust_functions, v, "pin", "trust"); }},
    {"failover_timeout", "duration, 30s",
     "longest wait for a primary, and for an answer to what is run again", true,
     [](C& c, V v) { return set_duration(c.limits.failover_timeout, v); }},
    {"commit_guard", "on or off, off",
     "learn the id of writing transactions, so that the fate of a COMMIT cut off by a failover can be asked "
     "for",
     false, [](C& c, V v) { return set_flag(c.commit_guard, v); }},
    {"transaction_journal", "size, 1MiB",
     "of a transaction's requests, kept so that it can be run again on another server", false,
     [](C& c, V v) { return set_size(c.transaction_journal_bytes, v); }},
    {"health_user", "name, postgres", "who asks the backends for their role", false,
     [](C& c, V v) { return set_text(c.health.user, v); }},
    {"health_password", "text, none", "its password; also from PGPASSWORD", false,
     [](C& c, V v) { return set_text(c.health.password, v); }},
    {"health_database", "name, postgres", "and the database", false,
     [](C& c, V v) { return set_text(c.health.database, v); }},
    {"health_interval", "duration, 100ms", "between two checks of a backend", false,
     [](C& c, V v) { return set_duration(c.health.interval, v); }},
    {"health_connect_timeout", "duration, 1s", "for a health check's connection and login", false,
     [](C& c, V v) { return set_duration(c.health.connect_timeout, v); }},
    {"health_query_timeout", "duration, 1s", "for its answer", false,
     [](C& c, V v) { return set_duration(c.health.query_timeout, v); }},
    {"health_failures", "number, 3", "in a row, before a backend counts as down", false,
     [](C& c, V v) { return set_number(c.health.failures_before_down, v, 10, 1U); }},
    {"patroni", "addresses, none",
     "Patroni's REST API, which tells what backends there are and who leads: http(s)://HOST:PORT, several",
     false, [](C& c, V v) { return set_patroni_endpoints(c.patroni, v); }},
    {"patroni_interval", "duration, 1s", "between two questions to Patroni, while nothing happens", false,
     [](C& c, V v) { return set_duration(c.patroni.interval, v); }},
    {"patroni_timeout", "duration, 1s", "for one endpoint's answer; then the next is asked", false,
     [](C& c, V v) { return set_duration(c.patroni.timeout, v); }},
    {"patroni_tls_ca_file", "file", "who vouches for Patroni's certificate (PEM); else the system's", false,
     [](C& c, V v) { return set_text(c.patroni.ca_file, v); }},
    {"patroni_tls_cert_file", "file",
     "certificate shown to Patroni (PEM), for its restapi.verify_client = required", false,
     [](C& c, V v) { return set_text(c.patroni.certificate_file, v); }},
    {"patroni_tls_key_file", "file", "its private key (PEM)", false,
     [](C& c, V v) { return set_text(c.patroni.key_file, v); }},
    {"admin_listen", "address, none",
     "where the admin port listens (HTTP): HOST:PORT, or :PORT on 127.0.0.1; another machine's clients need "
     "admin_token",
     false, [](C& c, V v) { return set_admin_listen(c.admin, v); }},
    {"admin_token", "text, none",
     "what changes by the admin port must show, as a bearer token; also from UNDERSTUDY_ADMIN_TOKEN", false,
     [](C& c, V v) { return set_admin_token(c.admin, v); }},
    {"workers", "number, 0", "worker threads; 0: one for every two processors", false,
     [](C& c, V v) { return set_workers(c.workers, v); }},
    {"listen_backlog", "number, 512", "connections the kernel may hold before they are accepted", false,
     [](C& c, V v) { return set_number(c.listen_backlog, v, 10, 1U); }},
    {"unix_socket_mode", "octal, 0777", "permissions of the Unix sockets listened on", false,
     [](C& c, V v) { return set_number(c.unix_socket_mode, v, 8); }},
    {"max_client_conn", "number, 10000", "clients at once; one more is refused with SQLSTATE 53300", true,
     [](C& c, V v) { return set_number(c.limits.max_client_connections, v, 10, 1U); }},
    {"startup_packet_size", "bytes, 10000", "longest start-up packet accepted", true,
     [](C& c, V v) { return set_number(c.limits.startup_packet_bytes, v, 10, 8U); }},
    {"client_login_timeout", "duration, 60s", "from accept to the end of authentication; 0: never", true,
     [](C& c, V v) { return set_duration(c.limits.login_timeout, v); }},
    {"server_connect_timeout", "duration, 15s", "for the backend to accept a connection; 0: never", true,
     [](C& c, V v) { return set_duration(c.limits.connect_timeout, v); }},
    {"client_idle_timeout", "duration, 0", "a client silent between requests is closed after this; 0: never",
     true, [](C& c, V v) { return set_duration(c.limits.client_idle_timeout, v); }},
    {"drain_timeout", "duration, 0", "after SIGTERM, transactions still open are ended after this; 0: never",
     true, [](C& c, V v) { return set_duration(c.limits.drain_timeout, v); }},
    {"auth", "word, relay",
     "who judges clients: relay (their server), file (auth_file), query (auth_query), trust (nobody)", true,
     set_auth},
    {"auth_type", "word, scram-sha-256",
     "what clients are asked for: scram-sha-256, md5, plain, trust, reject", true, set_auth_type},
    {"auth_file", "path, none", "users and secrets, in pgbouncer's format", true,
     [](C& c, V v) {
       c.auth_file = v;
       return std::string();
     }},
    {"auth_hba_file", "path, none", "which client may come in how, in the manner of pg_hba.conf", true,
     [](C& c, V v) {
       c.auth_hba_file = v;
       return std::string();
     }},
    {"auth_user", "name, none", "who asks the database for users' secrets when auth = query", true,
     [](C& c, V v) { return set_text(c.auth_query.user, v); }},
    {"auth_dbname", "name, postgres", "and in which database", true,
     [](C& c, V v) { return set_text(c.auth_query.database, v); }},
    {"auth_query", "SQL", "and what: a row of name and secret, $1 is the user", true,
     [](C& c, V v) { return set_text(c.auth_query.sql, v); }},
    {"auth_query_cache", "duration, 30s", "how long what was found is believed; 0: asked at each login", true,
     [](C& c, V v) { return set_duration(c.auth_query.time_to_live, v); }},
    {"auth_trust_network", "on or off, off", "let trust be enough for clients of other machines too", true,
     [](C& c, V v) { return set_flag(c.auth_trust_network, v); }},
    {"auth_failures_allowed", "number, 10",
     "failed logins of one address and user in auth_failure_window that cost nothing; 0: no limit", true,
     [](C& c, V v) { return set_number(c.limits.guard.allowed, v); }},
    {"auth_failure_window", "duration, 1min", "in which so many are forgiven", true,
     [](C& c, V v) { return set_duration(c.limits.guard.window, v); }},
    {"auth_failure_delay", "duration, 10s", "the longest distance of two logins after more of them", true,
     [](C& c, V v) { return set_duration(c.limits.guard.longest, v); }},
    {"max_db_connections", "number, 0", "servers of one database; 0: no limit", true,
     [](C& c, V v) { return set_number(c.limits.pool.max_db_connections, v); }},
    {"max_user_connections", "number, 0", "servers of one user; 0: no limit", true,
     [](C& c, V v) { return set_number(c.limits.pool.max_user_connections, v); }},
    {"default_pool_size", "number, 0", "servers of one user and database; 0: no limit", true,
     [](C& c, V v) { return set_number(c.limits.pool.pool_size, v); }},
    {"reserve_pool_size", "number, 0", "more of them for clients that waited for reserve_pool_timeout", true,
     [](C& c, V v) { return set_number(c.limits.pool.reserve_pool_size, v); }},
    {"reserve_pool_timeout", "duration, 5s", "a client that waited so long may use the reserve", true,
     [](C& c, V v) { return set_duration(c.limits.pool.reserve_pool_timeout, v); }},
    {"query_wait_timeout", "duration, 120s", "longest wait for a server of a full pool; 0: for ever", true,
     [](C& c, V v) { return set_duration(c.limits.query_wait_timeout, v); }},
    {"server_idle_timeout", "duration, 10min", "a pooled server idle for so long is closed; 0: never", true,
     [](C& c, V v) { return set_duration(c.limits.pool.server_idle_timeout, v); }},
    {"server_lifetime", "duration, 1h", "a pooled server this old is not used again; 0: for ever", true,
     [](C& c, V v) { return set_duration(c.limits.pool.server_lifetime, v); }},
    {"client_tls_sslmode", "word",
     "TLS with clients: disable, allow, require, verify-ca or verify-full; default: allow when there is a "
     "certificate, else disable",
     true, [](C& c, V v) { return set_client_tls_mode(c.tls.clients.mode, v); }},
    {"client_tls_cert_file", "file", "certificate shown to clients (PEM), with its chain", true,
     [](C& c, V v) { return set_text(c.tls.clients.certificate_file, v); }},
    {"client_tls_key_file", "file", "its private key (PEM)", true,
     [](C& c, V v) { return set_text(c.tls.clients.key_file, v); }},
    {"client_tls_ca_file", "file", "who vouches for clients' certificates (PEM)", true,
     [](C& c, V v) { return set_text(c.tls.clients.ca_file, v); }},
    {"client_tls_clientname", "CN or DN, CN",
     "with verify-full: which name of a client's certificate must be the user's: its common name, or its "
     "whole subject (RFC 2253)",
     true, [](C& c, V v) { return set_client_cert_name(c.tls.clients.name, v); }},
    {"client_tls_protocols", "words, secure", "secure, or a list of tlsv1.2 and tlsv1.3", true,
     [](C& c, V v) { return set_tls_versions(c.tls.clients, v); }},
    {"server_tls_sslmode", "word, disable",
     "TLS with the backend: disable, allow, prefer, require, verify-ca or verify-full, as libpq's sslmode",
     true, [](C& c, V v) { return set_server_tls_mode(c.tls.servers.mode, v); }},
    {"server_tls_ca_file", "file", "who vouches for the backend's certificate (PEM), or \"system\"", true,
     [](C& c, V v) { return set_text(c.tls.servers.ca_file, v); }},
    {"server_tls_cert_file", "file", "certificate shown to the backend (PEM)", true,
     [](C& c, V v) { return set_text(c.tls.servers.certificate_file, v); }},
    {"server_tls_key_file", "file", "its private key (PEM)", true,
     [](C& c, V v) { return set_text(c.tls.servers.key_file, v); }},
    {"tcp_keepidle", "seconds, 60", "silence before TCP keepalive probes; 0: the system's", true,
     [](C& c, V v) { return set_number(c.limits.socket.keepalive_idle_s, v); }},
    {"tcp_keepintvl", "seconds, 10", "between keepalive probes; 0: the system's", true,
     [](C& c, V v) { return set_number(c.limits.socket.keepalive_interval_s, v); }},
    {"tcp_keepcnt", "number, 6", "unanswered probes that end a connection; 0: the system's", true,
     [](C& c, V v) { return set_number(c.limits.socket.keepalive_count, v); }},
    {"tcp_user_timeout", "milliseconds, 0",
     "unacknowledged data ends a connection after this; 0: the system's", true,
     [](C& c, V v) { return set_number(c.limits.socket.user_timeout_ms, v); }},
    {"log_connections", "on or off, off", "log every session's opening and closing", true,
     [](C& c, V v) { return set_flag(c.limits.log_connections, v); }},
    {"log_level", "word, info", "error, warning, info or debug", true,
     [](C& c, V v) { return set_level(c.limits.log_level, v); }},
};

}  // namespace

std::span<const ConfigurationKey> configuration_keys() { return kKeys; }

unsigned effective_workers(const Configuration& configuration) {
  if (configuration.workers > 0) return configuration.workers;
  return std::max(1U, std::thread::hardware_concurrency() / 2);
}

}  // namespace understudy::proxy
