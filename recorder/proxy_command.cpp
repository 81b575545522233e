// understudy proxy: wires configuration, recorder and proxy together, then waits for signals. Runs on the
// main thread.
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cxxopts.hpp>
#include <mutex>
#include <optional>

#include "formats/command.h"
#include "proxy/admin_server.h"
#include "proxy/log.h"
#include "proxy/proxy.h"
#include "recorder/commands.h"
#include "recorder/proxy_settings.h"
#include "recorder/record_key.h"
#include "recorder/recorder.h"
#include "recorder/recording_api.h"
#include "recorder/recording_metrics.h"
#include "recorder/signals.h"

namespace understudy::recorder {
namespace {

using proxy::log_event;
using proxy::LogLevel;

constexpr const char* kExitCodes =
    "\nSizes: 4096, 64KiB, 256MiB, 1GiB. Durations: 500ms, 30s, 5min, 1h; a number alone is seconds.\n"
    "Every option but --config and --help is also a key of the configuration file, spelled with '_' for\n"
    "'-'.\n"
    "\nSignals: SIGTERM or SIGINT drains (sessions end when their transaction does), a second one ends at\n"
    "once and cancels what servers still run; SIGHUP rereads the configuration file, and the files that\n"
    "it and the command line name (certificates, keys, users, rules); SIGUSR1 logs what was counted so\n"
    "far.\n"
    "\nExit codes: 0 ended as asked; 1 could not start, or not everything could be recorded; 2 bad usage,\n"
    "on the command line or in the configuration file.\n";

constexpr const char* kNotRecorded =
    "Not recorded are also sessions that were shed because the disk, or the compression, did not keep up\n"
    "(sessions_shed): whole=no in the log, and verify names them.\n";

std::string flag_of(std::string_view key) {
  std::string flag(key);
  for (char& c : flag) {
    if (c == '_') c = '-';
  }
  return flag;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

// The backends, or who knows them.
std::vector<std::string> backends_of(const proxy::Configuration& configuration) {
  std::vector<std::string> names;
  for (const proxy::Address& address : configuration.backends) names.push_back(address.to_string());
  for (const auto& endpoint : configuration.patroni.endpoints) names.push_back(endpoint.to_string());
  return names;
}

bool is_list(std::string_view key) { return key == "listen" || key == "backend" || key == "patroni"; }

cxxopts::Options command_options() {
  cxxopts::Options options("understudy proxy",
                           "Relays clients to a PostgreSQL server, recording what passes.\n");
  options.set_width(kHelpColumns);
  auto add = options.add_options();
  for (const KeyHelp& key : known_keys()) {
    const std::string help = std::string(key.help) + " (" + std::string(key.unit_and_default) + ")";
    // A list would split directory names at their commas; only addresses may be given several times.
    if (is_list(key.key)) {
      add(flag_of(key.key), help + "; repeatable", cxxopts::value<std::vector<std::string>>(),
          placeholder(key.unit_and_default));
    } else {
      add(flag_of(key.key), help, cxxopts::value<std::string>(), placeholder(key.unit_and_default));
    }
  }
  add("config", "read this configuration file first (see samples/understudy.ini)",
      cxxopts::value<std::string>(), "FILE");
  add("h,help", "this text");
  return options;
}

// What the command line says.
std::vector<Setting> settings_of(const cxxopts::ParseResult& given) {
  std::vector<Setting> settings;
  for (const KeyHelp& key : known_keys()) {
    const std::string flag = flag_of(key.key);
    if (given.count(flag) == 0) continue;
    const bool list = is_list(key.key);
    std::string value =
        list ? joined(given[flag].as<std::vector<std::string>>()) : given[flag].as<std::string>();
    settings.push_back({std::string(key.key), std::move(value), "--" + flag});
  }
  return settings;
}

ProxySettings load(const std::string& config, const std::vector<Setting>& from_command_line) {
  std::vector<Setting> settings;
  if (!config.empty()) settings = read_settings(config);
  settings.insert(settings.end(), from_command_line.begin(), from_command_line.end());
  ProxySettings result = apply_settings(settings);
  require_complete(result, settings);
  proxy::Configuration& configuration = result.configuration;
  const char* const password = std::getenv("PGPASSWORD");
  std::string& known = configuration.health.password;
  if (known.empty() && password != nullptr) known = password;
  const char* const token = std::getenv("UNDERSTUDY_ADMIN_TOKEN");
  if (configuration.admin.token.empty() && token != nullptr) {
    const std::string wrong = proxy::set_admin_token(configuration.admin, token);
    if (!wrong.empty()) throw SettingsError("UNDERSTUDY_ADMIN_TOKEN: " + wrong);
  }
  return result;
}

// Two descriptors a session: the default soft limit of 1024 is soon reached.
// That a default cannot be had in full is no fault of the operator's; that a number of his own cannot be is
// worth a warning.
void raise_descriptor_limit(const ProxySettings& settings) {
  const std::uint64_t clients = settings.configuration.limits.max_client_connections;
  constexpr std::uint64_t kOthers = 100;  // listeners, event loops, segments, cancels on their way
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
  const std::uint64_t needed = 2 * clients + kOthers;
  if (limit.rlim_max >= needed) return;
  log_event(
      settings.given.contains("max_client_conn") ? LogLevel::kWarning : LogLevel::kInfo, "few_descriptors",
      {{"limit", std::to_string(limit.rlim_max)},
       {"needed", std::to_string(needed)},
       {"max_client_conn", std::to_string(clients)},
       {"enough_for", std::to_string((limit.rlim_max - std::min(limit.rlim_max, kOthers)) / 2)},
       {"remedy", "raise the hard limit of open files (ulimit -Hn, LimitNOFILE), or lower max_client_conn"}});
}

void log_start(const proxy::Proxy& proxy, const ProxySettings& settings,
               const std::optional<RecordingStatus>& recording) {
  log_event(LogLevel::kInfo, "started",
            {{"version", UNDERSTUDY_VERSION},
             {"listening", joined(proxy.listening())},
             {"backend", joined(backends_of(settings.configuration))},
             {"workers", std::to_string(proxy.worker_count())},
             {"recording", recording ? recording->directory.string() : "off"},
             {"run", recording ? std::to_string(recording->run) : "-"}});
}

// Relayed passwords are not known: sessions of servers that want one cannot be taken elsewhere.
void log_reach(const proxy::Configuration& configuration) {
  const bool several = configuration.backends.size() > 1 || !configuration.patroni.endpoints.empty();
  if (!several || configuration.auth != proxy::AuthenticationSource::kRelay) return;
  log_event(LogLevel::kInfo, "passwords_unknown",
            {{"auth", "relay"},
             {"meaning", "a session ends with its server where the next one asks for a password"},
             {"remedy", "auth = file or query"}});
}

void log_relayed(std::string_view event, const proxy::Statistics& counted) {
  const auto text = [](const auto& number) { return std::to_string(number.load()); };
  log_event(LogLevel::kInfo, event,
            {{"connections", text(counted.connections_accepted)},
             {"sessions", text(counted.sessions_opened)},
             {"open", text(counted.sessions_open)},
             {"refused", text(counted.refused_too_many)},
             {"protocol_errors", text(counted.protocol_errors_client)},
             {"server_protocol_errors", text(counted.protocol_errors_server)},
             {"logins_refused", text(counted.logins_refused)},
             {"tls_failures", text(counted.tls_failures)},
             {"login_timeouts", text(counted.login_timeouts)},
             {"idle_timeouts", text(counted.idle_timeouts)},
             {"backend_failures", text(counted.backend_failures)},
             {"servers_lost", text(counted.servers_lost)},
             {"replica_reads", text(counted.replica_reads)},
             {"reads_kept", text(counted.reads_kept)},
             {"reads_asked_again", text(counted.reads_asked_again)},
             {"shadow_compared", text(counted.shadow_compared)},
             {"shadow_equal", text(counted.shadow_equal)},
             {"shadow_different", text(counted.shadow_different)},
             {"shadow_shed", text(counted.shadow_shed)},
             {"sessions_moved", text(counted.sessions_moved)},
             {"sessions_stranded", text(counted.sessions_stranded)},
             {"commits_lost", text(counted.commits_lost)},
             {"commits_unclear", text(counted.commits_unclear)},
             {"cancels", text(counted.cancels_forwarded)},
             {"cancels_unmatched", text(counted.cancels_unmatched)}});
}

void log_recorded(LogLevel level, std::string_view event, const Statistics& recorded) {
  const auto text = [](const auto& number) { return std::to_string(number); };
  log_event(level, event,
            {{"sessions", text(recorded.sessions)},
             {"events", text(recorded.events)},
             {"bytes", text(recorded.data_bytes)},
             {"stored_bytes", text(recorded.stored_bytes)},
             {"segments", text(recorded.segments)},
             {"sessions_shed", text(recorded.sessions_shed)},
             {"passwords_hidden", text(recorded.passwords_hidden)},
             {"events_shed", text(recorded.events_shed)},
             {"disk_errors", text(recorded.disk_errors)},
             {"events_lost", text(recorded.events_lost)}});
}

// Applies what can be applied; a file with an error changes nothing. Without a configuration file the
// settings are the command line's still, but what stands in the files they name (certificates, users) may be
// new.
proxy::AdminService::Reloaded reload(proxy::Proxy& proxy, ProxySettings& current, const std::string& config,
                                     const std::vector<Setting>& from_command_line) {
  try {
    ProxySettings fresh = load(config, from_command_line);
    const std::vector<std::string> waiting = need_restart(current, fresh);
    auto access = proxy::load_access_policy(fresh.configuration);
    proxy::TlsContexts tls = proxy::load_tls(fresh.configuration.tls);
    proxy::set_log_level(fresh.configuration.limits.log_level);
    proxy.reload_tls(std::move(tls));
    proxy.reload(fresh.configuration.limits, std::move(access));
    log_event(LogLevel::kInfo, "reloaded", {{"file", config.empty() ? "-" : config}});
    if (!waiting.empty()) log_event(LogLevel::kWarning, "restart_needed", {{"keys", joined(waiting)}});
    // Keys that wait for a restart stay as they were: said again at the next reload.
    current.configuration.limits = fresh.configuration.limits;
    return {{}, waiting};
  } catch (const std::runtime_error& error) {  // SettingsError is one, a bad file another
    log_event(LogLevel::kError, "reload_refused", {{"error", error.what()}});
    return {error.what(), {}};
  }
}

// Returns when the proxy is to end: drained, or asked a second time.
void await_end(const Signals& signals, proxy::Proxy& proxy, const std::function<void()>& on_hangup,
               const std::function<void()>& on_question) {
  for (bool draining = false;;) {
    const int signal = signals.wait();
    if (signal == SIGHUP) {
      on_hangup();
    } else if (signal == SIGUSR1) {
      on_question();
    } else if (signal == Signals::kNotified || draining) {
      return;
    } else {
      draining = true;
      log_event(LogLevel::kInfo, "draining",
                {{"sessions", std::to_string(proxy.statistics().sessions_open.load())}});
      proxy.drain([&signals] { signals.notify(); });
    }
  }
}

int relay(ProxySettings settings, const std::string& config, const std::vector<Setting>& from_command_line) {
  const Signals signals;
  proxy::set_log_level(settings.configuration.limits.log_level);
  raise_descriptor_limit(settings);
  load_record_key(settings.recording);
  const proxy::Configuration& configured = settings.configuration;
  RecordingControl recordings(settings.recording, settings.control, proxy::effective_workers(configured),
                              "understudy " UNDERSTUDY_VERSION " proxy");
  const bool records = !settings.recording.directory.empty();
  if (records) recordings.begin();
  // Without an admin port nobody can start a recording later.
  proxy::Proxy proxy(configured, records || configured.admin.listen ? &recordings : nullptr);
  std::mutex reloading;
  const auto reread = [&] {
    const std::lock_guard lock(reloading);
    return reload(proxy, settings, config, from_command_line);
  };
  proxy.set_observer_metrics([&recordings] {
    const auto told = recordings.status();
    return told ? recording_metrics(told->statistics) : std::string();
  });
  const auto answer = [&](proxy::AdminEndpoint endpoint, const proxy::AdminRequest& request) {
    return answer_recording(recordings, endpoint, request);
  };
  std::optional<proxy::AdminServer> admin;
  if (configured.admin.listen) {
    admin.emplace(configured.admin, configured.limits.guard, proxy, reread, answer);
  }
  proxy.start();
  recordings.attach(
      {[&](const auto& tally) { proxy.recording_began(tally); }, [&] { proxy.recording_ended(); }});
  // However this ends: recordings outlive the proxy.
  const std::unique_ptr<RecordingControl, void (*)(RecordingControl*)> attached(
      &recordings, [](RecordingControl* control) { control->detach(); });
  if (admin) admin->start();
  log_start(proxy, settings, recordings.status());
  log_reach(settings.configuration);
  await_end(
      signals, proxy, [&] { (void)reread(); },
      [&] {
        log_relayed("statistics", proxy.statistics());
        if (const auto told = recordings.status()) {
          log_recorded(LogLevel::kInfo, "recording", told->statistics);
        }
      });
  admin.reset();
  recordings.detach();
  proxy.stop();
  log_relayed("ended", proxy.statistics());
  const bool whole = recordings.finish();
  const auto told = recordings.status();
  if (!told) return 0;
  log_recorded(whole ? LogLevel::kInfo : LogLevel::kError, whole ? "recorded" : "recorded_in_part",
               told->statistics);
  return whole ? 0 : 1;
}

}  // namespace

int run_proxy(int argc, char** argv) {
  cxxopts::Options options = command_options();
  std::string config;
  std::vector<Setting> from_command_line;
  try {
    const cxxopts::ParseResult given = options.parse(argc, argv);
    if (given.count("help") != 0) {
      std::fputs((options.help() + kExitCodes + kNotRecorded).c_str(), stdout);
      return 0;
    }
    if (!given.unmatched().empty()) throw SettingsError("unexpected argument " + given.unmatched().front());
    if (given.count("config") != 0) config = given["config"].as<std::string>();
    from_command_line = settings_of(given);
    (void)apply_settings(from_command_line);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "understudy proxy: %s\nSee understudy proxy --help.\n", error.what());
    return kExitUsage;
  }
  std::optional<ProxySettings> settings;
  try {
    settings = load(config, from_command_line);
  } catch (const UnreadableSettings&) {
    throw;
  } catch (const SettingsError& error) {
    std::fprintf(stderr, "understudy proxy: %s\nSee samples/understudy.ini, or understudy proxy --help.\n",
                 error.what());
    return kExitUsage;
  }
  return relay(std::move(*settings), config, from_command_line);
}

}  // namespace understudy::recorder
