#include "replayer/export/sql_session.h"

#include <algorithm>

#include "formats/wire/backend_messages.h"
#include "formats/wire/sql_text.h"
#include "replayer/export/binary_value.h"
#include "replayer/export/session_settings.h"

namespace understudy::replayer {
namespace {

namespace frontend = wire::frontend;
namespace backend = wire::backend;
using Fate = StatementOutcome::Fate;

constexpr std::size_t kCommentBytes = 500;
constexpr std::size_t kMaxNames = 100'000;  // of statements and portals that a client never closes

// COPY data of a COPY that failed would be read as commands: then the script must end.
constexpr const char* kBeginCopy = "\\set understudy_on_error_stop :ON_ERROR_STOP\n\\set ON_ERROR_STOP on\n";
constexpr const char* kEndCopy = "\\set ON_ERROR_STOP :understudy_on_error_stop\n";

bool has_high_bytes(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

// The server answered COMMIT with ROLLBACK, because the transaction had failed. Nothing fails in the script.
void end_as_recorded(ScriptStatement& statement, const std::string& tag) {
  if (tag != "ROLLBACK") return;
  if (statement.command == "COMMIT" || statement.command == "END")
    statement.text.replace(statement.command_at, statement.command.size(), "ROLLBACK");
  if (statement.command == "PREPARE") statement.text = "ROLLBACK";
}

// A function body in SQL's own words: psql counts its BEGIN and END, and loses count at the "\\;" that keep
// its statements together, so that everything behind it would wait for an end that never comes.
bool has_atomic_body(std::string_view sql) {
  std::string words;
  for (const char c : sql) {
    const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!blank) words += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (blank && !words.empty() && words.back() != ' ') words += ' ';
  }
  return words.find("begin atomic") != std::string::npos;
}

}  // namespace

SqlSession::SqlSession(const Recording& recording, const SessionSummary& session, SqlExportCounts& counts,
                       Output& out)
    : messages_(recording, session),
      outcomes_(recording, session),
      counts_(counts),
      out_(out),
      descriptor_(session.descriptor) {
  messages_.begin_between_transactions();
}

void SqlSession::write() {
  while (const SessionItem* const item = messages_.next()) {
    if (!item->is_message) {
      note_event(item->event);
    } else if (item->direction == Direction::kFromClient) {
      client_message(item->message);
    } else {
      server_message(item->message);
    }
  }
  if (copy_sets_left_ > 0) end_copy();
  if (settings_put_ && status_ != 'I') out_.line("ROLLBACK;  -- the session ended in a transaction");
  if (messages_.bytes_before_joining() > 0)
    put_comment("its beginning is not on record: taken up between transactions");
  if (!messages_.hole().empty()) put_comment("the rest of it is not on record: " + messages_.hole());
}

void SqlSession::note_event(const Event& event) {
  Redaction redaction;
  if (event.kind != EventKind::kRedacted || !decode(event.data, redaction)) return;
  if (redaction.kind != RedactionKind::kSqlPassword) return;
  ++counts_.passwords_hidden;
  if (copy_sets_left_ == 0)
    put_comment("PASSWORD NOT RECORDED: in what its client sent next, x stands for it");
}

void SqlSession::client_message(const wire::Message& message) {
  switch (message.type) {
    case frontend::kQuery:
      return query(message);
    case frontend::kFunctionCall:
      return function_call();
    case frontend::kParse:
      return parse(message);
    case frontend::kBind:
      return bind(message);
    case frontend::kExecute:
      return execute(message);
    case frontend::kClose:
      return close(message);
    case frontend::kCopyData:
      return copy_data(message);
    case frontend::kCopyDone:
    case frontend::kCopyFail:
      return end_copy_set();
    default:
      return;
  }
}

void SqlSession::server_message(const wire::Message& message) {
  if (message.type == backend::kReadyForQuery && !message.payload.empty())
    status_ = static_cast<char>(message.payload.front());
  if (message.type != backend::kParameterStatus) return;
  const auto status = wire::ParameterStatus::decode(message.payload);
  if (!status) return;
  if (!settings_put_) reported_[std::string(status->name)] = std::string(status->value);
  settings_.follow(status->name, status->value);
}

void SqlSession::query(const wire::Message& message) {
  const StatementOutcome outcome = outcomes_.next();
  const auto decoded = wire::Query::decode(message.payload);
  if (message.truncated || !decoded) return leave_out("too large, or malformed", {});
  put_statement(decoded->sql, outcome, {});
}

void SqlSession::function_call() {
  (void)outcomes_.next();
  leave_out("a call by the function call protocol (large objects)", {});
}

void SqlSession::parse(const wire::Message& message) {
  if (!outcomes_.parsed(++parses_)) return;
  auto statement = std::make_shared<Statement>();
  statement->parse_number = parses_;
  const auto decoded = wire::Parse::decode(message.payload);
  statement->too_large = message.truncated || !decoded;
  if (decoded && !message.truncated) {
    statement->sql = std::string(decoded->sql);
    for (std::size_t i = 0; i < decoded->parameter_types.size(); ++i)
      statement->declared_types.push_back(decoded->parameter_types[i]);
  }
  if (statements_.size() >= kMaxNames) statements_.clear();
  ByteReader in(message.payload);
  statements_.insert_or_assign(std::string(in.c_string()), std::move(statement));
}

void SqlSession::bind(const wire::Message& message) {
  ByteReader in(message.payload);
  const std::string_view name = in.c_string();
  const auto statement = statements_.find(in.c_string());
  if (portals_.size() >= kMaxNames) portals_.clear();
  Portal& portal = portals_[std::string(name)];
  portal.statement = statement == statements_.end() ? nullptr : statement->second;
  portal.bind.assign(message.payload.begin(), message.payload.end());
  portal.too_large = message.truncated;
  portal.run = false;
}

void SqlSession::execute(const wire::Message& message) {
  const StatementOutcome outcome = outcomes_.next();
  ByteReader in(message.payload);
  const auto portal = portals_.find(in.c_string());
  if (outcome.begins_block) {
    put_settings();
    out_.line("BEGIN;  -- a pipeline, one transaction");
  }
  if (portal == portals_.end()) {
    leave_out("its statement was prepared before the recording, or by SQL", {});
  } else if (!portal->second.run) {
    put_execute(portal->second, outcome);
  }
  if (!outcome.ends_block) return;
  if (copy_sets_left_ > 0) {
    after_copy_ = "COMMIT;\n";
  } else {
    out_.line("COMMIT;");
  }
}

// Once a portal has run, Execute only fetches more of its rows.
void SqlSession::put_execute(Portal& portal, const StatementOutcome& outcome) {
  portal.run = outcome.fate == Fate::kRun;
  if (!portal.statement) return leave_out("its statement was prepared before the recording, or by SQL", {});
  Statement& statement = *portal.statement;
  if (statement.too_large || portal.too_large) return leave_out("too large, or malformed", statement.sql);
  if (outcome.fate != Fate::kRun) return not_run(statement.sql, outcome);
  if (std::vector<std::uint32_t> types = outcomes_.take_types(statement.parse_number); !types.empty())
    statement.described_types = std::move(types);
  std::string why;
  const auto values = literals(portal, why);
  if (!values) return leave_out(why, statement.sql);
  put_statement(statement.sql, outcome, *values);
}

std::optional<std::vector<std::string>> SqlSession::literals(const Portal& portal, std::string& why) {
  const auto bind = wire::Bind::decode(portal.bind);
  if (!bind) {
    why = "too large, or malformed";
    return std::nullopt;
  }
  std::vector<std::string> out;
  for (const wire::Value& value : bind->parameters) {
    auto one = literal(*portal.statement, *bind, out.size(), value, why);
    if (!one) return std::nullopt;
    out.push_back(std::move(*one));
  }
  return out;
}

std::optional<std::string> SqlSession::literal(const Statement& statement, const wire::Bind& bind,
                                               std::size_t index, const wire::Value& value,
                                               std::string& why) const {
  const auto type_in = [index](const std::vector<std::uint32_t>& types) {
    return index < types.size() ? types[index] : 0U;
  };
  const std::uint32_t declared = type_in(statement.declared_types);
  const std::uint32_t type = declared != 0 ? declared : type_in(statement.described_types);
  const bool binary = bind.parameter_formats.of(index) != 0;
  // A text parameter whose type was left to the server is left to it again.
  const std::string name = type_name(binary ? type : declared);
  const std::string cast = name.empty() ? "" : "::" + name;
  if (value.is_null) return "NULL" + cast;
  std::optional<std::string> text = binary ? binary_to_text(type, value.bytes) : std::string(value.text());
  if (!text) {
    why = type == 0 ? "a binary parameter whose type is not on record"
                    : "a binary parameter of type " + std::to_string(type);
    return std::nullopt;
  }
  if (!settings_.safe_encoding && has_high_bytes(*text)) {
    why = "its client_encoding hides ASCII characters in longer ones";
    return std::nullopt;
  }
  return wire::quote_literal(*text) + cast;
}

void SqlSession::close(const wire::Message& message) {
  const auto decoded = wire::Close::decode(message.payload);
  if (!decoded) return;
  const std::string name(decoded->name);
  if (decoded->target == wire::Target::kStatement) {
    statements_.erase(name);
  } else {
    portals_.erase(name);
  }
}

void SqlSession::put_statement(std::string_view sql, const StatementOutcome& outcome,
                               std::span<const std::string> parameters) {
  const bool in_part = outcome.fate == Fate::kFailed && outcome.effective > 0;
  if (outcome.fate != Fate::kRun && !in_part) return not_run(sql, outcome);
  if (has_atomic_body(sql))
    return leave_out("it has a BEGIN ATOMIC body, whose end psql would not find", sql);
  ScriptText script = to_script(sql, settings_, parameters);
  if (!script.refusal.empty()) return leave_out(script.refusal, sql);
  if (!outcome.copy_trouble.empty()) return leave_out(outcome.copy_trouble, sql);
  if (script.statements.size() == outcome.tags.size() || in_part) {
    const std::size_t known = std::min(script.statements.size(), outcome.tags.size());
    for (std::size_t i = 0; i < known; ++i) end_as_recorded(script.statements[i], outcome.tags[i]);
  }
  if (in_part) {
    if (script.statements.size() <= outcome.effective || outcome.copies_in > 0)
      return leave_out("it ran in part, which part is not clear", sql);
    script.statements.resize(outcome.effective);
    put_message(script.statements, outcome);
    return not_run(sql, outcome);
  }
  if (!script.statements.empty()) put_message(script.statements, outcome);
}

void SqlSession::put_message(const std::vector<ScriptStatement>& statements,
                             const StatementOutcome& outcome) {
  put_settings();
  ++counts_.statements;
  if (outcome.copies_in > 0) out_.write(kBeginCopy);
  out_.write(one_message(statements));
  copy_sets_left_ = outcome.copies_in;
}

void SqlSession::copy_data(const wire::Message& message) {
  if (copy_sets_left_ == 0) return;
  std::string lines;
  copy_.feed(message.payload, lines);
  out_.write(lines);
}

void SqlSession::end_copy_set() {
  if (copy_sets_left_ == 0) return;
  std::string rest;
  copy_.finish(rest);
  out_.write(rest + "\\.\n");
  if (--copy_sets_left_ == 0) end_copy();
}

void SqlSession::end_copy() {
  while (copy_sets_left_ > 0) end_copy_set();
  out_.write(kEndCopy + after_copy_);
  after_copy_.clear();
}

void SqlSession::put_settings() {
  if (copy_sets_left_ > 0) end_copy();
  if (settings_put_) return;
  settings_put_ = true;
  std::uint64_t left_out = 0;
  out_.write(session_settings(descriptor_, reported_, settings_.safe_encoding, left_out));
  if (left_out > 0) counts_.left_out["a startup parameter"] += left_out;
}

void SqlSession::put_comment(const std::string& text) { out_.line("-- " + text); }

void SqlSession::not_run(std::string_view sql, const StatementOutcome& outcome) {
  if (copy_sets_left_ > 0) end_copy();
  const std::string text = ": " + comment_text(sql, kCommentBytes);
  switch (outcome.fate) {
    case Fate::kFailed:
      put_comment("failed, " + outcome.sqlstate + (outcome.sqlstate.empty() ? "" : " ") +
                  comment_text(outcome.error, kCommentBytes) + text);
      break;
    case Fate::kSkipped:
      put_comment("not run, after the error before it" + text);
      break;
    case Fate::kUndone:
      put_comment("undone, by the error after it" + text);
      break;
    case Fate::kRun:
      return;
    case Fate::kUnknown:
      return leave_out("its outcome is not on record", sql);
  }
  ++counts_.not_run;
}

void SqlSession::leave_out(const std::string& why, std::string_view sql) {
  if (copy_sets_left_ > 0) end_copy();
  ++counts_.left_out[why];
  put_comment("LEFT OUT, " + why + ": " + comment_text(sql, kCommentBytes));
}

}  // namespace understudy::replayer
