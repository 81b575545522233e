#include "replayer/export/pgbench_export.h"

#include <algorithm>
#include <cstdio>
#include <random>

#include "formats/wire/sql_text.h"
#include "replayer/counted.h"
#include "replayer/export/binary_value.h"
#include "replayer/export/bound_values.h"
#include "replayer/export/not_read.h"
#include "replayer/export/script_text.h"
#include "replayer/sql_constants.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMostKinds = 1'000;
constexpr std::size_t kMostScripts = 128;  // pgbench takes no more
constexpr std::size_t kMostSamples = 100;
constexpr std::size_t kMostBytes = 64 * 1024;
constexpr std::size_t kMostVariables = 200;
constexpr const char* kVariable = "us_";  // and a number
constexpr const char* kPick = "us_pick";
// Variables that pgbench has by itself (PostgreSQL documentation, "pgbench Automatic Variables").
constexpr std::string_view kAutomatic[] = {"client_id", "default_seed", "random_seed", "scale"};

// Nineteen digits may be too many for pgbench.
bool is_whole_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Whether pgbench would put a variable in place somewhere in this text: it does so in literals and comments
// too.
bool names_variable(std::string_view text) {
  const auto goes_on = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  for (std::size_t colon = text.find(':'); colon != std::string_view::npos; colon = text.find(':', colon)) {
    std::size_t end = ++colon;
    while (end < text.size() && goes_on(text[end])) ++end;
    const std::string_view name = text.substr(colon, end - colon);
    if (name.starts_with(kVariable) ||
        std::find(std::begin(kAutomatic), std::end(kAutomatic), name) != std::end(kAutomatic))
      return true;
  }
  return false;
}

bool has_high_bytes(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

// As a shell takes it for one word.
std::string shell_word(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+,:@%=").find(c) != std::string_view::npos;
  });
  if (plain) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

bool is_integer_type(const std::string& name) { return name == "int2" || name == "int4" || name == "int8"; }

// What is not to be run again and again, whenever it comes: DDL, maintenance, what a session prepares by SQL.
bool is_run_once(std::string_view command) {
  static constexpr std::string_view kCommands[] = {
      "ALTER",   "ANALYZE", "CLUSTER", "COMMENT",  "COPY",     "CREATE",   "DEALLOCATE",
      "DISCARD", "DROP",    "EXECUTE", "GRANT",    "IMPORT",   "LISTEN",   "PREPARE",
      "REFRESH", "REINDEX", "REVOKE",  "SECURITY", "TRUNCATE", "UNLISTEN", "VACUUM"};
  return std::find(std::begin(kCommands), std::end(kCommands), command) != std::end(kCommands);
}

// A transaction of one session, as it is put together.
struct Transaction {
  std::string script;                // with variables
  std::vector<std::string> numbers;  // their values
  std::string trouble;               // why it cannot be in a script
  bool block = false;                // inside BEGIN and COMMIT

  [[nodiscard]] std::string variable(std::string_view number) {
    numbers.emplace_back(number);
    return ":" + (kVariable + std::to_string(numbers.size()));
  }
};

// One statement in pgbench's words.
class ScriptWriter {
 public:
  ScriptWriter(Transaction& transaction, const ScriptSettings& settings)
      : transaction_(transaction), settings_(settings) {}

  void put(const Statement& statement) {
    if (!statement.text) return fail("a statement was prepared before the recording, or by SQL");
    if (!statement.text->whole) return fail("too large");
    if (statement.kind == Statement::Kind::kFunctionCall)
      return fail("a call by the function call protocol (large objects)");
    if (statement.kind == Statement::Kind::kExecute) {
      put_execute(statement);
    } else {
      put_query(statement.text->sql);
    }
  }

 private:
  void fail(std::string why) {
    if (transaction_.trouble.empty()) transaction_.trouble = std::move(why);
  }

  void put_query(const std::string& sql) {
    if (names_variable(sql)) return fail(kNamesVariable);
    const auto split = split_constants(sql);
    if (!split || split->parameters > 0 || split->constants.empty()) return put_text(sql, {});
    std::vector<std::string> values;
    for (const std::string_view constant : split->constants) {
      const bool quoted = constant.data() > sql.data() && constant.data()[-1] == '\'';
      if (!quoted && is_whole_number(constant)) {
        values.push_back(transaction_.variable(constant));
      } else {
        values.push_back(quoted ? "'" + std::string(constant) + "'" : std::string(constant));
      }
    }
    put_text(split->skeleton, values);
  }

  void put_execute(const Statement& statement) {
    const StatementText& text = *statement.text;
    std::string why;
    const auto texts =
        statement.bind ? bound_texts(text, *statement.bind, why) : std::vector<std::optional<std::string>>();
    if (!texts) return fail(std::move(why));
    if (names_variable(text.sql)) return fail(kNamesVariable);
    for (const std::optional<std::string>& one : *texts) {
      if (one && names_variable(*one)) return fail(kNamesVariable);
      if (one && !settings_.safe_encoding && has_high_bytes(*one))
        return fail("its client_encoding hides ASCII characters in longer ones");
    }
    std::vector<std::string> values;
    for (std::size_t i = 0; i < texts->size(); ++i) values.push_back(literal(text, i, (*texts)[i]));
    put_text(text.sql, values);
  }

  std::string literal(const StatementText& text, std::size_t index, const std::optional<std::string>& value) {
    const std::uint32_t declared = index < text.declared_types.size() ? text.declared_types[index] : 0;
    const std::string type = type_name(declared);
    const std::string cast = type.empty() ? "" : "::" + type;
    if (!value) return "NULL" + cast;
    if (!is_whole_number(*value)) return wire::quote_literal(*value) + cast;
    // pgbench puts a variable's value in place inside of quotes too: then its type is left to the server, as
    // the parameter's was.
    const std::string name = transaction_.variable(*value);
    return is_integer_type(type) ? "(" + name + ")" + cast : "'" + name + "'" + cast;
  }

  void put_text(std::string_view sql, const std::vector<std::string>& values) {
    const ScriptText script = to_script(sql, settings_, values);
    if (!script.refusal.empty()) return fail(script.refusal);
    for (const ScriptStatement& statement : script.statements) {
      // PREPARE TRANSACTION ends a transaction that another statement must end again.
      if (is_run_once(statement.command)) return fail(statement.command);
      transaction_.script += statement.text + (statement.ends_in_comment ? "\n;\n" : ";\n");
    }
    if (transaction_.script.size() > kMostBytes || transaction_.numbers.size() > kMostVariables)
      fail("too large");
  }

  static constexpr const char* kNamesVariable = "it has a colon and the name of a variable, as in a:scale";

  Transaction& transaction_;
  const ScriptSettings& settings_;
};

struct Kind {
  std::uint64_t count = 0;
  std::string database;
  std::vector<std::vector<std::string>> samples;
};

// The bytes of a script mean something in one client_encoding; in any, and so without one, where they are
// ASCII, or where the recording does not tell it.
struct KindKey {
  std::string script;
  std::string encoding;
  auto operator<=>(const KindKey&) const = default;
};

class PgbenchExport final : public StatementSink {
 public:
  explicit PgbenchExport(ExportChoice& choice) : choice_(choice) {}

  bool opened(const ScannedSession& session) override {
    return choice_.takes(session.descriptor) && session.descriptor.attribute("shadow_of").empty() &&
           session.descriptor.parameter("replication").empty();
  }

  void done(const ScannedSession& session, const Statement& statement) override {
    if (statement.kind == Statement::Kind::kOther || statement.continues) return;
    Transaction& transaction = open_[session.descriptor.id];
    if (statement.end != Statement::End::kDone && transaction.trouble.empty())
      transaction.trouble = "a statement failed, or is not known to have run";
    if (transaction.trouble.empty())
      ScriptWriter(transaction, settings_[session.descriptor.id]).put(statement);
    if (statement.tag == "BEGIN" || statement.tag == "START TRANSACTION") transaction.block = true;
    if (statement.tag == "COMMIT" || statement.tag == "ROLLBACK" || statement.tag == "PREPARE TRANSACTION")
      transaction.block = false;
    if (!transaction.block) take(session);
  }

  void reported(const ScannedSession& session, std::string_view name, std::string_view value) override {
    if (name == "client_encoding") encodings_[session.descriptor.id] = value;
    settings_[session.descriptor.id].follow(name, value);
  }

  void ended(const ScannedSession& session) override {
    counts.bytes_not_read += session.bytes_not_read;
    settings_.erase(session.descriptor.id);
    encodings_.erase(session.descriptor.id);
    const auto open = open_.find(session.descriptor.id);
    if (open == open_.end()) return;
    if (!open->second.script.empty()) ++counts.left_out["it was open when its session ended"];
    open_.erase(open);
  }

  // The most frequent first.
  [[nodiscard]] std::vector<std::pair<const KindKey*, const Kind*>> sorted() const {
    std::vector<std::pair<const KindKey*, const Kind*>> out;
    for (const auto& [key, kind] : kinds_) out.emplace_back(&key, &kind);
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return a.second->count > b.second->count; });
    return out;
  }

  PgbenchExportCounts counts;

 private:
  void take(const ScannedSession& session) {
    const Transaction transaction = std::exchange(open_[session.descriptor.id], {});
    if (!transaction.trouble.empty()) return (void)++counts.left_out[transaction.trouble];
    if (transaction.script.empty()) return;
    const bool ascii = !has_high_bytes(transaction.script);
    const KindKey key{transaction.script, ascii ? std::string() : encodings_[session.descriptor.id]};
    auto kind = kinds_.find(key);
    if (kind == kinds_.end()) {
      if (kinds_.size() >= kMostKinds)
        return (void)++counts.left_out["more than " + std::to_string(kMostKinds) + " kinds of transactions"];
      kind = kinds_.emplace(key, Kind{0, session.descriptor.database(), {}}).first;
    }
    ++counts.transactions;
    ++kind->second.count;
    keep_sample(kind->second, transaction.numbers);
  }

  // Each of a kind is kept with the same probability, however many there are (Vitter's algorithm R).
  void keep_sample(Kind& kind, const std::vector<std::string>& numbers) {
    if (kind.samples.size() < kMostSamples) return kind.samples.push_back(numbers);
    const std::uint64_t place = random_() % kind.count;
    if (place < kMostSamples) kind.samples[place] = numbers;
  }

  ExportChoice& choice_;
  std::mt19937_64 random_;  // seeded the same always: an export can be repeated
  std::unordered_map<SessionId, Transaction> open_;
  std::unordered_map<SessionId, ScriptSettings> settings_;
  std::unordered_map<SessionId, std::string> encodings_;  // client_encoding
  std::map<KindKey, Kind> kinds_;
};

// What \set gives a variable: its value, or that of the transaction that was picked.
std::string expression(const std::vector<std::vector<std::string>>& samples, std::size_t variable) {
  const std::string& first = samples.front()[variable];
  const bool same = std::all_of(samples.begin(), samples.end(),
                                [&](const std::vector<std::string>& one) { return one[variable] == first; });
  if (same) return first;
  std::string out = "CASE";
  for (std::size_t i = 0; i + 1 < samples.size(); ++i)
    out += " WHEN :" + std::string(kPick) + " = " + std::to_string(i + 1) + " THEN " + samples[i][variable];
  return out + " ELSE " + samples.back()[variable] + " END";
}

void write_script(const std::string& script, const Kind& kind, Output& out) {
  out.line("-- Exported by understudy " UNDERSTUDY_VERSION ", for pgbench -M simple. Recorded " +
           std::to_string(kind.count) + " times, first in database " + comment_text(kind.database, 200) +
           ".");
  const std::size_t variables = kind.samples.front().size();
  if (variables > 0 && kind.samples.size() > 1)
    out.line("\\set " + std::string(kPick) + " random(1, " + std::to_string(kind.samples.size()) + ")");
  for (std::size_t i = 0; i < variables; ++i)
    out.line("\\set " + (kVariable + std::to_string(i + 1)) + " " + expression(kind.samples, i));
  out.write(script);
}

// One pgbench has one client_encoding. Scripts that do not mind run with those of the most frequent one.
class Commands {
 public:
  explicit Commands(std::string usual) : usual_(std::move(usual)) {}

  void add(const std::string& encoding, const std::string& file) {
    const std::string& used = encoding.empty() ? usual_ : encoding;
    auto command =
        std::find_if(commands_.begin(), commands_.end(), [&](const auto& one) { return one.first == used; });
    if (command == commands_.end()) {
      const std::string set = used.empty() ? "" : "PGCLIENTENCODING=" + shell_word(used) + " ";
      command = commands_.insert(command, {used, set + "pgbench -n -M simple"});
    }
    command->second += " -f " + shell_word(file);
  }
  void print(Output& out) const {
    for (const auto& [encoding, command] : commands_) out.line(command);
  }

 private:
  const std::string usual_;
  std::vector<std::pair<std::string, std::string>> commands_;  // by encoding
};

std::string most_frequent_encoding(const std::vector<std::pair<const KindKey*, const Kind*>>& kinds) {
  const auto found =
      std::find_if(kinds.begin(), kinds.end(), [](const auto& one) { return !one.first->encoding.empty(); });
  return found == kinds.end() ? std::string() : found->first->encoding;
}

}  // namespace

PgbenchExportCounts export_pgbench(const Recording& recording, ExportChoice& choice,
                                   const std::filesystem::path& directory, Output& out) {
  StatementCatalog catalog(0);
  PgbenchExport transactions(choice);
  StatementScan scan(catalog, transactions, true);
  scan.begin_between_transactions();
  scan.run(recording);
  const auto kinds = transactions.sorted();
  Commands commands(most_frequent_encoding(kinds));
  for (const auto& [key, kind] : kinds) {
    if (transactions.counts.scripts == kMostScripts) {
      transactions.counts.transactions -= kind->count;
      transactions.counts.left_out["of a kind beyond the 128 scripts that pgbench takes"] += kind->count;
      continue;
    }
    const std::string name = "transaction-" + std::to_string(++transactions.counts.scripts) + ".sql";
    Output file((directory / name).string());
    write_script(key->script, *kind, file);
    file.finish();
    commands.add(key->encoding, (directory / name).string() + "@" + std::to_string(kind->count));
  }
  commands.print(out);
  return transactions.counts;
}

void tell(const PgbenchExportCounts& counts) {
  std::fprintf(stderr, "understudy export: %s, %s of them\n",
               counted(counts.transactions, "transaction").c_str(), counted(counts.scripts, "kind").c_str());
  for (const auto& [why, count] : counts.left_out)
    std::fprintf(stderr, "understudy export: left out %llu: %s\n", static_cast<unsigned long long>(count),
                 why.c_str());
  tell_not_read(counts.bytes_not_read);
}

}  // namespace understudy::replayer
