// understudy show: parses its options and hands them to one of three views: the sessions, one session, the
// statistics.
#include "replayer/command_frame.h"
#include "replayer/commands.h"
#include "replayer/recording_lookup.h"
#include "replayer/show/recording_statistics.h"
#include "replayer/show/session_list.h"
#include "replayer/show/session_listing.h"
#include "replayer/text_width.h"

namespace understudy::replayer {
namespace {

constexpr const char* kNotes =
    "\nA table of sessions; with --session one session's messages, a line each; with --stats the whole.\n"
    "PATTERN may hold * (anything) and ? (one character). TIME is how far into the recording (90s, 5min, "
    "1.5h)\n"
    "or a time (2026-11-24T13:31:07.5Z; UTC unless it ends in an offset such as +02:00). Sessions are shown\n"
    "that were open at some time between --from and --until; with --session, what passed between them. The\n"
    "first column of --session is seconds since that session opened, not into the recording as TIME is.\n"
    "REQUESTS counts Query, Execute and FunctionCall messages. SENT is what the client sent, RECEIVED what "
    "it\n"
    "was sent. Control characters of recorded text are shown as \\n, \\t, \\r or \\xhh; in 'values' a "
    "backslash "
    "is\n"
    "\\\\ and a quote \\'. Bytes that are no text are \\xhex without quotes.\n"
    "\nExit codes: 0 shown; 1 could not; 2 bad usage.\n";

TimeNs moment(const cxxopts::ParseResult& given, const char* name, TimeNs start, TimeNs otherwise) {
  if (given.count(name) == 0) return otherwise;
  const std::string text = option(given, name);
  const auto time = parse_moment(text, start);
  if (!time) {
    usage(std::string("--") + name + " \"" + text +
          "\" is neither a duration such as 90s nor a time such as 2026-11-24T13:31:07Z");
  }
  return *time;
}

void refuse_together(const cxxopts::ParseResult& given, const char* with,
                     std::initializer_list<const char*> others) {
  if (given.count(with) == 0) return;
  for (const char* other : others) {
    if (given.count(other) > 0) usage(std::string("--") + with + " and --" + other + " do not go together");
  }
}

std::uint64_t limit(const cxxopts::ParseResult& given) {
  return given.count("limit") > 0 ? count_option(given, "limit") : UINT64_MAX;
}

// To which what is shown is abridged; 0: not at all.
std::size_t columns(const cxxopts::ParseResult& given) {
  return given.count("full") > 0 ? 0 : output_columns(kAbridgeColumns);
}

void check_usage(const cxxopts::ParseResult& given) {
  refuse_together(given, "stats",
                  {"session", "user", "database", "application", "client", "from", "until", "limit", "full"});
  refuse_together(given, "session", {"user", "database", "application", "client"});
  if (given.count("session") > 0 && !parse_session_id(option(given, "session")))
    usage("--session \"" + option(given, "session") + "\" is not RUN.NUMBER, such as 1.17");
  if (limit(given) == 0) usage("--limit 0 would show nothing");
}

void show_list(const cxxopts::ParseResult& given, const Recording& recording, Output& out) {
  const TimeNs start = recording.time_range().first;
  SessionListOptions options;
  options.filter.user = option(given, "user");
  options.filter.database = option(given, "database");
  options.filter.application = option(given, "application");
  options.filter.client = option(given, "client");
  options.filter.from = moment(given, "from", start, options.filter.from);
  options.filter.until = moment(given, "until", start, options.filter.until);
  options.limit = limit(given);
  options.columns = columns(given);
  options.json = given.count("json") > 0;
  list_sessions(recording, options, out);
}

void show_one(const cxxopts::ParseResult& given, const Recording& recording, Output& out) {
  const TimeNs start = recording.time_range().first;
  const SessionId id = parse_session_id(option(given, "session")).value_or(SessionId{});
  const auto session = find_session(recording, id);
  if (!session) throw std::runtime_error(recording.path() + ": no session " + id.to_string() + " in it");
  SessionListingOptions options;
  options.from = moment(given, "from", start, options.from);
  options.until = moment(given, "until", start, options.until);
  options.limit = limit(given);
  options.columns = columns(given);
  options.json = given.count("json") > 0;
  show_session(recording, *session, options, out);
}

void show_statistics(const cxxopts::ParseResult& given, const Recording& recording, Output& out) {
  const RecordingStatistics statistics = collect_statistics(recording);
  if (given.count("json") > 0) return print_statistics_json(statistics, recording, out);
  print_statistics(statistics, recording, output_columns(kWrapColumns), out);
}

int show(const cxxopts::ParseResult& given, const std::string& path) {
  check_usage(given);
  const Recording recording(path);
  Output out;
  if (given.count("stats") > 0) {
    show_statistics(given, recording, out);
  } else if (given.count("session") > 0) {
    show_one(given, recording, out);
  } else {
    show_list(given, recording, out);
  }
  out.finish();
  warn_of_damage("show", recording);
  return 0;
}

}  // namespace

int run_show(int argc, char** argv) {
  cxxopts::Options options =
      command_options("show", "Lists a recording's sessions, or one session's messages.");
  auto add = options.add_options();
  add("user", "only sessions of these users", cxxopts::value<std::string>(), "PATTERN");
  add("database", "only sessions in these databases", cxxopts::value<std::string>(), "PATTERN");
  add("application", "only sessions with such an application_name", cxxopts::value<std::string>(), "PATTERN");
  add("client", "only sessions from these addresses", cxxopts::value<std::string>(), "PATTERN");
  add("from", "only what was going on from here on", cxxopts::value<std::string>(), "TIME");
  add("until", "and before this", cxxopts::value<std::string>(), "TIME");
  add("limit", "so many sessions, or messages, at most", cxxopts::value<std::string>(), "N");
  add("session", "show what this session said", cxxopts::value<std::string>(), "RUN.NUMBER");
  add("stats", "show what the recording amounts to, and what is missing in it");
  add("full", "abridge nothing (else to COLUMNS, the terminal's width, or 240)");
  add("json", "all of it as one JSON document, times to the nanosecond");
  return run_command(options, kNotes, argc, argv, show);
}

}  // namespace understudy::replayer
