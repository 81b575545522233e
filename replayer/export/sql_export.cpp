#include "replayer/export/sql_export.h"

#include <algorithm>
#include <cstdio>

#include "formats/command.h"
#include "formats/wire/backend_messages.h"
#include "replayer/counted.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kNameBytes = 200;

std::string shown(const std::string& text) { return comment_text(text, kNameBytes); }

bool is_replication(const SessionDescriptor& session) {
  const std::string value = session.parameter("replication");
  return !value.empty() && value != "false" && value != "off" && value != "no" && value != "0";
}

// The argument of \connect: a conninfo string in psql's quotes, so that nothing in a name is more than a
// name. Empty for names that no line can hold, or that psql might read in another encoding.
std::string connect_argument(const std::string& database) {
  const bool plain =
      std::all_of(database.begin(), database.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!plain) return {};
  std::string value;
  for (const char c : database) {
    if (c == '\'' || c == '\\') value += '\\';
    value += c;
  }
  std::string out = "'";
  for (const char c : "dbname='" + value + "'") {
    if (c == '\'' || c == '\\') out += c == '\'' ? '\'' : '\\';
    out += c;
  }
  return out + "'";
}

// Why nothing of a session is to be run: the login failed, or its client left before it was done. None where
// it logged in or asked something, or where that may be in a part that is not on record.
std::optional<std::string> why_nothing_ran(const Recording& recording, const SessionSummary& session) {
  SessionMessages messages(recording, session);
  std::string why = "its login is not on record";
  while (const SessionItem* const item = messages.next()) {
    if (!item->is_message) continue;
    const wire::Message& message = item->message;
    if (item->direction == Direction::kFromClient) {
      if (message.type != wire::frontend::kPassword && message.type != wire::frontend::kTerminate) return {};
      continue;
    }
    if (message.type == wire::backend::kReadyForQuery) return {};
    if (message.type != wire::backend::kErrorResponse) continue;
    const auto error = wire::ErrorResponse::decode(message.payload);
    if (!error) continue;
    const std::string state(error->sqlstate());  // a log may not tell it
    why = "failed, " + state + (state.empty() ? "" : " ") + std::string(error->field('M'));
  }
  if (!messages.hole().empty()) return {};
  return why;
}

class SqlExport {
 public:
  SqlExport(const Recording& recording, SqlExportCounts& counts, Output& out)
      : recording_(recording), counts_(counts), out_(out) {}

  void put_head() {
    out_.line("-- Exported by understudy " UNDERSTUDY_VERSION " from " + shown(recording_.path()) +
              ", recording " + shown(recording_.id()) + ".");
    out_.line(
        "-- Run it with psql -f on a database that holds what the recorded one held when recording began.");
    out_.line(
        "-- Sessions come one after the other, in order of opening, each in its own order: what they did to");
    out_.line(
        "-- each other at the time is not repeated (understudy replay does that). Statements that failed "
        "when");
    out_.line("-- recorded changed nothing and are comments.");
    out_.line("\\set AUTOCOMMIT on\n\\set ON_ERROR_ROLLBACK off");
  }

  void put(const SessionSummary& session) {
    const SessionDescriptor& descriptor = session.descriptor;
    out_.line("\n--\n-- Session " + descriptor.id.to_string() + ": user " + shown(descriptor.user()) +
              ", database " + shown(descriptor.database()) + ", application " +
              shown(descriptor.parameter("application_name")) + ", from " + shown(descriptor.peer) +
              ", opened " + format_time(descriptor.opened_at, 9) + "\n--");
    if (is_replication(descriptor)) return leave_out("a replication session");
    // A \connect that fails would end the script.
    if (const auto why = why_nothing_ran(recording_, session)) {
      ++counts_.not_run;
      return out_.line("-- " + shown(*why));
    }
    if (!change_session(descriptor.database())) return leave_out("a session in a database with such a name");
    ++counts_.sessions;
    SqlSession(recording_, session, counts_, out_).write();
  }

 private:
  void leave_out(const std::string& what) {
    ++counts_.left_out[what];
    out_.line("-- LEFT OUT, " + what);
  }

  // A connection for each session: whatever the one before set, prepared, locked or left open is gone. The
  // first is the one psql was started with.
  bool change_session(const std::string& database) {
    std::string connect = "\\connect -reuse-previous=on";
    if (database_ && *database_ != database) {
      const std::string argument = connect_argument(database);
      if (argument.empty()) return false;
      connect += " " + argument;
    }
    if (database_) out_.line(connect);
    database_ = database;
    return true;
  }

  const Recording& recording_;
  SqlExportCounts& counts_;
  Output& out_;
  std::optional<std::string> database_;
};

// The sessions that are to be written, in order of opening.
template <typename Put>
void for_each_script(const Recording& recording, ExportChoice& choice, SqlExportCounts& counts, Put&& put) {
  if (choice.session()) {
    if (choice.takes(choice.session()->descriptor)) put(*choice.session());
    return;
  }
  const std::vector<SessionId> lost = for_each_session(recording, [&](const SessionSummary& one) {
    if (one.descriptor.attribute("shadow_of").empty() && choice.takes(one.descriptor)) put(one);
  });
  if (!lost.empty()) counts.left_out["a session whose opening is lost to damage"] = lost.size();
}

}  // namespace

SqlExportCounts export_sql(const Recording& recording, ExportChoice& choice, Output& out) {
  SqlExportCounts counts;
  SqlExport script(recording, counts, out);
  script.put_head();
  for_each_script(recording, choice, counts, [&](const SessionSummary& session) { script.put(session); });
  return counts;
}

SqlExportCounts export_sql_files(const Recording& recording, ExportChoice& choice,
                                 const std::filesystem::path& directory) {
  SqlExportCounts counts;
  for_each_script(recording, choice, counts, [&](const SessionSummary& session) {
    Output out((directory / ("session-" + session.descriptor.id.to_string() + ".sql")).string());
    SqlExport script(recording, counts, out);
    script.put_head();
    script.put(session);
    out.finish();
  });
  return counts;
}

void tell(const SqlExportCounts& counts) {
  std::fprintf(
      stderr, "understudy export: %s of %s, and %s of what was not run, failed or was undone when recorded\n",
      counted(counts.statements, "statement").c_str(), counted(counts.sessions, "session").c_str(),
      counted(counts.not_run, "comment").c_str());
  if (counts.passwords_hidden > 0)
    std::fprintf(stderr, "understudy export: x stands for passwords in %s, marked PASSWORD NOT RECORDED\n",
                 counted(counts.passwords_hidden, "place").c_str());
  for (const auto& [why, count] : counts.left_out)
    std::fprintf(stderr, "understudy export: left out %llu: %s\n", static_cast<unsigned long long>(count),
                 why.c_str());
}

}  // namespace understudy::replayer
