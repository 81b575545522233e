#include "replayer/export/pgreplay_export.h"

#include <algorithm>
#include <cstdio>
#include <deque>

#include "formats/command.h"
#include "formats/wire/frontend_messages.h"
#include "replayer/counted.h"
#include "replayer/export/bound_values.h"
#include "replayer/export/csv_text.h"
#include "replayer/export/not_read.h"
#include "replayer/recording_lookup.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMostNameBytes = 63;  // pgreplay takes no longer ones
constexpr std::size_t kMostNames = 100'000;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool begins_with_copy(std::string_view sql) {
  std::size_t at = 0;
  while (at < sql.size() && static_cast<unsigned char>(sql[at]) <= ' ') ++at;
  static constexpr std::string_view kCopy = "copy";
  for (std::size_t i = 0; i < kCopy.size(); ++i, ++at) {
    if (at >= sql.size() || (sql[at] | 0x20) != kCopy[i]) return false;
  }
  return at == sql.size() || !is_letter(sql[at]);
}

// "2026-11-24 13:31:07.123 UTC"
std::string log_time(TimeNs time) {
  std::string text = format_time(time, 3);
  if (const std::size_t t = text.find('T'); t != std::string::npos) text[t] = ' ';
  if (text.ends_with('Z')) text.replace(text.size() - 1, 1, " UTC");
  return text;
}

std::string hex(std::uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof text, "%x", value);
  return text;
}

class PgreplayExport final : public StatementSink {
 public:
  PgreplayExport(ExportChoice& choice, Output& out) : choice_(choice), out_(out) {}

  bool opened(const ScannedSession& session) override {
    const SessionDescriptor& descriptor = session.descriptor;
    if (!choice_.takes(descriptor) || !descriptor.attribute("shadow_of").empty()) return false;
    if (!descriptor.parameter("replication").empty()) return leave_out("a replication session");
    if (descriptor.user().size() > kMostNameBytes || descriptor.database().size() > kMostNameBytes)
      return leave_out("a session whose user or database has a name over 63 bytes");
    if (descriptor.user().empty()) return leave_out("a session whose user is not on record");
    return true;
  }

  void sent(const ScannedSession& session, const Statement& statement) override {
    if (!statement.text) return (void)leave_out("its statement was prepared before the recording, or by SQL");
    if (!statement.text->whole) return (void)leave_out("over 1 MiB");
    const std::string& sql = statement.text->sql;
    if (begins_with_copy(sql)) return (void)leave_out("COPY, which pgreplay passes over");
    switch (statement.kind) {
      case Statement::Kind::kQuery:
        if (!pgreplay_can_read(sql)) return (void)leave_out("pgreplay could not read it");
        return put(session, statement, "statement: " + sql, {});
      case Statement::Kind::kExecute:
        if (statement.continues) return (void)leave_out("a fetch of more rows of a portal");
        return put_execute(session, statement);
      case Statement::Kind::kFunctionCall:
      case Statement::Kind::kOther:
        return (void)leave_out("a call by the function call protocol (large objects)");
    }
  }

  void done(const ScannedSession& session, const Statement& statement) override {
    const auto open = open_.find(session.descriptor.id);
    if (open == open_.end()) return;
    const auto at = open->second.waiting.find(statement.number);
    if (at == open->second.waiting.end()) return;
    if (at->second >= first_) {
      Line& line = lines_[at->second - first_];
      line.settled = true;
      // The server did not look at it, and would not have logged it.
      if (statement.end == Statement::End::kSkipped) {
        line.text.clear();
        --counts.statements;
        leave_out("not run, after an error before it in its pipeline");
      }
    }
    open->second.waiting.erase(at);
    write_settled();
  }

  void cancelled(const ScannedSession& session, TimeNs time) override {
    if (!open_.contains(session.descriptor.id)) return;
    put_line(session, time, "ERROR", "57014", "canceling statement due to user request", {});
    write_settled();
  }

  void ended(const ScannedSession& session) override {
    counts.bytes_not_read += session.bytes_not_read;
    const auto open = open_.find(session.descriptor.id);
    if (open == open_.end()) return;
    // One that went on is ended by pgreplay itself.
    if (session.tally.closed() && session.tally.close_detail().reason != CloseReason::kRecordingEnded)
      put_line(session, session.tally.last_time(), "LOG", "00000", "disconnection: session time: 0:00:00",
               {});
    open_.erase(open);
    write_settled();
  }

  void finish() {
    while (!lines_.empty()) write_first();
  }

  PgreplayExportCounts counts;

 private:
  // Whether a statement was run is known only later; until then it waits here, and what was sent after it.
  static constexpr std::size_t kMostWaitingBytes = std::size_t{64} << 20;
  struct Line {
    std::string text;
    std::size_t size = 0;
    bool settled = true;
  };
  struct Open {
    std::uint64_t lines = 0;
    std::unordered_map<std::uint64_t, std::uint64_t> waiting;    // statements, by number: which line
    std::map<std::string, std::uint64_t, std::less<>> parse_of;  // by name, the first
  };

  bool leave_out(const std::string& why) {
    ++counts.left_out[why];
    return false;
  }

  void put_execute(const ScannedSession& session, const Statement& statement) {
    std::string why;
    std::string detail;
    if (statement.bind) {
      const auto values = bound_texts(*statement.text, *statement.bind, why);
      if (!values) return (void)leave_out(why);
      for (std::size_t i = 0; i < values->size(); ++i) {
        detail += (i == 0 ? "parameters: $" : ", $") + std::to_string(i + 1) + " = ";
        detail += (*values)[i] ? quoted(*(*values)[i]) : "NULL";
      }
    }
    const std::string name = name_of(session, *statement.text);
    put(session, statement, "execute " + (name.empty() ? "<unnamed>" : name) + ": " + statement.text->sql,
        detail);
  }

  // As a server's log has it: quotes are doubled, nothing else.
  static std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
      if (c == '\'') out += '\'';
      out += c;
    }
    return out + "'";
  }

  // pgreplay prepares a name once, whatever its client did with it later: each Parse but the first of a name
  // gets one of its own.
  std::string name_of(const ScannedSession& session, const StatementText& text) {
    if (text.name.empty()) return {};
    Open& open = open_[session.descriptor.id];
    if (open.parse_of.size() >= kMostNames) open.parse_of.clear();
    const std::uint64_t first = open.parse_of.try_emplace(text.name, text.parse_number).first->second;
    const bool plain = text.name.size() <= kMostNameBytes && text.name.find(':') == std::string::npos &&
                       text.name.front() != '<';
    if (plain && first == text.parse_number) return text.name;
    return "understudy_" + std::to_string(text.parse_number);
  }

  void put(const ScannedSession& session, const Statement& statement, const std::string& message,
           const std::string& detail) {
    Open& open = open_[session.descriptor.id];
    if (open.lines == 0) {
      ++counts.sessions;
      put_line(session, statement.sent, "LOG", "00000",
               "connection authorized: user=" + session.descriptor.user() +
                   " database=" + session.descriptor.database(),
               {});
    }
    ++counts.statements;
    put_line(session, statement.sent, "LOG", "00000", message, detail);
    lines_.back().settled = false;
    open.waiting[statement.number] = first_ + lines_.size() - 1;
    while (waiting_bytes_ > kMostWaitingBytes) write_first();
  }

  void write_settled() {
    while (!lines_.empty() && lines_.front().settled) write_first();
  }
  void write_first() {
    waiting_bytes_ -= lines_.front().size;
    if (!lines_.front().text.empty()) out_.line(lines_.front().text);
    lines_.pop_front();
    ++first_;
  }

  void put_line(const ScannedSession& session, TimeNs time, const char* severity, const char* sqlstate,
                const std::string& message, const std::string& detail) {
    const SessionDescriptor& descriptor = session.descriptor;
    std::string line = log_time(time) + "," + csv_field(descriptor.user()) + "," +
                       csv_field(descriptor.database()) + "," + std::to_string(descriptor.id.number) + "," +
                       csv_field(descriptor.peer) + "," + hex(descriptor.id.run) + "." +
                       hex(descriptor.id.number) + "," + std::to_string(++open_[descriptor.id].lines) +
                       ",\"\"," + log_time(descriptor.opened_at) + ",,0," + severity + "," + sqlstate + "," +
                       csv_field(message) + "," + (detail.empty() ? "" : csv_field(detail)) + ",,,,,,,," +
                       csv_field(descriptor.parameter("application_name"));
    waiting_bytes_ += line.size();
    const std::size_t size = line.size();
    lines_.push_back({std::move(line), size});
  }

  ExportChoice& choice_;
  Output& out_;
  std::unordered_map<SessionId, Open> open_;
  std::deque<Line> lines_;
  std::uint64_t first_ = 0;  // the number of the line in front
  std::size_t waiting_bytes_ = 0;
};

// Reads as pgreplay 1.2 does: over literals, dollar quotes, comments and quoted names.
class LiteralWalk {
 public:
  explicit LiteralWalk(std::string_view sql) : sql_(sql) {}

  bool run() {
    while (at_ < sql_.size()) {
      if (!step()) return false;
    }
    return true;
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead) const {
    return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
  }
  bool step() {
    const char c = sql_[at_];
    if ((c == 'E' || c == 'e') && peek(1) == '\'') return ++at_, quoted(true);
    if (c == '\'') return quoted(false);
    if (c == '"') return name();
    if (c == '$') return dollar();
    if (c == '-' && peek(1) == '-') return line_comment();
    if (c == '/' && peek(1) == '*') return comment();
    if (is_letter(c) || static_cast<unsigned char>(c) > 127) return word();
    ++at_;
    return true;
  }
  bool quoted(bool escapes) {
    for (++at_; at_ < sql_.size(); ++at_) {
      if (escapes && sql_[at_] == '\\' && peek(1) == '\'') {
        ++at_;
      } else if (sql_[at_] == '\'') {
        if (peek(1) != '\'') return ++at_, true;
        ++at_;
      }
    }
    return false;
  }
  bool name() {
    for (++at_; at_ < sql_.size(); ++at_) {
      if (sql_[at_] != '"') continue;
      if (peek(1) != '"') return ++at_, true;
      ++at_;
    }
    return false;
  }
  bool dollar() {
    const std::size_t end = sql_.find('$', at_ + 1);
    if (end == std::string_view::npos) return false;
    const std::string_view mark = sql_.substr(at_, end + 1 - at_);
    const std::size_t closing = sql_.find(mark, end + 1);
    if (closing == std::string_view::npos) return false;
    at_ = closing + mark.size();
    return true;
  }
  bool line_comment() {
    at_ = std::min(sql_.find('\n', at_), sql_.size());
    return true;
  }
  bool comment() {
    std::size_t depth = 0;
    do {
      if (at_ >= sql_.size()) return false;
      const std::string_view two = sql_.substr(at_, 2);
      depth += two == "/*" ? 1 : 0;
      depth -= two == "*/" ? 1 : 0;
      at_ += two == "/*" || two == "*/" ? 2 : 1;
    } while (depth > 0);
    return true;
  }
  bool word() {
    const auto belongs = [](char c) {
      return is_letter(c) || (c >= '0' && c <= '9') || c == '$' || static_cast<unsigned char>(c) > 127;
    };
    while (at_ < sql_.size() && belongs(sql_[at_])) ++at_;
    return true;
  }

  std::string_view sql_;
  std::size_t at_ = 0;
};

}  // namespace

bool pgreplay_can_read(std::string_view sql) { return LiteralWalk(sql).run(); }

PgreplayExportCounts export_pgreplay(const Recording& recording, ExportChoice& choice, Output& out) {
  StatementCatalog catalog(0);
  PgreplayExport lines(choice, out);
  StatementScan scan(catalog, lines, true);
  scan.begin_between_transactions();
  scan.run(recording);
  lines.finish();
  return lines.counts;
}

void tell(const PgreplayExportCounts& counts) {
  std::fprintf(stderr, "understudy export: %s of %s\n", counted(counts.statements, "statement").c_str(),
               counted(counts.sessions, "session").c_str());
  for (const auto& [why, count] : counts.left_out)
    std::fprintf(stderr, "understudy export: left out %llu: %s\n", static_cast<unsigned long long>(count),
                 why.c_str());
  tell_not_read(counts.bytes_not_read);
}

}  // namespace understudy::replayer
