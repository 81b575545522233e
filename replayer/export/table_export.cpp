#include "replayer/export/table_export.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <span>
#include <variant>

#include "formats/command.h"
#include "formats/wire/sql_text.h"
#include "replayer/counted.h"
#include "replayer/export/csv_text.h"
#include "replayer/export/not_read.h"
#include "replayer/message_json.h"
#include "replayer/recorded_names.h"
#include "replayer/value_text.h"

namespace understudy::replayer {
namespace {

struct Column {
  const char* name;
  const char* postgresql;
  const char* duckdb;
};

constexpr const char* kText = "text";
constexpr const char* kTime = "timestamptz";
constexpr const char* kCount = "bigint";
constexpr const char* kFlag = "boolean";

constexpr Column kSessions[] = {
    {"session", kText, kText},    {"opened_at", kTime, kTime},      {"last_event_at", kTime, kTime},
    {"user_name", kText, kText},  {"database", kText, kText},       {"application", kText, kText},
    {"client", kText, kText},     {"backend", kText, kText},        {"continuing", kFlag, kFlag},
    {"client_tls", kFlag, kFlag}, {"server_tls", kFlag, kFlag},     {"requests", kCount, kCount},
    {"errors", kCount, kCount},   {"client_bytes", kCount, kCount}, {"server_bytes", kCount, kCount},
    {"gaps", kCount, kCount},     {"gap_bytes", kCount, kCount},    {"has_hole", kFlag, kFlag},
    {"ended", kText, kText}};
constexpr Column kStatements[] = {{"session", kText, kText},        {"number", kCount, kCount},
                                  {"kind", kText, kText},           {"sent_at", kTime, kTime},
                                  {"completed_at", kTime, kTime},   {"duration_ns", kCount, kCount},
                                  {"outcome", kText, kText},        {"tag", kText, kText},
                                  {"rows", kCount, kCount},         {"sqlstate", kText, kText},
                                  {"client_bytes", kCount, kCount}, {"server_bytes", kCount, kCount},
                                  {"fingerprint", kText, kText},    {"statement", kText, kText}};
constexpr Column kErrors[] = {{"session", kText, kText},  {"number", kCount, kCount},
                              {"at", kTime, kTime},       {"severity", kText, kText},
                              {"sqlstate", kText, kText}, {"message", kText, kText},
                              {"detail", kText, kText},   {"hint", kText, kText}};

struct Table {
  const char* name;
  std::span<const Column> columns;
  const char* key = nullptr;
};
constexpr Table kTables[] = {
    {"sessions", kSessions, "session"}, {"statements", kStatements}, {"errors", kErrors}};

std::string file_name(const Table& table, TableFormat format) {
  return std::string(table.name) + (format == TableFormat::kCsv ? ".csv" : ".ndjson");
}

// monostate: NULL.
using Cell = std::variant<std::monostate, std::string, std::int64_t, bool>;

class TableFile {
 public:
  TableFile(const Table& table, TableFormat format, const std::filesystem::path& directory)
      : table_(table), format_(format), out_((directory / file_name(table, format)).string()) {
    if (format_ != TableFormat::kCsv) return;
    std::string line;
    for (const Column& column : table_.columns) line += (line.empty() ? "" : ",") + std::string(column.name);
    out_.line(line);
  }

  // A cell a column.
  void add(const std::vector<Cell>& cells) {
    out_.line(format_ == TableFormat::kCsv ? csv(cells) : json(cells));
  }
  void finish() { out_.finish(); }

 private:
  static std::string csv(const std::vector<Cell>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) line += ',';
      if (const auto* const text = std::get_if<std::string>(&cells[i])) line += csv_field(*text);
      if (const auto* const number = std::get_if<std::int64_t>(&cells[i])) line += std::to_string(*number);
      if (const auto* const flag = std::get_if<bool>(&cells[i])) line += *flag ? "true" : "false";
    }
    return line;
  }
  [[nodiscard]] std::string json(const std::vector<Cell>& cells) const {
    Poco::JSON::Object out = json_object();
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const char* const name = table_.columns[i].name;
      std::visit(
          [&](const auto& value) {
            if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>) {
              out.set(name, Poco::Dynamic::Var());
            } else {
              out.set(name, value);
            }
          },
          cells[i]);
    }
    return to_line(out);
  }

  const Table& table_;
  const TableFormat format_;
  Output out_;
};

// A line that is only "\.", before version 18 the end of the data to psql's \copy, in quotes too.
bool has_end_mark(std::string_view text) {
  constexpr std::string_view kMark = "\n\\.";
  for (std::size_t at = text.find(kMark); at != std::string_view::npos; at = text.find(kMark, at + 1)) {
    const std::string_view rest = text.substr(at + kMark.size());
    if (rest.starts_with("\n") || rest.starts_with("\r\n")) return true;
  }
  return false;
}

class TableExport final : public StatementSink {
 public:
  TableExport(ExportChoice& choice, const StatementCatalog& catalog, TableFormat format,
              const std::filesystem::path& directory)
      : choice_(choice),
        catalog_(catalog),
        csv_(format == TableFormat::kCsv),
        sessions_(kTables[0], format, directory),
        statements_(kTables[1], format, directory),
        errors_(kTables[2], format, directory) {}

  bool opened(const ScannedSession& session) override { return choice_.takes(session.descriptor); }

  void done(const ScannedSession& session, const Statement& statement) override {
    if (statement.kind == Statement::Kind::kOther) return;  // it is among the errors
    if (!choice_.scope().holds(session, statement, catalog_)) return;
    ++counts.statements;
    statements_.add({session.descriptor.id.to_string(), count(statement.number),
                     std::string(statement_kind_name(statement.kind)), time(statement.sent),
                     statement.completed < 0 ? Cell() : time(statement.completed),
                     statement.duration < 0 ? Cell() : Cell(std::int64_t{statement.duration}),
                     std::string(statement_end_name(statement.end)), text_or_null(statement.tag),
                     count(statement.rows), text_or_null(statement.sqlstate), count(statement.client_bytes),
                     count(statement.server_bytes), fingerprint(statement),
                     statement.text ? text(statement.text->sql) : Cell()});
  }

  void failed(const ScannedSession& session, TimeNs at, std::uint64_t statement,
              const wire::ErrorFields& error) override {
    ++counts.errors;
    errors_.add({session.descriptor.id.to_string(), statement == 0 ? Cell() : count(statement), time(at),
                 text(error.severity()), text(error.sqlstate()), text(error.message()),
                 text_or_null(error.field('D')), text_or_null(error.field('H'))});
  }

  void ended(const ScannedSession& session) override {
    ++counts.sessions;
    counts.bytes_not_read += session.bytes_not_read;
    const SessionDescriptor& descriptor = session.descriptor;
    const SessionTally& tally = session.tally;
    sessions_.add(
        {descriptor.id.to_string(), time(descriptor.opened_at),
         tally.events() == 0 ? Cell() : time(tally.last_time()), text(descriptor.user()),
         text(descriptor.database()), text(descriptor.parameter("application_name")), text(descriptor.peer),
         text(descriptor.backend), session.continuing, descriptor.client_tls, descriptor.server_tls,
         count(tally.requests()), count(tally.errors()), count(tally.bytes(Direction::kFromClient)),
         count(tally.bytes(Direction::kFromServer)), count(tally.gaps()), count(tally.gap_bytes()),
         tally.has_hole(),
         tally.closed() ? Cell(std::string(close_reason_name(tally.close_detail().reason))) : Cell()});
  }

  void finish() {
    sessions_.finish();
    statements_.finish();
    errors_.finish();
  }

  TableExportCounts counts;

 private:
  static Cell count(std::uint64_t value) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
  }
  static Cell time(TimeNs time) { return format_time(time, 6); }
  Cell text(std::string_view recorded) {
    if (is_utf8(recorded)) {
      if (csv_ && has_end_mark(recorded)) ++counts.end_marks;
      return std::string(recorded);
    }
    ++counts.hexadecimal;
    return "\\x" + hex_text(as_bytes(recorded));
  }
  Cell text_or_null(std::string_view recorded) { return recorded.empty() ? Cell() : text(recorded); }
  [[nodiscard]] Cell fingerprint(const Statement& statement) const {
    const std::uint64_t value = catalog_.fingerprint(statement.id());
    if (value == 0) return {};
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016" PRIx64, value);
    return std::string(digits);
  }

  ExportChoice& choice_;
  const StatementCatalog& catalog_;
  const bool csv_;
  TableFile sessions_;
  TableFile statements_;
  TableFile errors_;
};

std::string definition(const Table& table, TableDatabase database) {
  std::string out = "CREATE TABLE understudy_" + std::string(table.name) + " (";
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const Column& column = table.columns[i];
    out += (i == 0 ? "\n  " : ",\n  ") + wire::quote_identifier(column.name) + " " +
           (database == TableDatabase::kPostgresql ? column.postgresql : column.duckdb);
  }
  if (table.key != nullptr) out += ",\n  PRIMARY KEY (" + wire::quote_identifier(table.key) + ")";
  return out + "\n);\n";
}

std::string column_list(const Table& table) {
  std::string out;
  for (const Column& column : table.columns)
    out += (out.empty() ? "" : ", ") + wire::quote_identifier(column.name);
  return out;
}

// 'text', as psql's \copy and DuckDB read it.
std::string quoted_file(const std::filesystem::path& file) {
  std::string out = "'";
  for (const char c : file.string()) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

std::string loading(const Table& table, TableDatabase database, TableFormat format,
                    const std::filesystem::path& directory) {
  const std::string file = quoted_file(std::filesystem::absolute(directory) / file_name(table, format));
  const std::string name = "understudy_" + std::string(table.name);
  if (database == TableDatabase::kDuckdb) {
    if (format == TableFormat::kCsv) return "COPY " + name + " FROM " + file + " (FORMAT csv, HEADER);\n";
    return "INSERT INTO " + name + " SELECT " + column_list(table) + " FROM read_json_auto(" + file +
           ", format = 'newline_delimited');\n";
  }
  if (format == TableFormat::kCsv) return "\\copy " + name + " from " + file + " with (format csv, header)\n";
  // A line is one column: neither character can be in JSON text unescaped.
  return "CREATE TEMPORARY TABLE understudy_lines (line jsonb);\n\\copy understudy_lines from " + file +
         " with (format csv, quote e'\\x01', delimiter e'\\x02')\nINSERT INTO " + name +
         " SELECT (jsonb_populate_record(NULL::" + name +
         ", line)).* FROM understudy_lines;\nDROP TABLE understudy_lines;\n";
}

}  // namespace

TableExportCounts export_tables(const Recording& recording, ExportChoice& choice, TableFormat format,
                                const std::filesystem::path& directory) {
  StatementCatalog catalog(ConditionScope::kMostStatements);
  TableExport tables(choice, catalog, format, directory);
  StatementScan(catalog, tables).run(recording);
  tables.finish();
  return tables.counts;
}

// All of it or nothing, and no row twice: where the tables are there already, the first statement fails.
// DuckDB's command line goes on after an error that the transaction survives; a key that is there twice is
// none.
void print_table_definitions(TableDatabase database, TableFormat format,
                             const std::filesystem::path& directory, Output& out) {
  const bool psql = database == TableDatabase::kPostgresql;
  out.write(psql ? "\\set ON_ERROR_STOP on\nBEGIN;\n" : "BEGIN TRANSACTION;\n");
  for (const Table& table : kTables) out.write(definition(table, database));
  for (const Table& table : kTables) out.write(loading(table, database, format, directory));
  out.write("COMMIT;\n");
}

void tell(const TableExportCounts& counts) {
  std::fprintf(stderr, "understudy export: %s, %s, %s\n", counted(counts.sessions, "session").c_str(),
               counted(counts.statements, "statement").c_str(), counted(counts.errors, "error").c_str());
  if (counts.hexadecimal > 0)
    std::fprintf(stderr, "understudy export: %s not UTF-8, written as \\x and digits\n",
                 counted(counts.hexadecimal, "text").c_str());
  if (counts.end_marks > 0)
    std::fprintf(
        stderr,
        "understudy export: %s with a line that is only \\., where psql's \\copy before version 18 ends "
        "and fails,\nor loses rows: load them with psql 18, with DuckDB, or from --format ndjson\n",
        counted(counts.end_marks, "text").c_str());
  tell_not_read(counts.bytes_not_read);
}

}  // namespace understudy::replayer
