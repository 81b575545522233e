#include "recorder/import/import_options.h"

#include <cstdio>
#include <cxxopts.hpp>

#include "formats/command.h"
#include "formats/logs/log_line_prefix.h"
#include "recorder/given_options.h"

namespace understudy::recorder {
namespace {

constexpr const char* kNotes =
    "\nFILE is a log of PostgreSQL 12 to 18 (stderr, csvlog or jsonlog) or what pgreplay -f wrote, plain or\n"
    "compressed by gzip or zstd, or - for standard input; rotated files are read in the order of their\n"
    "first records. Of a server that writes several dialects, give one: they tell the same.\n"
    "\nThe server must have logged log_statement = all or log_min_duration_statement = 0; both, or\n"
    "log_duration, tell when statements were answered. Also wanted: log_connections and\n"
    "log_disconnections, and with stderr a log_line_prefix with %m (or %n), %c (or %p), %u and %d; %r, %a\n"
    "and %e tell more.\n"
    "lc_messages must be English, log_parameter_max_length -1 (its default).\n"
    "\nA log knows no types of parameters, rows, command tags and COPY data. They are absent from the\n"
    "recording, which says so: diff compares errors, and latencies where there are durations. COPY FROM\n"
    "STDIN is replayed without data. Passwords in SQL are overwritten with x.\n"
    "\nExit codes: 0 all that the logs tell of sessions is on record; 1 could not start, or failed; 2 bad\n"
    "usage; 3 in part: lines that cannot be read, statements that cannot be said again.\n";

cxxopts::Options command_options() {
  cxxopts::Options options("understudy import", "Turns a server's logs into a recording.\n");
  options.custom_help("FILE... --output DIR [OPTIONS]");
  options.set_width(kHelpColumns);
  auto add = options.add_options();
  add("output", "the recording's directory; created (mode 0700) if absent", cxxopts::value<std::string>(),
      "DIR");
  add("format", "what the files are: auto, stderr, csv, json or pgreplay (word, auto)",
      cxxopts::value<std::string>(), "WORD");
  add("log-line-prefix", "the server's log_line_prefix, for stderr (told from the lines)",
      cxxopts::value<std::string>(), "TEXT");
  add("json", "the summary as JSON");
  add("h,help", "this text");
  add_recorder_options(options, false);
  return options;
}

std::optional<logs::LogFormat> format_of(const std::string& word) {
  using logs::LogFormat;
  if (word.empty() || word == "auto") return std::nullopt;
  for (const LogFormat format :
       {LogFormat::kStderr, LogFormat::kCsv, LogFormat::kJson, LogFormat::kPgreplay}) {
    if (word == logs::format_name(format)) return format;
  }
  refuse("--format " + word + ": expected auto, stderr, csv, json or pgreplay");
}

ImportOptions options_of(const cxxopts::ParseResult& given) {
  ImportOptions options;
  options.files = file_arguments(given);
  if (options.files.empty()) refuse("expected the names of log files, or - for standard input");
  options.recording.directory = text_of(given, "output");
  if (options.recording.directory.empty()) refuse("expected --output DIR");
  options.dialect.format = format_of(text_of(given, "format"));
  options.dialect.prefix = text_of(given, "log-line-prefix");
  if (!options.dialect.prefix.empty()) {
    const logs::LogLinePrefix prefix(options.dialect.prefix);
    if (!prefix.tells_sessions() || !(prefix.has('m') || prefix.has('t') || prefix.has('n'))) {
      refuse("--log-line-prefix " + options.dialect.prefix +
             ": without %c or %p sessions cannot be told apart, nor without %m, %t or %n when they spoke");
    }
    if (!options.dialect.format) options.dialect.format = logs::LogFormat::kStderr;
    if (*options.dialect.format != logs::LogFormat::kStderr)
      refuse("--log-line-prefix is for --format stderr");
  }
  options.json = given.count("json") != 0;
  apply_recorder_options(given, options.recording);
  return options;
}

}  // namespace

std::optional<ImportOptions> read_import_options(int argc, char** argv) {
  cxxopts::Options options = command_options();
  const cxxopts::ParseResult given = options.parse(argc, argv);
  if (given.count("help") != 0) {
    std::fputs((options.help() + kNotes).c_str(), stdout);
    return std::nullopt;
  }
  return options_of(given);
}

}  // namespace understudy::recorder
