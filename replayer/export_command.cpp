// understudy export: parses its options and hands the recording to one of its writers.
#include <filesystem>

#include "replayer/command_frame.h"
#include "replayer/commands.h"
#include "replayer/export/json_export.h"
#include "replayer/export/pcapng_export.h"
#include "replayer/export/pgbench_export.h"
#include "replayer/export/pgreplay_export.h"
#include "replayer/export/sql_export.h"
#include "replayer/export/table_export.h"
#include "replayer/reading_keys.h"
#include "replayer/recording_lookup.h"

namespace understudy::replayer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNotes =
    "\njsonl: a JSON object a line for every message and event, in order of time: session, time,\n"
    "direction, type and what the message says. Text is text; binary values, and text that is not\n"
    "UTF-8, are an object {\"hex\": ..., \"format\": \"binary\" or \"text\"}. Messages over 16 MiB are told "
    "by\n"
    "length and XXH64 only.\n"
    "\nsql: a script for psql, session after session; into DIR/, a script a session. Parameters\n"
    "are put in place as literals, COPY data is inline. What failed when recorded is a comment, and so\n"
    "is what SQL cannot express (binary COPY, binary parameters of unknown types, function calls,\n"
    "replication): it is counted on standard error.\n"
    "\npcapng: the sessions as TCP conversations, for Wireshark or tshark (its pgsql dissector) and\n"
    "understudy record --pcap. Sessions of Unix sockets are given addresses. Comments say what is a\n"
    "secret and was never recorded; what is missing is missing in the sequence numbers.\n"
    "\npgreplay: the csv log of a server that logs all statements, for pgreplay -c.\n"
    "\npgbench: the transactions as scripts for pgbench -f, one a kind, into --output DIR; the command\n"
    "that runs them as often as they were recorded is printed (with PGCLIENTENCODING where they are not\n"
    "ASCII; one for each encoding that clients had). Whole numbers are variables, which take the values\n"
    "of up to 100 recorded transactions; other constants tell kinds apart. DDL and COPY are left out.\n"
    "\ncsv, ndjson: the tables sessions, statements and errors, a file each in --output DIR; what\n"
    "defines and loads them is printed, for psql or (--ddl duckdb) for DuckDB. Of statements, those for\n"
    "which --where holds; of errors, those of the sessions that are in it.\n"
    "\nThe other formats take whole sessions: those in which --where holds for a statement.\n";

constexpr const char* kExitCodes =
    "\nExit codes: 0 exported; 1 could not; 2 bad usage; 3 exported but for what is damaged in the\n"
    "recording, or was cut off its end (told on standard error).\n";

constexpr const char* kFormats = "jsonl|sql|pcapng|pgreplay|pgbench|csv|ndjson";

std::optional<SessionSummary> session_named(const cxxopts::ParseResult& given, const Recording& recording) {
  const std::string text = option(given, "session");
  if (text.empty()) return std::nullopt;
  const auto session = find_session(recording, parse_session_id(text).value_or(SessionId{}));
  if (!session) throw std::runtime_error(recording.path() + ": no session " + text + " in it");
  return session;
}

bool is_several_files(const std::string& format) {
  return format == "csv" || format == "ndjson" || format == "pgbench";
}
bool is_tables(const std::string& format) { return format == "csv" || format == "ndjson"; }

// Whether --output names a directory: one that is there, or ends in a slash.
bool names_directory(const std::string& output) {
  std::error_code error;
  return output.ends_with('/') || fs::is_directory(output, error);
}

fs::path output_directory(const cxxopts::ParseResult& given, const Recording& recording) {
  const std::string output = option(given, "output");
  std::error_code error;
  if (fs::equivalent(output, recording.path(), error))
    usage("--output \"" + output + "\" is the recording itself: name another directory");
  fs::create_directories(output);
  return output;
}

template <typename Write>
int to_file(const cxxopts::ParseResult& given, const Recording& recording, Write&& write) {
  std::optional<Output> file;
  if (given.count("output") > 0) {
    refuse_to_overwrite(recording, "output", option(given, "output"));
    file.emplace(option(given, "output"));
  } else {
    file.emplace();
  }
  const auto counts = write(*file);
  file->finish();
  tell(counts);
  return 0;
}

int to_tables(const cxxopts::ParseResult& given, const Recording& recording, ExportChoice& choice) {
  const TableFormat format = option(given, "format") == "csv" ? TableFormat::kCsv : TableFormat::kNdjson;
  const fs::path directory = output_directory(given, recording);
  tell(export_tables(recording, choice, format, directory));
  Output out;
  print_table_definitions(
      option(given, "ddl") == "duckdb" ? TableDatabase::kDuckdb : TableDatabase::kPostgresql, format,
      directory, out);
  out.finish();
  return 0;
}

int write_export(const cxxopts::ParseResult& given, const Recording& recording, ExportChoice& choice) {
  const std::string format = option(given, "format");
  if (is_tables(format)) return to_tables(given, recording, choice);
  if (format == "sql" && names_directory(option(given, "output"))) {
    tell(export_sql_files(recording, choice, output_directory(given, recording)));
    return 0;
  }
  if (format == "pgbench") {
    Output out;
    tell(export_pgbench(recording, choice, output_directory(given, recording), out));
    out.finish();
    return 0;
  }
  const auto with = [&](auto write) {
    return to_file(given, recording, [&](Output& out) { return write(recording, choice, out); });
  };
  if (format == "sql") return with(export_sql);
  if (format == "pcapng") return with(export_pcapng);
  if (format == "pgreplay") return with(export_pgreplay);
  return with(export_json);
}

void check_usage(const cxxopts::ParseResult& given) {
  const std::string format = option(given, "format");
  if (format.empty()) usage(std::string("--format must be given: ") + kFormats);
  if (format.find('|') != std::string::npos ||
      ("|" + std::string(kFormats) + "|").find("|" + format + "|") == std::string::npos)
    usage("--format \"" + format + "\" is none of " + kFormats);
  if (given.count("session") > 0 && !parse_session_id(option(given, "session")))
    usage("--session \"" + option(given, "session") + "\" is not RUN.NUMBER, such as 1.17");
  if (is_several_files(format) && option(given, "output").empty())
    usage("--format " + format + " writes several files: --output names the directory for them");
  const std::string ddl = option(given, "ddl");
  if (!ddl.empty() && ddl != "postgresql" && ddl != "duckdb")
    usage("--ddl \"" + ddl + "\" is neither postgresql nor duckdb");
  if (!ddl.empty() && !is_tables(format)) usage("--ddl goes with --format csv and --format ndjson");
}

int export_recording(const cxxopts::ParseResult& given, const std::string& path) {
  check_usage(given);
  const Recording recording(path, reading_keys(given));
  ConditionScope scope(recording, where_option(given));
  ExportChoice choice(session_named(given, recording), scope);
  const int code = write_export(given, recording, choice);
  tell_if_unmatched("export", scope);
  const bool damaged = warn_of_damage("export", recording);
  return code == 0 && damaged ? kExitInPart : code;
}

}  // namespace

int run_export(int argc, char** argv) {
  cxxopts::Options options = command_options("export", "Turns a recording into what other programs read.");
  options.custom_help("RECORDING --format FORMAT [options]");
  auto add = options.add_options();
  add("format", std::string("must be given: ") + kFormats, cxxopts::value<std::string>(), "FORMAT");
  add("session", "only this session", cxxopts::value<std::string>(), "RUN.NUMBER");
  add("where", "only what fulfils this condition (below)", cxxopts::value<std::string>(), "CONDITION");
  add("output", "where to write (else standard output); overwritten, but never a segment of RECORDING",
      cxxopts::value<std::string>(), "FILE|DIR");
  add("ddl", "of csv and ndjson: print definitions for postgresql (default) or duckdb",
      cxxopts::value<std::string>(), "DATABASE");
  return run_command(options, std::string(kNotes) + Condition::kGrammar + kExitCodes, argc, argv,
                     export_recording);
}

}  // namespace understudy::replayer
