// One session as SQL for psql: what it ran and what lasted, in the order it was sent. What failed when it was
// recorded changed nothing and is a comment; so a script runs without errors where the recording did, but
// for what needs the sessions beside it. One thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "formats/wire/frontend_messages.h"
#include "replayer/export/copy_lines.h"
#include "replayer/export/script_text.h"
#include "replayer/export/statement_outcomes.h"
#include "replayer/output.h"
#include "replayer/session_messages.h"

namespace understudy::replayer {

struct SqlExportCounts {
  std::uint64_t sessions = 0;
  std::uint64_t statements = 0;                   // messages of the client that are in the script
  std::uint64_t not_run = 0;                      // failed, skipped or undone when recorded: comments
  std::uint64_t passwords_hidden = 0;             // pieces with x where the recording hid a password
  std::map<std::string, std::uint64_t> left_out;  // why -> how many
};

class SqlSession {
 public:
  // Everything is borrowed.
  SqlSession(const Recording& recording, const SessionSummary& session, SqlExportCounts& counts, Output& out);

  void write();

 private:
  struct Statement {
    std::string sql;
    std::vector<std::uint32_t> declared_types;
    std::vector<std::uint32_t> described_types;
    std::uint64_t parse_number = 0;
    bool too_large = false;
  };
  struct Portal {
    std::shared_ptr<Statement> statement;  // null: not on record
    ByteBuffer bind;                       // the message's payload
    bool too_large = false;
    bool run = false;
  };

  void note_event(const Event& event);
  void client_message(const wire::Message& message);
  void server_message(const wire::Message& message);
  void query(const wire::Message& message);
  void function_call();
  void parse(const wire::Message& message);
  void bind(const wire::Message& message);
  void execute(const wire::Message& message);
  void close(const wire::Message& message);
  void copy_data(const wire::Message& message);
  void end_copy_set();
  void end_copy();

  void put_settings();
  void put_statement(std::string_view sql, const StatementOutcome& outcome,
                     std::span<const std::string> literals);
  void put_message(const std::vector<ScriptStatement>& statements, const StatementOutcome& outcome);
  void put_execute(Portal& portal, const StatementOutcome& outcome);
  void put_comment(const std::string& text);
  void not_run(std::string_view sql, const StatementOutcome& outcome);
  void leave_out(const std::string& why, std::string_view sql);
  // The values of a Bind as literals; none when one cannot be written, and `why` then says so.
  [[nodiscard]] std::optional<std::vector<std::string>> literals(const Portal& portal, std::string& why);
  [[nodiscard]] std::optional<std::string> literal(const Statement& statement, const wire::Bind& bind,
                                                   std::size_t index, const wire::Value& value,
                                                   std::string& why) const;

  SessionMessages messages_;
  StatementOutcomes outcomes_;
  SqlExportCounts& counts_;
  Output& out_;
  const SessionDescriptor& descriptor_;

  std::map<std::string, std::string> reported_;  // settings by ParameterStatus, until the first statement
  ScriptSettings settings_;
  bool settings_put_ = false;
  char status_ = 'I';
  std::uint64_t parses_ = 0;
  std::map<std::string, std::shared_ptr<Statement>, std::less<>> statements_;
  std::map<std::string, Portal, std::less<>> portals_;

  std::uint32_t copy_sets_left_ = 0;  // of the COPY just written
  CopyLines copy_;
  std::string after_copy_;
};

}  // namespace understudy::replayer
