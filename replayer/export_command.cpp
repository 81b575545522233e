// understudy export: parses its options and hands the recording to one of two writers.
#include "replayer/command_frame.h"
#include "replayer/commands.h"
#include "replayer/export/json_export.h"
#include "replayer/export/sql_export.h"
#include "replayer/recording_lookup.h"

namespace understudy::replayer {
namespace {

constexpr const char* kNotes =
    "\njsonl: a JSON object a line for every message and event, in order of time: session, time, direction,\n"
    "type and what the message says. Text is text; binary values, and text that is not UTF-8, are an object\n"
    "{\"hex\": ..., \"format\": \"binary\" or \"text\"}. Messages over 16 MiB are told by length and XXH64 "
    "only.\n"
    "\nsql: a script for psql, session after session. Parameters are put in place as literals, COPY data is\n"
    "inline. What failed when recorded is a comment, and so is what SQL cannot express (binary COPY, binary\n"
    "parameters of unknown types, function calls, replication): it is counted on standard error.\n"
    "\nExit codes: 0 exported; 1 could not; 2 bad usage.\n";

std::optional<SessionSummary> session_named(const cxxopts::ParseResult& given, const Recording& recording) {
  const std::string text = option(given, "session");
  if (text.empty()) return std::nullopt;
  const auto session = find_session(recording, parse_session_id(text).value_or(SessionId{}));
  if (!session) throw std::runtime_error(recording.path() + ": no session " + text + " in it");
  return session;
}

int export_recording(const cxxopts::ParseResult& given, const std::string& path) {
  const std::string format = option(given, "format");
  if (format.empty()) usage("--format jsonl or --format sql must be given");
  if (format != "jsonl" && format != "sql") usage("--format \"" + format + "\" is neither jsonl nor sql");
  if (given.count("session") > 0 && !parse_session_id(option(given, "session")))
    usage("--session \"" + option(given, "session") + "\" is not RUN.NUMBER, such as 1.17");
  const Recording recording(path);
  const auto session = session_named(given, recording);
  std::optional<Output> file;
  if (given.count("output") > 0) {
    refuse_to_overwrite(recording, "output", option(given, "output"));
    file.emplace(option(given, "output"));
  } else {
    file.emplace();
  }
  if (format == "sql") {
    const SqlExportCounts counts = export_sql(recording, session, *file);
    file->finish();
    tell(counts);
  } else {
    const JsonExportCounts counts = export_json(recording, session, *file);
    file->finish();
    tell(counts);
  }
  warn_of_damage("export", recording);
  return 0;
}

}  // namespace

int run_export(int argc, char** argv) {
  cxxopts::Options options = command_options("export", "Turns a recording into JSON lines or SQL.");
  options.custom_help("RECORDING --format jsonl|sql [options]");
  auto add = options.add_options();
  add("format", "what to write; must be given", cxxopts::value<std::string>(), "jsonl|sql");
  add("session", "only this session", cxxopts::value<std::string>(), "RUN.NUMBER");
  add("output", "where to write (else standard output); overwritten, but never a segment of RECORDING",
      cxxopts::value<std::string>(), "FILE");
  return run_command(options, kNotes, argc, argv, export_recording);
}

}  // namespace understudy::replayer
