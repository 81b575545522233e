// What the proxy can be told: one struct, and one table of the keys by which a file or a command line fills
// it. pgbouncer's words where it has one for the thing.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/transcript/event.h"
#include "proxy/address.h"
#include "proxy/admin_settings.h"
#include "proxy/authentication_method.h"
#include "proxy/health_settings.h"
#include "proxy/login_guard.h"
#include "proxy/mode.h"
#include "proxy/patroni_settings.h"
#include "proxy/pool_limits.h"
#include "proxy/socket_connection.h"
#include "proxy/tls_settings.h"

namespace understudy::proxy {

enum class LogLevel : std::uint8_t { kError, kWarning, kInfo, kDebug };

// What a SIGHUP may change.
struct Limits {
  std::uint32_t max_client_connections = 10'000;
  std::uint32_t startup_packet_bytes = 10'000;  // as the server's MAX_STARTUP_PACKET_LENGTH
  TimeNs login_timeout = 60'000'000'000;        // from accept to the first ReadyForQuery
  TimeNs connect_timeout = 15'000'000'000;      // of the backend
  TimeNs client_idle_timeout = 0;               // outside a request; 0: never
  TimeNs drain_timeout = 0;                     // of a SIGTERM; 0: as long as transactions take
  bool log_connections = false;
  LogLevel log_level = LogLevel::kInfo;
  SocketOptions socket;
  PoolLimits pool;
  TimeNs query_wait_timeout = 120'000'000'000;  // for a server of a full pool; 0: for ever
  TimeNs failover_timeout = 30'000'000'000;     // how long a client waits for a primary
  LagLimits replica_lag;
  LoginGuardSettings guard;
  bool operator==(const Limits&) const = default;
};

struct Configuration {
  std::vector<Address> listen;
  // The primary is found out among several; a single one is taken for it.
  std::vector<Address> backends{{"127.0.0.1", 5432}};
  HealthSettings health;
  // Names the backends, and who of them leads; `backends` are gone by until it has answered.
  PatroniSettings patroni;
  bool commit_guard = false;
  // Of a transaction's requests, kept for a replay; of an answer of a guarded write likewise.
  std::size_t transaction_journal_bytes = std::size_t{1} << 20;
  Mode mode = Mode::kPrimary;
  std::vector<Address> shadow;    // the shadow's server: one, in mode shadow
  bool joins_recordings = false;  // sessions can be taken into a recording that begins later
  bool own_writes_only = false;   // of what a session must find at a replica
  bool trust_functions = false;   // to leave the session's settings alone
  unsigned workers =
      0;  // 0: one for every two processors, at least one (measured: the database needs the rest)
  unsigned listen_backlog = 512;
  unsigned unix_socket_mode = 0777;
  // Read again at a reload, with the files they name.
  AuthenticationSource auth = AuthenticationSource::kRelay;
  AuthenticationMethod auth_type =
      AuthenticationMethod::kScram;  // where no rule of auth_hba_file says otherwise
  std::string auth_file;
  std::string auth_hba_file;
  bool auth_trust_network = false;
  AuthQuery auth_query;
  Limits limits;
  TlsSettings tls;
  AdminSettings admin;
};

// One key of the configuration.
struct ConfigurationKey {
  std::string_view name;
  std::string_view unit_and_default;  // "duration, 60s"
  std::string_view help;
  bool reloadable;
  // Returns an empty string, or what is wrong with `value`.
  std::string (*set)(Configuration&, std::string_view value);
};
[[nodiscard]] std::span<const ConfigurationKey> configuration_keys();

// The number of workers the configuration asks for on this machine.
[[nodiscard]] unsigned effective_workers(const Configuration& configuration);

}  // namespace understudy::proxy
