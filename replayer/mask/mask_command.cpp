// understudy mask and understudy mask-sql: their options, and the table at the end.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "formats/command.h"
#include "formats/transcript/segment_name.h"
#include "formats/wire/sql_text.h"
#include "replayer/command_frame.h"
#include "replayer/commands.h"
#include "replayer/mask/mask_functions.h"
#include "replayer/mask/mask_report.h"
#include "replayer/mask/recording_masker.h"
#include "replayer/output.h"
#include "replayer/reading_keys.h"
#include "replayer/recording_lookup.h"

namespace understudy::replayer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKeySetting = "understudy.mask_key";

constexpr const char* kRulesHelp =
    "\nRULES, a line each; \"#\" begins a comment, \" as FAMILY\" may follow each rule:\n"
    "  column NAME         values of columns of that name, and result columns that are called so\n"
    "  column TABLE.NAME   of one table, written without its schema\n"
    "  type TYPE           every value of a type: text, int8, numeric, uuid, date, bytea, ...\n"
    "  pattern REGEX       every text in which this POSIX extended regular expression is found, whole\n"
    "  table NAME (COLUMN, ...)  its columns in order, for INSERT and COPY that name none; masks nothing\n"
    "Equal values of a family get equal tokens. Without a family all are of one, and joins survive.\n";

constexpr const char* kMaskNotes =
    "\nA token has its value's length and classes of characters: it tells them, and which values are equal\n"
    "and how often they come, and nothing else to whom the key is not known. The order of values is lost.\n"
    "\nExit codes: 0 masked; 1 could not; 2 bad usage. What could not be judged is hidden, and counted.\n";

constexpr const char* kSqlNotes =
    "\nRun it on a copy of the database, as a superuser; the database's encoding must be UTF8:\n"
    "  understudy mask-sql --rules RULES > mask.sql\n"
    "  PGOPTIONS=\"-c understudy.mask_key=$(cat KEY)\" psql -v ON_ERROR_STOP=1 -f mask.sql\n"
    "Columns whose type has no tokens (boolean, float, json, arrays) end it with an error: see README.\n"
    "\nExit codes: 0 printed; 1 could not; 2 bad usage.\n";

std::string read_file(const std::string& path, const char* what) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    throw std::runtime_error(std::string(what) + " " + path + " cannot be read, or is empty");
  return text.str();
}

masking::Rules read_rules(const cxxopts::ParseResult& given) {
  const std::string path = option(given, "rules");
  if (path.empty()) usage("--rules RULES must be given");
  return masking::Rules(read_file(path, "the rules file"), path);
}

// The file's text, without blanks around it: what a shell's $(cat FILE) gives.
std::string read_key(const std::string& path) {
  std::string key = read_file(path, "the key file");
  const std::size_t begin = std::min(key.find_first_not_of(" \t\r\n"), key.size());
  key = key.substr(begin, key.find_last_not_of(" \t\r\n") + 1 - begin);
  if (key.size() < masking::Tokens::kMinKeyBytes || key.find('\0') != std::string::npos)
    throw std::runtime_error(path +
                             ": a masking key is a text of 16 characters or more; `openssl rand -hex 32 > " +
                             path + "` makes one");
  return key;
}

void refuse_full_directory(const std::string& output) {
  std::error_code error;
  if (!fs::exists(output, error)) return;
  if (!fs::is_directory(output, error)) usage("--output \"" + output + "\" is no directory");
  for (const fs::directory_entry& entry : fs::directory_iterator(output)) {
    if (parse_segment_name(entry.path().filename().string()))
      usage("--output \"" + output + "\" holds a recording already: name another directory");
  }
}

int mask(const cxxopts::ParseResult& given, const std::string& path) {
  const std::string key_file = option(given, "mask-key-file");
  const std::string output = option(given, "output");
  if (output.empty()) usage("--output DIR must be given");
  if (key_file.empty()) usage("--mask-key-file KEY must be given");
  refuse_full_directory(output);
  const masking::Rules rules = read_rules(given);
  ValueMasker masker(rules, read_key(key_file));
  const Recording recording(path, reading_keys(given));
  mask_recording(recording, masker, output);
  Output out;
  out.write(given.count("json") > 0 ? mask_report_json(masker.counts(), rules)
                                    : mask_report(masker.counts(), rules, output));
  out.finish();
  std::istringstream unused(unused_rules(masker.counts(), rules));
  for (std::string line; std::getline(unused, line);)
    std::fprintf(stderr, "understudy mask: %s, %s\n", option(given, "rules").c_str(), line.c_str());
  warn_of_damage("mask", recording);
  return 0;
}

// Without a key nothing is begun.
std::string key_check(const std::string& setting) {
  const std::string quoted = wire::quote_literal(setting);
  return "DO $key$ BEGIN\n  IF length(coalesce(current_setting(" + quoted +
         ", true), '')) < 16 THEN\n    RAISE 'no masking key in the setting %', " + quoted +
         " USING HINT =\n      '`openssl rand -hex 32 > KEY` makes one; PGOPTIONS=\"-c " + setting +
         "=$(cat KEY)\" gives it to psql, or mask-sql --mask-key-file KEY writes it into the SQL';\n"
         "  END IF;\nEND $key$;";
}

int mask_sql(const cxxopts::ParseResult& given) {
  const masking::Rules rules = read_rules(given);
  const std::string key_file = option(given, "mask-key-file");
  const std::string key =
      key_file.empty() ? std::string() : read_key(key_file);  // before anything is printed
  std::string setting = option(given, "key-setting");
  if (setting.empty()) setting = kKeySetting;
  const auto is_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  };
  if (setting.find('.') == std::string::npos || !std::all_of(setting.begin(), setting.end(), is_name))
    usage("--key-setting \"" + setting + "\" is no setting of one's own, such as " + kKeySetting);
  Output out;
  out.line(
      "-- Masks a copy of a database as `understudy mask` masks recordings, in one transaction. Made by\n"
      "-- understudy " UNDERSTUDY_VERSION ". Run it as a superuser, with the key in a setting:\n--   SET " +
      setting + " = '...';\n-- DROP SCHEMA understudy CASCADE; removes the functions again.");
  if (!key_file.empty()) out.line("SET " + setting + " = " + wire::quote_literal(key) + ";");
  if (key.empty() && given.count("functions-only") == 0) out.line(key_check(setting));
  out.line("BEGIN;");
  out.write(mask_functions_sql(setting));
  if (given.count("functions-only") == 0) out.write(mask_tables_sql(rules));
  out.line("COMMIT;");
  out.finish();
  return 0;
}

}  // namespace

int run_mask(int argc, char** argv) {
  cxxopts::Options options =
      command_options("mask", "Puts keyed tokens in the place of values in a recording.");
  options.custom_help("RECORDING --rules RULES --mask-key-file KEY --output DIR [options]");
  auto add = options.add_options();
  add("rules", "which values; must be given", cxxopts::value<std::string>(), "RULES");
  add("mask-key-file", "the key: a text of 16 characters or more; must be given",
      cxxopts::value<std::string>(), "KEY");
  add("output", "where the masked recording goes; must be given, and hold none yet",
      cxxopts::value<std::string>(), "DIR");
  add("json", "the closing table as JSON");
  return run_command(options, std::string(kRulesHelp) + kMaskNotes, argc, argv, mask);
}

int run_mask_sql(int argc, char** argv) {
  cxxopts::Options options("understudy mask-sql",
                           "Prints SQL that masks a database as mask does a recording.\n");
  options.set_width(kHelpColumns);
  options.custom_help("--rules RULES [options]");
  options.positional_help("");
  auto add = options.add_options();
  add("h,help", "this text");
  add("rules", "which values; must be given", cxxopts::value<std::string>(), "RULES");
  add("mask-key-file", "write the key of this file into the SQL (default: it is in a setting)",
      cxxopts::value<std::string>(), "KEY");
  add("key-setting", "the setting that holds the key (default: understudy.mask_key)",
      cxxopts::value<std::string>(), "NAME");
  add("functions-only", "only the functions: understudy.mask(value, family)");
  try {
    const auto given = options.parse(argc, argv);
    if (given.count("help") > 0) {
      std::fputs((options.help({""}) + kRulesHelp + kSqlNotes).c_str(), stdout);
      return 0;
    }
    if (!given.unmatched().empty()) usage("\"" + given.unmatched().front() + "\" is no option");
    return mask_sql(given);
  } catch (const OutputClosed&) {
    return 0;
  } catch (const cxxopts::exceptions::exception& error) {
    std::fprintf(stderr, "understudy mask-sql: %s\nSee understudy mask-sql --help.\n", error.what());
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "understudy mask-sql: %s\nSee understudy mask-sql --help.\n", error.what());
  }
  return kExitUsage;
}

}  // namespace understudy::replayer
