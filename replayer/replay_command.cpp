// understudy replay: opens the recording and the target, runs a Replay on a proxy that listens nowhere,
// reports.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cxxopts.hpp>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "formats/command.h"
#include "formats/transcript/segment_name.h"
#include "proxy/log.h"
#include "proxy/proxy.h"
#include "recorder/recorder.h"
#include "replayer/commands.h"
#include "replayer/condition_scope.h"
#include "replayer/left_out.h"
#include "replayer/output.h"
#include "replayer/reading_keys.h"
#include "replayer/recording_lookup.h"
#include "replayer/recording_marks.h"
#include "replayer/replay_parts.h"
#include "replayer/replay_report.h"
#include "replayer/session_directory.h"

namespace understudy::replayer {
namespace {

constexpr int kExitInPart = 3;
constexpr unsigned kMostWorkers = 64;
constexpr unsigned kDefaultWorkers = 4;

constexpr const char* kExitCodes =
    "\nThe target is a PostgreSQL URI or conninfo string; PG* variables, service and pgpass files are\n"
    "honoured. Replayed users log in with pgpass's password for them, or else with that of the target\n"
    "string or PGPASSWORD; the target's own user the other way round.\n"
    "\nOrders: session  a request waits for the replies its own session had\n"
    "        time     requests are sent at their recorded times\n"
    "        causal   a request waits for every reply that was recorded before it, of any session,\n"
    "                 unless the two statements provably do not mind their order\n"
    "\nA session is ended when nothing has moved for --stall-timeout and the target waits for it. A\n"
    "statement that waits so long for the lock of somebody who is no part of the replay is cancelled.\n"
    "Both are counted.\n"
    "\nA target that is not there at the beginning is told at once, and nothing is played. One that goes\n"
    "away, so that for --target-timeout no session is connected and no login reaches it, ends the replay\n"
    "early (exit code 1), with the summary, and a --record whole up to there.\n"
    "\nSIGINT (Ctrl-C) or SIGTERM ends it early: what runs at the target is cancelled, every session\n"
    "ends, and the summary is printed. A second one does not wait for the target. Either way a --record\n"
    "is whole up to there.\n"
    "\nExit codes: 0 replayed; 1 could not (no session could log in, too), ended early, or the summary\n"
    "could not be written; 2 bad usage; 3 replayed in part: some sessions could not log in, were ended\n"
    "by the target or because nothing moved, have holes (a gap, damage) at which they were cut, have no\n"
    "beginning (their first segments are gone) and were played from their first idle moment, or there\n"
    "was none to replay.\n";

cxxopts::Options command_options() {
  cxxopts::Options options("understudy replay",
                           "Feeds a recording to another server, through the proxy's own sessions.\n");
  options.set_width(kHelpColumns);
  options.custom_help("RECORDING --to TARGET [options]");
  options.positional_help("");
  auto add = options.add_options();
  add("to", "the server to replay to: postgresql://[user[:password]@]host[:port]/[database]",
      cxxopts::value<std::string>(), "TARGET");
  add("order", "session, time or causal", cxxopts::value<std::string>()->default_value("causal"), "ORDER");
  add("speed", "recorded seconds a second, or max for no pacing (not with --order time)",
      cxxopts::value<std::string>()->default_value("1"), "N|max");
  add("user-map", "log in as NEW where OLD was recorded (* for all others); repeatable",
      cxxopts::value<std::vector<std::string>>(), "OLD=NEW");
  add("database-map",
      "use database NEW where OLD was recorded (* for all others); repeatable. Sessions of which the "
      "recording does not tell it use that of --to",
      cxxopts::value<std::vector<std::string>>(), "OLD=NEW");
  add("from", "leave out sessions opened before: 90s into the recording, or 2026-11-24T13:31:07Z",
      cxxopts::value<std::string>(), "TIME");
  add("until", "leave out sessions opened after it", cxxopts::value<std::string>(), "TIME");
  add("where", "leave out sessions that this condition does not mean (understudy show --help)",
      cxxopts::value<std::string>(), "CONDITION");
  add("from-mark", "leave out sessions opened before this mark", cxxopts::value<std::string>(), "TEXT");
  add("to-mark", "leave out sessions opened after this mark", cxxopts::value<std::string>(), "TEXT");
  add("stall-timeout", "how long nothing may move before what is stuck is ended (duration)",
      cxxopts::value<std::string>()->default_value("30s"), "TIME");
  add("target-timeout",
      "how long the target may be gone, no session connected and no login reaching it, before the replay "
      "ends (duration; 0: for ever)",
      cxxopts::value<std::string>()->default_value("30s"), "TIME");
  add("workers", "threads that play sessions; 0: one a processor, at most 4 (--order causal has one)",
      cxxopts::value<std::string>()->default_value("0"), "NUMBER");
  add("json", "print the summary as JSON");
  add("quiet", "no progress, which else is shown where standard error is a terminal");
  add("h,help", "this text");
  add_key_options(options);
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

TimeNs moment(const cxxopts::ParseResult& given, const char* option, TimeNs start) {
  const std::string text = given[option].as<std::string>();
  const auto value = parse_moment(text, start);
  if (!value) {
    usage(std::string("--") + option + " \"" + text +
          "\" is neither a duration such as 90s nor a time such as 2026-11-24T13:31:07Z");
  }
  return *value;
}

unsigned workers(const cxxopts::ParseResult& given) {
  const std::string text = given["workers"].as<std::string>();
  unsigned count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count > kMostWorkers)
    usage("--workers \"" + text + "\" is not a number from 0 to " + std::to_string(kMostWorkers));
  return count > 0 ? count : std::clamp(std::thread::hardware_concurrency(), 1U, kDefaultWorkers);
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
  if (options.order == Order::kTime && options.speed <= 0)
    usage("--order time has recorded times to keep: --speed max does not go with it");
  options.users = name_map(given, "user-map");
  options.databases = name_map(given, "database-map");
  const TimeNs start = recording.time_range().first;
  if (given.count("from") > 0) options.from = moment(given, "from", start);
  if (given.count("until") > 0) options.until = moment(given, "until", start);
  if (given.count("where") > 1) usage("--where is given more than once: join the conditions by \"and\"");
  if (given.count("where") > 0) {
    const auto scope = std::make_shared<ConditionScope>(recording, given["where"].as<std::string>());
    scope->prepare();
    options.wanted = [scope](const SessionDescriptor& session) { return scope->means(session); };
  }
  for (const auto& [time, mark] : {std::pair("from", "from-mark"), std::pair("until", "to-mark")}) {
    if (given.count(time) > 0 && given.count(mark) > 0)
      usage(std::string("--") + time + " and --" + mark + " do not go together");
  }
  if (given.count("from-mark") > 0)
    options.from = time_of_mark(recording, given["from-mark"].as<std::string>());
  if (given.count("to-mark") > 0) options.until = time_of_mark(recording, given["to-mark"].as<std::string>());
  options.stall_timeout = duration(given, "stall-timeout");
  options.target_timeout = duration(given, "target-timeout");
  return options;
}

std::string target_string(const cxxopts::ParseResult& given) {
  const std::string text = given["to"].as<std::string>();
  const bool uri = text.starts_with("postgresql://") || text.starts_with("postgres://");
  const bool conninfo = text.find("://") == std::string::npos && text.find('=') != std::string::npos;
  if (text.empty() || uri || conninfo) return text;  // empty: all of it from the environment
  usage("--to \"" + text +
        "\" is neither a URI (postgresql://user@host:5432/database) nor a conninfo string "
        "(host=... port=...)");
}

// What is replayed must not be recorded into what is read, nor be mixed up with another replay.
void check_record_directory(const std::filesystem::path& directory) {
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(directory, error)) {
    if (!parse_segment_name(file.path().filename().string())) continue;
    usage("--record " + directory.string() +
          ": there is a recording in it already; give each replay a directory of its own");
  }
}

// A replay repeats every write.
void warn_of_recorded_server(const Recording& recording, const proxy::Address& target) {
  SessionDirectory sessions(recording);
  const SessionDirectory::Entry* const first = sessions.peek();
  if (first == nullptr || first->summary.descriptor.backend != target.to_string()) return;
  std::fprintf(
      stderr,
      "understudy replay: warning: %s is the server that was recorded; what was written is written again\n",
      target.to_string().c_str());
}

// A name that was mistyped is told; of a replay that went all its way.
void warn_of_unmet(const char* option, const NameMap& map, const std::set<std::string>& met,
                   const ReplayResult& result) {
  if (result.sessions == 0 || result.stopped || !result.failure.empty()) return;
  std::string names;
  for (const auto& [name, other] : map) {
    if (name != "*" && !met.contains(name)) names += (names.empty() ? "" : ", ") + name;
  }
  if (names.empty()) return;
  std::fprintf(stderr, "understudy replay: warning: %s: no session that was replayed has the name %s\n",
               option, names.c_str());
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
  void wait(ReplayParts& replay, TimeNs recorded_start) {
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
  void show(const ReplayParts::Progress& progress, TimeNs recorded_start) {
    const std::uint64_t exchanges = progress.exchanges;
    const TimeNs at = std::max<TimeNs>(0, progress.recorded_at - recorded_start);
    std::fprintf(stderr, "\r\033[K%3.0f %%  %llu exchanges/s  %llu sessions open  %llu rescues",
                 span_ > 0 ? 100.0 * static_cast<double>(at) / static_cast<double>(span_) : 0.0,
                 static_cast<unsigned long long>(exchanges - last_exchanges_),
                 static_cast<unsigned long long>(progress.sessions_open),
                 static_cast<unsigned long long>(progress.rescues));
    if (paced_) {
      std::fprintf(stderr, "  lag: server %s, replay %s", format_duration(progress.server_slower).c_str(),
                   format_duration(progress.replayer_late).c_str());
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

void count_left_out(const Recording& recording, ReplayResult& result) {
  if (result.cut_at_gap.size() == 0 && result.continuing.size() == 0) return;
  const LeftOutParts parts = left_out_of(recording, result.cut_at_gap, result.continuing);
  result.requests_left_out = parts.behind_holes.requests;
  result.bytes_left_out = parts.behind_holes.bytes;
  result.sessions_begun_late = parts.begun_late;
  result.requests_before = parts.before_beginnings.requests;
  result.bytes_before = parts.before_beginnings.bytes;
}

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
  const Recording recording(path, reading_keys(given));
  ReplayOptions options = replay_options(given, recording);
  const unsigned threads = ReplayParts::useful_workers(workers(given), options.order);
  recorder::RecorderOptions recording_options;
  recorder::apply_recorder_options(given, recording_options);
  if (!recording_options.directory.empty()) check_record_directory(recording_options.directory);
  const bool json = given.count("json") > 0;
  const auto [first, last] = recording.time_range();
  Watch watch(given.count("quiet") == 0 && isatty(STDERR_FILENO) == 1, options.speed > 0, last - first);
  raise_descriptor_limit();
  Target target(target_string(given));
  options.own_database = target.database();
  warn_of_recorded_server(recording, target.address());

  proxy::Configuration configuration;
  configuration.backends = {target.address()};
  configuration.tls.servers = target.tls();
  configuration.workers = threads;
  configuration.limits.max_client_connections = std::numeric_limits<std::uint32_t>::max();
  std::unique_ptr<recorder::Recorder> recorder;
  if (!recording_options.directory.empty()) {
    recorder = std::make_unique<recorder::Recorder>(
        recording_options, configuration.workers,
        recorder::RecorderIdentity{"understudy " UNDERSTUDY_VERSION " replay", {{"source", recording.id()}}});
  }
  proxy::Proxy stage(configuration, recorder.get());
  stage.start();
  std::vector<proxy::Worker*> stages;
  for (unsigned i = 0; i < stage.worker_count(); ++i) stages.push_back(&stage.worker(i));
  ReplayParts run(recording, target, stages, options, [&watch] { watch.done(); });
  run.start();
  watch.wait(run, first);
  stage.stop();
  const bool whole = recorder == nullptr || recorder->finish();
  ReplayResult result = run.result();
  if (!result.stopped && result.failure.empty()) count_left_out(recording, result);
  const bool told = write_summary(result, options.speed > 0, json);
  for (const Damage& damage : recording.damage()) {
    std::fprintf(stderr, "understudy replay: %s, offset %llu: %s; %s passed over\n", damage.file.c_str(),
                 static_cast<unsigned long long>(damage.offset), damage.what.c_str(),
                 format_size(damage.bytes).c_str());
  }
  if (!whole) std::fputs("understudy replay: not everything could be recorded\n", stderr);
  if (result.sessions_failed > 0)
    std::fprintf(stderr, "understudy replay: %s\n", failed_logins_in_words(result).c_str());
  if (const std::string hidden = hidden_passwords_in_words(result); !hidden.empty())
    std::fprintf(stderr, "understudy replay: warning: %s\n", hidden.c_str());
  warn_of_unmet("--user-map", options.users, result.users_mapped, result);
  warn_of_unmet("--database-map", options.databases, result.databases_mapped, result);
  if (result.sessions == 0) std::fputs("understudy replay: there was no session to replay\n", stderr);
  if (!result.failure.empty()) std::fprintf(stderr, "understudy replay: %s\n", result.failure.c_str());
  if (result.stopped || result.nobody_logged_in() || !whole || !told || !result.failure.empty()) return 1;
  return result.in_part() ? kExitInPart : 0;
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
