#include "proxy/admin_metrics.h"

#include <charconv>
#include <string_view>

namespace understudy::proxy {
namespace {

using Number = std::atomic<std::uint64_t>;

struct Counter {
  const char* name;
  const char* help;
  Number Statistics::*number;
};
constexpr Counter kCounters[] = {
    {"understudy_connections_accepted_total", "Client connections accepted.",
     &Statistics::connections_accepted},
    {"understudy_sessions_opened_total", "Sessions that reached a server.", &Statistics::sessions_opened},
    {"understudy_sessions_refused_total", "Clients refused over max_client_conn.",
     &Statistics::refused_too_many},
    {"understudy_client_protocol_errors_total", "Clients that broke the protocol.",
     &Statistics::protocol_errors_client},
    {"understudy_server_protocol_errors_total", "Servers that broke the protocol.",
     &Statistics::protocol_errors_server},
    {"understudy_backend_failures_total", "Servers that could not be reached, or left without a word.",
     &Statistics::backend_failures},
    {"understudy_tls_failures_total",
     "TLS with clients that came to nothing: handshakes, and records that were not theirs.",
     &Statistics::tls_failures},
    {"understudy_login_timeouts_total", "Clients over client_login_timeout.", &Statistics::login_timeouts},
    {"understudy_idle_timeouts_total", "Clients over client_idle_timeout.", &Statistics::idle_timeouts},
    {"understudy_logins_refused_total", "Logins refused by the proxy's own authentication.",
     &Statistics::logins_refused},
    {"understudy_logins_delayed_total", "Logins that had to wait, after too many failed ones.",
     &Statistics::logins_delayed},
    {"understudy_logins_turned_away_total", "Logins refused because too many waited already.",
     &Statistics::logins_turned_away},
    {"understudy_admin_tokens_refused_total", "Wrong tokens shown at the admin port.",
     &Statistics::admin_tokens_refused},
    {"understudy_auth_queries_total", "Users looked up in the database.", &Statistics::auth_queries},
    {"understudy_auth_queries_saved_total", "Logins for which an earlier answer was good enough.",
     &Statistics::auth_queries_saved},
    {"understudy_auth_queries_failed_total", "Lookups that brought no answer.",
     &Statistics::auth_queries_failed},
    {"understudy_wait_timeouts_total", "Clients over query_wait_timeout.", &Statistics::wait_timeouts},
    {"understudy_servers_connected_total", "Server connections the proxy logged in to.",
     &Statistics::servers_connected},
    {"understudy_servers_reused_total", "Server connections given to another client.",
     &Statistics::servers_reused},
    {"understudy_servers_lost_total", "Servers lost by sessions that could have been moved.",
     &Statistics::servers_lost},
    {"understudy_sessions_moved_total", "Sessions moved to another server, with all they had.",
     &Statistics::sessions_moved},
    {"understudy_sessions_stranded_total", "Sessions ended because what they held could not be moved.",
     &Statistics::sessions_stranded},
    {"understudy_commits_lost_total", "Sessions whose last acknowledged commit the new primary lacks.",
     &Statistics::commits_lost},
    {"understudy_commits_unclear_total",
     "Acknowledged commits of which it could not be found out whether the new primary has them.",
     &Statistics::commits_unclear},
    {"understudy_replica_reads_total", "Batches of reads sent to a replica (mode split).",
     &Statistics::replica_reads},
    {"understudy_reads_kept_total",
     "Batches that a replica could have answered, but none was there, or far enough.",
     &Statistics::reads_kept},
    {"understudy_reads_asked_again_total",
     "Batches that were asked again of the primary, because the replica could not answer.",
     &Statistics::reads_asked_again},
    {"understudy_shadow_compared_total", "Reads whose answers by primary and shadow were compared.",
     &Statistics::shadow_compared},
    {"understudy_shadow_equal_total", "Of these, the same.", &Statistics::shadow_equal},
    {"understudy_shadow_different_total", "Of these, different.", &Statistics::shadow_different},
    {"understudy_shadow_shed_total", "Reads not compared, because the shadow was behind or away.",
     &Statistics::shadow_shed},
    {"understudy_cancels_forwarded_total", "Cancel requests passed on.", &Statistics::cancels_forwarded},
    {"understudy_cancels_unmatched_total", "Cancel requests for no session.", &Statistics::cancels_unmatched},
};

std::string text_of(double value) {
  char text[64];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed);
  return error == std::errc{} ? std::string(text, end) : "NaN";
}
std::string text_of(std::uint64_t value) { return std::to_string(value); }
double seconds(TimeNs time) { return static_cast<double>(time) / 1e9; }

// "Exposition formats": backslash, quote and line feed are escaped in a label's value.
std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    text += c == '\n' ? std::string_view("\\n") : std::string_view(&c, 1);
  }
  return text;
}

std::string label(std::string_view name, std::string_view value) {
  return std::string(name) + "=\"" + escaped(value) + "\"";
}

class Page {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    (((text_ += "# HELP ") += name) += ' ') += help;
    ((((text_ += "\n# TYPE ") += name) += ' ') += type) += '\n';
  }
  template <typename Value>
  void sample(Value value, const std::string& labels = {}, std::string_view suffix = {}) {
    (text_ += name_) += suffix;
    if (!labels.empty()) ((text_ += '{') += labels) += '}';
    ((text_ += ' ') += text_of(value)) += '\n';
  }
  template <typename Value>
  void one(std::string_view name, std::string_view type, std::string_view help, Value value) {
    family(name, type, help);
    sample(value);
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

template <typename Value>
void each_backend(Page& page, const Topology& topology, const char* name, const char* help, Value&& value) {
  page.family(name, "gauge", help);
  for (const BackendState& backend : topology.backends) {
    if (backend.removed) continue;
    page.sample(value(backend), label("backend", backend.address.to_string()));
  }
}

void put_reads(Page& page, const Topology& topology, const std::vector<std::uint64_t>& reads) {
  if (reads.empty()) return;
  page.family("understudy_backend_reads_total", "counter",
              "Batches of reads that the backend was asked as a replica (mode split).");
  for (std::size_t index = 0; index < reads.size(); ++index) {
    if (topology.backends[index].removed) continue;
    page.sample(reads[index], label("backend", topology.backends[index].address.to_string()));
  }
}

void put_backends(Page& page, const Topology& topology) {
  const auto flag = [](bool on) { return std::uint64_t{on ? 1U : 0U}; };
  if (topology.patroni != PatroniState::kNotAsked) {
    page.family("understudy_patroni_up", "gauge", "Whether one of Patroni's endpoints answers.");
    page.sample(flag(topology.patroni == PatroniState::kAnswers));
  }
  each_backend(page, topology, "understudy_backend_up", "Whether the backend answers.",
               [&](const BackendState& backend) { return flag(backend.up); });
  page.family("understudy_backend_role", "gauge",
              "What the backend says it is: 1 for its role, 0 for others.");
  for (const BackendState& backend : topology.backends) {
    if (backend.removed) continue;
    for (const BackendRole role : {BackendRole::kPrimary, BackendRole::kReplica, BackendRole::kUnknown}) {
      page.sample(flag(backend.role == role),
                  label("backend", backend.address.to_string()) + "," + label("role", to_string(role)));
    }
  }
  page.family("understudy_backend_primary", "gauge", "Whether clients are relayed to the backend.");
  for (std::size_t index = 0; index < topology.backends.size(); ++index) {
    if (topology.backends[index].removed) continue;
    page.sample(flag(topology.primary == index),
                label("backend", topology.backends[index].address.to_string()));
  }
  each_backend(page, topology, "understudy_backend_fenced",
               "Whether the backend claims to be primary while another is on a higher timeline.",
               [&](const BackendState& backend) { return flag(backend.fenced); });
  each_backend(page, topology, "understudy_backend_timeline", "The backend's timeline; 0: not known.",
               [](const BackendState& backend) { return std::uint64_t{backend.timeline}; });
  each_backend(page, topology, "understudy_backend_lag_bytes", "How far a replica is behind the primary.",
               [](const BackendState& backend) { return backend.lag_bytes; });
  each_backend(page, topology, "understudy_backend_lag_seconds",
               "Time since a replica replayed a transaction, while there is more to replay.",
               [](const BackendState& backend) { return seconds(backend.lag); });
}

void put_latency(Page& page, const LatencyCounts& latency) {
  page.family("understudy_request_seconds", "histogram",
              "From a request's first byte to the ReadyForQuery after which nothing is outstanding.");
  std::uint64_t below = 0;
  for (std::size_t bucket = 0; bucket < latency.buckets.size(); ++bucket) {
    below += latency.buckets[bucket];
    const bool last = bucket == kLatencyBounds.size();
    page.sample(below, label("le", last ? "+Inf" : text_of(seconds(kLatencyBounds[bucket]))), "_bucket");
  }
  page.sample(seconds(latency.sum), {}, "_sum");
  page.sample(below, {}, "_count");
}

void put_sessions(Page& page, const MetricsSources& sources) {
  page.one("understudy_sessions_open", "gauge", "Clients connected, those that log in included.",
           sources.statistics.sessions_open.load(std::memory_order_relaxed));
  if (sources.tally) {
    page.one("understudy_sessions_busy", "gauge", "Sessions in a request or a transaction.",
             sources.tally->busy);
  }
  page.one("understudy_pools", "gauge", "Pools of server connections.", sources.pools.pools);
  page.one("understudy_pool_servers", "gauge", "Server connections of pools, with a client or without.",
           sources.pools.open);
  page.one("understudy_pool_servers_idle", "gauge", "Server connections that wait for a client.",
           sources.pools.idle);
  page.one("understudy_clients_waiting", "gauge", "Clients that wait for a server connection, or a resume.",
           sources.pools.waiting + (sources.tally ? sources.tally->held : 0));
  page.one("understudy_paused", "gauge", "Whether the proxy is paused.",
           std::uint64_t{sources.paused ? 1U : 0U});
  page.one("understudy_draining", "gauge", "Whether the proxy is about to end.",
           std::uint64_t{sources.draining ? 1U : 0U});
  page.one("understudy_workers", "gauge", "Worker threads.", std::uint64_t{sources.workers});
}

void put_process(Page& page, const ProcessUsage& process) {
  page.one("process_cpu_seconds_total", "counter", "User and system CPU time spent.", process.cpu_seconds);
  page.one("process_resident_memory_bytes", "gauge", "Resident memory.", process.resident_bytes);
  page.one("process_virtual_memory_bytes", "gauge", "Virtual memory.", process.virtual_bytes);
  page.one("process_open_fds", "gauge", "Open file descriptors.", process.open_descriptors);
  page.one("process_max_fds", "gauge", "Most open file descriptors.", process.descriptor_limit);
  page.one("process_start_time_seconds", "gauge", "When the process started, since the Unix epoch.",
           process.started_at);
}

}  // namespace

std::string metrics_text(const MetricsSources& sources) {
  Page page;
  page.family("understudy_build_info", "gauge", "The version that runs.");
  page.sample(std::uint64_t{1}, label("version", UNDERSTUDY_VERSION));
  for (const Counter& counter : kCounters) {
    page.one(counter.name, "counter", counter.help,
             (sources.statistics.*counter.number).load(std::memory_order_relaxed));
  }
  page.one("understudy_failovers_total", "counter", "Times that a primary took over from another.",
           sources.failovers);
  page.one("understudy_restarts_total", "counter",
           "Times that the primary was away and came back as the same, on its timeline.", sources.restarts);
  put_sessions(page, sources);
  put_backends(page, sources.topology);
  put_reads(page, sources.topology, sources.reads);
  put_latency(page, sources.latency);
  put_process(page, sources.process);
  return page.take();
}

}  // namespace understudy::proxy
