#include "proxy/known_functions.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace understudy::proxy {
namespace {

constexpr std::string_view kSafe[] = {
#include "proxy/safe_functions.inc"
};
static_assert(std::is_sorted(std::begin(kSafe), std::end(kSafe)));

constexpr std::string_view kVolatileReaders[] = {
    "clock_timestamp",
    "current_query",
    "currval",
    "gen_random_uuid",
    "inet_client_addr",
    "inet_client_port",
    "inet_server_addr",
    "inet_server_port",
    "lastval",
    "pg_advisory_unlock",
    "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared",
    "pg_advisory_xact_lock",
    "pg_advisory_xact_lock_shared",
    "pg_backend_pid",
    "pg_blocking_pids",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_database_size",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_my_temp_schema",
    "pg_postmaster_start_time",
    "pg_relation_size",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared",
    "random",
    "timeofday",
};
static_assert(std::is_sorted(std::begin(kVolatileReaders), std::end(kVolatileReaders)));

constexpr std::string_view kPlainWriters[] = {
    "lo_create",
    "lo_from_bytea",
    "lo_put",
    "lo_unlink",
    "nextval",
    "pg_cancel_backend",
    "pg_create_restore_point",
    "pg_current_xact_id",
    "pg_current_xact_id_if_assigned",
    "pg_export_snapshot",
    "pg_logical_emit_message",
    "pg_notify",
    "pg_reload_conf",
    "pg_stat_reset",
    "pg_switch_wal",
    "pg_terminate_backend",
    "setval",
    "txid_current",
    "txid_current_if_assigned",
};
static_assert(std::is_sorted(std::begin(kPlainWriters), std::end(kPlainWriters)));

constexpr std::pair<std::string_view, std::string_view> kPinning[] = {
    {"dblink_connect", "dblink connection"},
    {"dblink_connect_u", "dblink connection"},
    {"pg_advisory_lock", kAdvisoryLock},
    {"pg_advisory_lock_shared", kAdvisoryLock},
    {"pg_replication_origin_session_setup", "replication origin of the session"},
    {"pg_try_advisory_lock", kAdvisoryLock},
    {"pg_try_advisory_lock_shared", kAdvisoryLock},
    {"setseed", "setseed()"},
};

}  // namespace

bool is_safe_function(std::string_view name) {
  return std::binary_search(std::begin(kSafe), std::end(kSafe), name);
}

bool is_volatile_reader(std::string_view name) {
  return std::binary_search(std::begin(kVolatileReaders), std::end(kVolatileReaders), name);
}

bool is_plain_writer(std::string_view name) {
  return std::binary_search(std::begin(kPlainWriters), std::end(kPlainWriters), name);
}

std::string_view pinning_state(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kPinning), std::end(kPinning),
                                         [&](const auto& known) { return known.first == name; });
  return found == std::end(kPinning) ? std::string_view() : found->second;
}

bool is_advisory_unlock(std::string_view name) { return name.starts_with("pg_advisory_unlock"); }

}  // namespace understudy::proxy
