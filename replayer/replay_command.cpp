// understudy replay: opens the recording and the target, runs a Replay on a proxy that listens nowhere,
// reports.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cxxopts.hpp>
#include <mutex>
#include <sstream>

#include "formats/command.h"
#include "proxy/log.h"
#include "proxy/proxy.h"
#include "recorder/recorder.h"
#include "replayer/commands.h"
#include "replayer/output.h"
#include "replayer/replay.h"
#include "replayer/replay_report.h"

namespace understudy::replayer {
namespace {

constexpr const char* kExitCodes =
    "\nThe target is a PostgreSQL URI or conninfo string; PG* variables, service and pgpass files are "
    "honoured.\n"
    "Replayed users log in with pgpass's password for them, or else with that of the target string or\n"
    "PGPASSWORD; the target's own user the other way round.\n"
    "\nOrders: session  a request waits for the replies its own session had\n"
    "        time     requests are sent at their recorded times\n"
    "        causal   a request waits for every reply that was recorded before it, of any session,\n"
    "                 unless the two statements provably do not mind their order\n"
    "\nSIGINT (Ctrl-C) or SIGTERM ends it early: what runs at the target is cancelled, every session ends, "
    "and\n"
    "the summary is printed. A second one does not wait for the target. Either way a --record is whole up to "
    "there.\n"
    "\nExit codes: 0 replayed; 1 could not, ended early, or the summary could not be written; 2 bad usage.\n";

cxxopts::Options command_options() {
  cxxopts::Options options("understudy replay",
                           "Feeds a recording to another server, through the proxy's own sessions.\n");
  options.set_width(110);
  options.custom_help("RECORDING --to TARGET [options]");
  options.positional_help("");
  auto add = options.add_options();
  add("to", "the server to replay to: postgresql://[user[:password]@]host[:port]/[database]",
      cxxopts::value<std::string>(), "TARGET");
  add("order", "session, time or causal", cxxopts::value<std::string>()->default_value("causal"), "ORDER");
  add("speed", "recorded seconds a second, or max for no pacing",
      cxxopts::value<std::string>()->default_value("1"), "N|max");
  add("user-map", "log in as NEW where OLD was recorded (* for all others); repeatable",
      cxxopts::value<std::vector<std::string>>(), "OLD=NEW");
  add("database-map", "use database NEW where OLD was recorded (* for all others); repeatable",
      cxxopts::value<std::vector<std::string>>(), "OLD=NEW");
  add("from", "leave out sessions opened before this time into the recording (duration)",
      cxxopts::value<std::string>(), "TIME");
  add("until", "leave out sessions opened after it (duration)", cxxopts::value<std::string>(), "TIME");
  add("stall-timeout", "end a session when nothing moves for so long (duration)",
      cxxopts::value<std::string>()->default_value("30s"), "TIME");
  add("json", "print the summary as JSON");
  add("quiet", "no progress");
  add("h,help", "this text");
  recorder::add_recorder_options(options);
  options.add_options("hidden")("recording", "", cxxopts::value<std::vector<std::string>>());
  options.parse_positional({"recording"});
  return options;
}

[[noreturn]] void usage(const std::string& what) { throw std::invalid_argument(what); }

NameMap name_map(const cxxopts::ParseResult& given, const char* option) {
  NameMap map;
  if (given.count(option) == 0) return map;
  for (const std::string& pair : given[option].as<std::vector<std::string>>()) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == pair.size()) {
      usage(std::string("--") + option + " \"" + pair + "\" is not OLD=NEW");
    }
    map[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return map;
}

TimeNs duration(const cxxopts::ParseResult& given, const char* option) {
  const std::string text = given[option].as<std::string>();
  const auto value = parse_duration(text);
  if (!value)
    usage(std::string("--") + option + " \"" + text + "\" is not a duration such as 500ms, 30s or 5min");
  return *value;
}

Order order_named(const std::string& name) {
  if (name == "session") return Order::kSession;
  if (name == "time") return Order::kTime;
  if (name == "causal") return Order::kCausal;
  usage("--order \"" + name + "\" is none of session, time, causal");
}

double speed_named(const std::string& text) {
  if (text == "max") return 0;
  std::size_t end = 0;
  double speed = 0;
  try {
    speed = std::stod(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  if (end != text.size() || !(speed > 0))
    usage("--speed \"" + text + "\" is neither a number above 0 nor max");
  return speed;
}

ReplayOptions replay_options(const cxxopts::ParseResult& given, const Recording& recording) {
  ReplayOptions options;
  options.order = order_named(given["order"].as<std::string>());
  options.speed = speed_named(given["speed"].as<std::string>());
  if (options.order == Order::kTime && options.speed <= 0) usage("--order time needs a --speed");
  options.users = name_map(given, "user-map");
  options.databases = name_map(given, "database-map");
  const TimeNs start = recording.time_range().first;
  if (given.count("from") > 0) options.from = start + duration(given, "from");
  if (given.count("until") > 0) options.until = start + duration(given, "until");
  options.stall_timeout = duration(given, "stall-timeout");
  return options;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

// Tells the main thread that the replay is done, and shows how far it is meanwhile.
class Watch {
 public:
  Watch(bool shown, bool paced, TimeNs recorded_span) : shown_(shown), paced_(paced), span_(recorded_span) {
    sigemptyset(&signals_);
    for (const int one : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&signals_, one);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);  // before any thread is made: all inherit it
  }
  void done() {
    done_ = true;
    kill(getpid(), SIGUSR1);
  }
  // Returns when the replay is done. A first SIGINT or SIGTERM stops it, a second one at once.
  void wait(Replay& replay, TimeNs recorded_start) {
    bool shown = false;
    bool stopped = false;
    while (!done_) {
      const timespec second{1, 0};
      const int signal = sigtimedwait(&signals_, nullptr, &second);
      if (signal == SIGINT || signal == SIGTERM) {
        if (stopped) {
          replay.abandon();
        } else {
          replay.stop();
          std::fputs(shown_ ? "\r\033[K" : "", stderr);
          std::fputs("understudy replay: stopping; once more to leave without waiting for the target\n",
                     stderr);
        }
        stopped = true;
      }
      if (signal > 0 || !shown_) continue;
      show(replay.progress(), recorded_start);
      shown = true;
    }
    if (shown) std::fputs("\r\033[K", stderr);
  }

 private:
  void show(const ReplayProgress& progress, TimeNs recorded_start) {
    const std::uint64_t exchanges = progress.exchanges.load();
    const TimeNs at = std::max<TimeNs>(0, progress.recorded_at.load() - recorded_start);
    std::fprintf(stderr, "\r\033[K%3.0f %%  %llu exchanges/s  %llu sessions open  %llu rescues",
                 span_ > 0 ? 100.0 * static_cast<double>(at) / static_cast<double>(span_) : 0.0,
                 static_cast<unsigned long long>(exchanges - last_exchanges_),
                 static_cast<unsigned long long>(progress.sessions_open.load()),
                 static_cast<unsigned long long>(progress.rescues.load()));
    if (paced_) {
      std::fprintf(stderr, "  lag: server %s, replay %s",
                   format_duration(progress.server_slower.load()).c_str(),
                   format_duration(progress.replayer_late.load()).c_str());
    }
    last_exchanges_ = exchanges;
  }

  sigset_t signals_{};
  std::atomic<bool> done_{false};
  bool shown_;
  bool paced_;
  TimeNs span_;
  std::uint64_t last_exchanges_ = 0;
};

// The summary on standard output; false when it could not be written, which is told. Nobody reading is no
// failure.
bool write_summary(const ReplayResult& result, bool paced, bool json) {
  std::ostringstream text;
  (json ? print_json : print_summary)(text, result, paced);
  try {
    Output out;
    out.write(text.str());
    out.finish();
  } catch (const OutputClosed&) {
  } catch (const std::runtime_error& error) {
    std::fprintf(stderr, "understudy replay: %s\n", error.what());
    return false;
  }
  return true;
}

int replay(const cxxopts::ParseResult& given, const std::string& path) {
  const Recording recording(path);
  const ReplayOptions options = replay_options(given, recording);
  recorder::RecorderOptions recording_options;
  recorder::apply_recorder_options(given, recording_options);
  const bool json = given.count("json") > 0;
  const auto [first, last] = recording.time_range();
  Watch watch(given.count("quiet") == 0 && isatty(STDERR_FILENO) == 1, options.speed > 0, last - first);
  raise_descriptor_limit();
  Target target(given["to"].as<std::string>());

  proxy::Configuration configuration;
  configuration.backend = target.address();
  configuration.workers = 1;
  configuration.limits.max_client_connections = std::numeric_limits<std::uint32_t>::max();
  std::unique_ptr<recorder::Recorder> recorder;
  if (!recording_options.directory.empty()) {
    recorder = std::make_unique<recorder::Recorder>(
        recording_options, 1,
        recorder::RecorderIdentity{"understudy " UNDERSTUDY_VERSION " replay", {{"source", recording.id()}}});
  }
  proxy::Proxy stage(configuration, recorder.get());
  stage.start();
  Replay run(recording, target, stage.worker(0), options, [&watch] { watch.done(); });
  run.start();
  watch.wait(run, first);
  stage.stop();
  const bool whole = recorder == nullptr || recorder->finish();
  const ReplayResult& result = run.result();
  const bool told = write_summary(result, options.speed > 0, json);
  for (const Damage& damage : recording.damage()) {
    std::fprintf(stderr, "understudy replay: %s, offset %llu: %s; %s passed over\n", damage.file.c_str(),
                 static_cast<unsigned long long>(damage.offset), damage.what.c_str(),
                 format_size(damage.bytes).c_str());
  }
  if (!whole) std::fputs("understudy replay: not everything could be recorded\n", stderr);
  const bool nobody = result.sessions > 0 && result.sessions_failed == result.sessions;
  if (nobody) {
    std::fputs(
        "understudy replay: no session could log in; see --user-map, PGPASSWORD and pgpass in --help\n",
        stderr);
  }
  if (!result.failure.empty()) std::fprintf(stderr, "understudy replay: %s\n", result.failure.c_str());
  return result.stopped || nobody || !whole || !told || !result.failure.empty() ? 1 : 0;
}

}  // namespace

int run_replay(int argc, char** argv) {
  cxxopts::Options options = command_options();
  try {
    const auto given = options.parse(argc, argv);
    if (given.count("help") > 0) {
      std::fputs((options.help({"", "Recording"}) + kExitCodes).c_str(), stdout);
      return 0;
    }
    const auto paths = given.count("recording") > 0 ? given["recording"].as<std::vector<std::string>>()
                                                    : std::vector<std::string>{};
    if (paths.size() != 1) usage("give one RECORDING, a directory or a file");
    if (given.count("to") == 0) usage("--to TARGET is missing");
    return replay(given, paths.front());
  } catch (const cxxopts::exceptions::exception& error) {
    std::fprintf(stderr, "understudy replay: %s\nSee understudy replay --help.\n", error.what());
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "understudy replay: %s\nSee understudy replay --help.\n", error.what());
  }
  return kExitUsage;
}

}  // namespace understudy::replayer
