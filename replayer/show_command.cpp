// understudy show: parses its options and hands them to one of its views: the sessions, one session, the
// statistics, the statements that cost most, the marks, a recording as it grows.
#include <Poco/JSON/Array.h>

#include "formats/command.h"
#include "replayer/command_frame.h"
#include "replayer/commands.h"
#include "replayer/condition_scope.h"
#include "replayer/message_json.h"
#include "replayer/readable.h"
#include "replayer/reading_keys.h"
#include "replayer/recording_lookup.h"
#include "replayer/recording_marks.h"
#include "replayer/show/follow.h"
#include "replayer/show/recording_statistics.h"
#include "replayer/show/session_list.h"
#include "replayer/show/session_listing.h"
#include "replayer/show/statement_summary.h"
#include "replayer/text_width.h"

namespace understudy::replayer {
namespace {

constexpr const char* kNotes =
    "\nA table of sessions; with --session one session's messages, a line each; with --stats the whole;\n"
    "with --top the statements that cost most, alike but for their constants; with --follow what is\n"
    "recorded now.\n"
    "PATTERN may hold * (anything) and ? (one character). TIME is how far into the recording (90s,\n"
    "5min, 1.5h) or a time (2026-11-24T13:31:07.5Z; UTC unless it ends in an offset such as +02:00).\n"
    "Sessions are shown that were open at some time between --from and --until; with --session, what\n"
    "passed between them. The first column of --session is seconds since that session opened, not into\n"
    "the recording as TIME is.\n"
    "REQUESTS counts Query, Execute and FunctionCall messages, behind a gap of a capture too. Behind\n"
    "other gaps, and damage, nobody knows where messages begin: bytes not read as such are told.\n"
    "SENT is what the client sent, RECEIVED what it was sent. Control characters of recorded text are\n"
    "shown as \\n, \\t, \\r or \\xhh; in 'values' a backslash is \\\\ and a quote \\'. Bytes that are no "
    "text\n"
    "are \\xhex without quotes.\n";

constexpr const char* kExitCodes =
    "\nExit codes: 0 shown; 1 could not; 2 bad usage; 3 shown but for what is damaged in the recording, or\n"
    "was cut off its end (told on standard error; not with --follow).\n";

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
                  {"session", "user", "database", "application", "client", "from", "until", "limit", "full",
                   "where", "top"});
  refuse_together(given, "session", {"user", "database", "application", "client", "where", "top"});
  refuse_together(given, "top", {"user", "database", "application", "client", "from", "until", "limit"});
  refuse_together(given, "follow",
                  {"stats", "session", "top", "user", "database", "application", "client", "until", "limit"});
  if (given.count("by") > 0 && given.count("top") == 0) usage("--by goes with --top");
  if (given.count("by") > 0 && !parse_summary_order(option(given, "by")))
    usage("--by \"" + option(given, "by") + "\" is none of time, calls, bytes, errors");
  if (given.count("top") > 0 && count_option(given, "top") == 0) usage("--top 0 would show nothing");
  refuse_together(given, "marks",
                  {"stats", "session", "top", "follow", "where", "user", "database", "application", "client",
                   "from", "until", "limit", "full"});
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
  ConditionScope scope(recording, where_option(given));
  if (!scope.is_everything())
    options.filter.also = [&scope](const SessionDescriptor& session) { return scope.means(session); };
  list_sessions(recording, options, out);
  tell_if_unmatched("show", scope);
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

void show_top(const cxxopts::ParseResult& given, const Recording& recording, Output& out) {
  StatementSummaryOptions options;
  options.limit = count_option(given, "top");
  if (given.count("by") > 0) options.order = *parse_summary_order(option(given, "by"));
  options.columns = columns(given);
  options.json = given.count("json") > 0;
  const ConditionScope scope(recording, where_option(given));
  summarise_statements(recording, scope, options, out);
  tell_if_unmatched("show", scope);
}

void follow(const cxxopts::ParseResult& given, const std::string& path, Output& out) {
  FollowOptions options;
  options.where = where_option(given);
  options.keys = reading_keys(given);
  if (given.count("from") > 0)
    options.from = moment(given, "from", Recording(path, options.keys).time_range().first, 0);
  options.columns = columns(given);
  options.json = given.count("json") > 0;
  follow_recording(path, options, out);
}

void show_marks(const cxxopts::ParseResult& given, const Recording& recording, Output& out) {
  constexpr std::size_t kMarkBytes = 4000;
  const std::vector<RecordingMark> marks = recording_marks(recording);
  if (marks.empty())
    std::fputs("understudy show: there is no mark in it; understudy ctl record mark TEXT sets one\n", stderr);
  if (given.count("json") == 0) {
    for (const RecordingMark& mark : marks) {
      out.line(format_time(mark.time) + "  " + readable_text(mark.text, kMarkBytes));
    }
    return;
  }
  Poco::JSON::Array list;
  for (const RecordingMark& mark : marks) {
    Poco::JSON::Object one = json_object();
    one.set("time", format_time(mark.time, 9));
    one.set("text", json_text(mark.text));
    list.add(one);
  }
  Poco::JSON::Object all = json_object();
  all.set("marks", list);
  out.write(to_line(all));
}

int show(const cxxopts::ParseResult& given, const std::string& path) {
  check_usage(given);
  Output out;
  if (given.count("follow") > 0) {
    follow(given, path, out);
    return 0;
  }
  const Recording recording(path, reading_keys(given));
  if (given.count("stats") > 0) {
    show_statistics(given, recording, out);
  } else if (given.count("top") > 0) {
    show_top(given, recording, out);
  } else if (given.count("marks") > 0) {
    show_marks(given, recording, out);
  } else if (given.count("session") > 0) {
    show_one(given, recording, out);
  } else {
    show_list(given, recording, out);
  }
  out.finish();
  return warn_of_damage("show", recording) ? kExitInPart : 0;
}

// "--top 5" as "--top=5": the number may be left out, so the parser of options would not take it.
std::vector<std::string> joined_arguments(int argc, char** argv) {
  std::vector<std::string> out;
  for (int i = 0; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool number =
        !argument.empty() && argument.find_first_not_of("0123456789") == std::string_view::npos;
    if (number && !out.empty() && out.back() == "--top") {
      out.back() += "=" + std::string(argument);
    } else {
      out.emplace_back(argument);
    }
  }
  return out;
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
  add("where", "only what fulfils this condition (below)", cxxopts::value<std::string>(), "CONDITION");
  add("limit", "so many sessions, or messages, at most", cxxopts::value<std::string>(), "N");
  add("session", "show what this session said", cxxopts::value<std::string>(), "RUN.NUMBER");
  add("stats", "show what the recording amounts to, and what is missing in it");
  add("top", "show the N kinds of statements that cost most",
      cxxopts::value<std::string>()->implicit_value("20"), "N");
  add("by", "what they cost: time, calls, bytes or errors; default: time", cxxopts::value<std::string>(),
      "ORDER");
  add("follow",
      "show statements as they are recorded, a line each, until the recording ends or Ctrl-C;\n"
      "with --from those since then first");
  add("marks", "show the marks that were set in it (understudy ctl record mark)");
  add("full", "abridge nothing (else to COLUMNS, the terminal's width, or 240)");
  add("json", "all of it as one JSON document, times to the nanosecond");
  std::vector<std::string> arguments = joined_arguments(argc, argv);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  return run_command(options, std::string(kNotes) + Condition::kGrammar + kExitCodes,
                     static_cast<int>(arguments.size()), pointers.data(), show);
}

}  // namespace understudy::replayer
