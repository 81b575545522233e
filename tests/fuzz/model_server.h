// A PostgreSQL of a few statements, for the failover fuzzer: what it answers is a function of what it was
// asked and of nothing else, so that two of them answer alike. It refuses (aborts on) bytes that are no
// message.
//
//     Database   what outlives a server: a write-ahead log of transactions, its timeline, ids given out
//     Session    one server process: bytes in, answers out, a message at a time
//
// Answers to what only a proxy asks are marked with kOwn: no client may see it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_messages.h"
#include "formats/wire/message_types.h"
#include "proxy/topology.h"
#include "tests/fuzz/require.h"

namespace understudy::proxy::model {

inline constexpr std::string_view kOwn = "for-the-proxy-only";

struct Transaction {
  std::uint64_t id = 0;
  std::uint64_t assigned_at = 0;   // position of its first write
  std::uint64_t committed_at = 0;  // 0: not
  bool over = false;
  std::vector<unsigned> writes;
};

struct Database {
  std::uint64_t lsn = 0x1000;
  std::uint64_t checkpoint = 0x1000;
  std::uint64_t next_id = 100;
  std::uint32_t timeline = 1;
  unsigned starts = 0;
  std::vector<TimelineSwitch> switches;
  std::vector<Transaction> log;

  [[nodiscard]] std::string started() const { return std::string(kOwn) + std::to_string(starts); }
  [[nodiscard]] std::map<unsigned, unsigned> applied() const {
    std::map<unsigned, unsigned> times;
    for (const Transaction& one : log) {
      if (one.committed_at == 0) continue;
      for (const unsigned number : one.writes) ++times[number];
    }
    return times;
  }

  // The server comes back as it was written to disk: up to `end`, which is past every commit.
  void restart(std::uint64_t end) {
    cut(end);
    ++starts;
    checkpoint = end;
    lsn = end + 8;
  }
  // Another takes over, with what it has: up to `end`.
  void promote(std::uint64_t end) {
    cut(end);
    ++starts;
    switches.push_back({timeline, Lsn{end}});
    ++timeline;
    checkpoint = end;
    lsn = end + 8;
  }
  [[nodiscard]] std::uint64_t last_commit() const {
    std::uint64_t last = 0x1000;
    for (const Transaction& one : log) last = std::max(last, one.committed_at);
    return last;
  }

 private:
  void cut(std::uint64_t end) {
    std::erase_if(log, [&](const Transaction& one) { return one.assigned_at > end; });
    next_id = 100;
    for (Transaction& one : log) {
      if (one.committed_at > end) one.committed_at = 0;
      one.over = true;
      next_id = std::max(next_id, one.id + 1);
    }
  }
};

class Session {
 public:
  explicit Session(Database& database) : database_(database) {}

  void take(ByteView bytes) { append_bytes(in_, bytes); }
  // Answers the next whole message. False when there is none.
  bool step() {
    if (in_.size() < 5) return false;
    const std::size_t size = std::size_t{load_be32(in_.data() + 1)} + 1;
    require(size >= 5 && size < (1U << 20));
    if (size > in_.size()) return false;
    const ByteBuffer message(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(size));
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(size));
    answer(static_cast<char>(message[0]), ByteView(message).subspan(5));
    return true;
  }
  void say(const ByteBuffer& message) { append_bytes(out_, message); }
  [[nodiscard]] ByteBuffer& out() { return out_; }
  // Its client is gone.
  void end() {
    roll_back();
    over_ = true;
  }
  [[nodiscard]] bool over() const { return over_; }

 private:
  using Settings = std::map<std::string, std::string>;

  void answer(char type, ByteView payload) {
    const auto decoded = wire::decode_frontend(type, payload);
    require(static_cast<bool>(decoded));
    if (copying_) return copy(type);
    if (skipping_ && type != wire::frontend::kSync) return;
    std::visit([this](const auto& message) { hear(message); }, *decoded);
  }

  // --- the simple protocol ---
  void hear(const wire::Query& query) {
    statements_.erase("");  // as the server does ("Message Flow")
    portals_.erase("");
    std::string_view text = query.sql;
    if (text.starts_with("DO ")) {  // holds semicolons
      (void)run(text, true);
      return ready();
    }
    if (text.empty()) wire::append_empty_message(out_, wire::backend::kEmptyQueryResponse);
    while (!text.empty()) {
      const std::size_t end = text.find(';');
      if (!run(text.substr(0, end), true)) break;
      if (copying_) return;
      text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    }
    ready();
  }

  // --- the extended protocol ---
  void hear(const wire::Parse& parse) {
    if (!may_run(parse.sql)) return;
    if (!parse.statement.empty() && statements_.contains(std::string(parse.statement))) return fail("42P05");
    statements_[std::string(parse.statement)] = parse.sql;
    wire::append_empty_message(out_, wire::backend::kParseComplete);
  }
  void hear(const wire::Bind& bind) {
    const auto statement = statements_.find(std::string(bind.statement));
    if (statement == statements_.end()) return fail("26000");
    if (!may_run(statement->second)) return;
    if (!bind.portal.empty() && portals_.contains(std::string(bind.portal))) return fail("42P03");
    portals_[std::string(bind.portal)] = {statement->second, false};
    wire::append_empty_message(out_, wire::backend::kBindComplete);
  }
  void hear(const wire::Describe& describe) {
    const bool portal = describe.target == wire::Target::kPortal;
    const std::string name(describe.name);
    const auto found = portal ? portals_.find(name) : portals_.end();
    const auto statement = portal ? statements_.end() : statements_.find(name);
    if (portal && found == portals_.end()) return fail("34000");
    if (!portal && statement == statements_.end()) return fail("26000");
    const std::string& sql = portal ? found->second.sql : statement->second;
    if (!portal) wire::append_parameter_description(out_, {});
    if (has_rows(sql)) return describe_row("value");
    wire::append_empty_message(out_, wire::backend::kNoData);
  }
  void hear(const wire::Execute& execute) {
    const auto portal = portals_.find(std::string(execute.portal));
    if (portal == portals_.end()) return fail("34000");
    if (std::exchange(portal->second.done, true)) return fail("55000");
    const std::string sql = portal->second.sql;
    (void)run(sql, false);
  }
  void hear(const wire::Close& close) {
    const std::string name(close.name);
    close.target == wire::Target::kPortal ? portals_.erase(name) : statements_.erase(name);
    wire::append_empty_message(out_, wire::backend::kCloseComplete);
  }
  void hear(const wire::Sync&) {
    skipping_ = false;
    ready();
  }
  void hear(const wire::CopyData&) {}  // of a COPY that failed
  void hear(const wire::CopyDone&) {}
  void hear(const wire::CopyFail&) {}
  void hear(const wire::Flush&) {}
  template <typename Other>
  void hear(const Other&) {
    require(false);  // the fuzzer's client says no such thing
  }

  void copy(char type) {
    using namespace wire::frontend;
    if (type == kCopyData || type == kSync || type == kFlush) return;
    require(type == kCopyDone || type == kCopyFail);
    const unsigned number = *std::exchange(copying_, std::nullopt);
    if (type == kCopyFail) {
      fail("57014");
    } else {
      write(number);
      wire::append_command_complete(out_, "COPY 1");
    }
    if (std::exchange(copying_simply_, false)) ready();
  }

  // --- statements ---
  static unsigned number_in(std::string_view sql) {
    const std::size_t at = sql.find_first_of("0123456789");
    return at == std::string_view::npos ? 0
                                        : static_cast<unsigned>(std::stoul(std::string(sql.substr(at, 9))));
  }
  static bool has_rows(std::string_view sql) {
    return sql.starts_with("SELECT") || sql.starts_with("SHOW") || sql.ends_with("RETURNING a");
  }
  static bool ends_transaction(std::string_view sql) {
    return sql.starts_with("COMMIT") || sql.starts_with("ROLLBACK");
  }
  bool may_run(std::string_view sql) {
    if (status_ != 'E' || ends_transaction(sql)) return true;
    fail("25P02");
    return false;
  }

  // False when it failed. With `described` the rows are preceded by what they are.
  bool run(std::string_view sql, bool simple) {
    if (!may_run(sql)) return false;
    const unsigned number = number_in(sql);
    if (sql == "BEGIN") {
      begin();
    } else if (sql.starts_with("COMMIT") || sql == "ROLLBACK") {
      const bool kept = sql != "ROLLBACK" && status_ != 'E';
      const bool chained = sql.ends_with("CHAIN") && status_ != 'I';
      if (sql.ends_with("CHAIN") && status_ == 'I') return fail_false("25P01");
      kept ? commit() : roll_back();
      wire::append_command_complete(out_, kept ? "COMMIT" : "ROLLBACK");
      if (chained) status_ = 'T', settings_before_ = settings_;
      return true;
    } else if (sql.starts_with("SAVEPOINT") || sql.starts_with("ROLLBACK TO")) {
      return savepoint(sql);
    } else if (sql.starts_with("INSERT")) {
      if (sql.find("/ 0") != std::string_view::npos) return fail_false("22012");
      write(number);
      if (has_rows(sql)) rows(number, 3, simple);
      wire::append_command_complete(out_, "INSERT 0 1");
      return true;
    } else if (sql.starts_with("COPY")) {
      copying_ = number;
      copying_simply_ = simple;
      wire::append_copy_response(out_, wire::backend::kCopyInResponse, 0, {});
      return true;
    } else if (sql.starts_with("SET")) {
      if (!settings_before_) settings_before_ = settings_;
      settings_["work_mem"] = std::to_string(number);
      return done("SET");
    } else if (sql.starts_with("SHOW")) {
      if (simple) describe_row("work_mem");
      row({settings_["work_mem"]});
      return done("SHOW");
    } else if (sql == "DEALLOCATE ALL") {
      std::erase_if(statements_, [](const auto& one) { return !one.first.empty(); });
      return done("DEALLOCATE ALL");
    } else if (sql.starts_with("DO ")) {
      return fail_false("40001");
    } else if (sql.starts_with("SELECT pg_catalog.")) {
      return own(sql, simple);
    } else if (sql.starts_with("SELECT")) {
      if (sql.find("/ 0") != std::string_view::npos) return fail_false("22012");
      rows(number, 1 + number % 3, simple);
      return done("SELECT 1");
    }
    return done(sql.substr(0, sql.find(' ')));
  }

  // What only a proxy asks.
  bool own(std::string_view sql, bool simple) {
    if (simple) describe_row(kOwn);
    if (sql.find("txid_status") != std::string_view::npos) {
      row({fate_of(number_in(sql)), database_.started(), to_string(Lsn{database_.checkpoint})});
    } else {
      if (sql.find("txid_current()") != std::string_view::npos) note();
      const std::string id = open_ ? std::to_string(database_.log[*open_].id) : "";
      row({id, to_string(Lsn{database_.lsn}), database_.started()});
    }
    return done(kOwn);
  }
  std::string fate_of(std::uint64_t id) const {
    for (const Transaction& one : database_.log) {
      if (one.id != id) continue;
      if (one.committed_at != 0) return "committed";
      return one.over ? "aborted" : "in progress";
    }
    return {};
  }

  void begin() {
    if (!settings_before_) settings_before_ = settings_;
    status_ = 'T';
  }
  void write(unsigned number) {
    note();
    database_.log[*open_].writes.push_back(number);
  }
  // A record of the transaction, which has an id then.
  void note() {
    database_.lsn += 8;
    if (open_) return;
    open_ = database_.log.size();
    database_.log.push_back({.id = database_.next_id++, .assigned_at = database_.lsn, .writes = {}});
  }
  void commit() {
    if (open_) {
      database_.lsn += 8;
      database_.log[*open_].committed_at = database_.lsn;
    }
    over(true);
  }
  void roll_back() { over(false); }
  void over(bool kept) {
    if (open_) database_.log[*open_].over = true;
    if (!kept && settings_before_) settings_ = *settings_before_;
    settings_before_.reset();
    open_.reset();
    savepoint_.reset();
    portals_.clear();
    status_ = 'I';
  }
  bool savepoint(std::string_view sql) {
    if (status_ == 'I') return fail_false("25P01");
    const std::size_t writes = open_ ? database_.log[*open_].writes.size() : 0;
    if (sql.starts_with("SAVEPOINT")) {
      savepoint_ = {writes, settings_};
      return done("SAVEPOINT");
    }
    if (!savepoint_) return fail_false("3B001");
    if (open_) database_.log[*open_].writes.resize(savepoint_->writes);
    settings_ = savepoint_->settings;
    status_ = 'T';
    return done("ROLLBACK");
  }

  bool fail_false(std::string_view sqlstate) {
    fail(sqlstate);
    return false;
  }
  void fail(std::string_view sqlstate) {
    wire::append_error_response(out_, {.severity = "ERROR", .sqlstate = sqlstate, .message = "no"});
    skipping_ = true;  // until a Sync; ready() forgets it after a Query
    if (status_ == 'I') return roll_back();
    status_ = 'E';
  }
  bool done(std::string_view tag) {
    wire::append_command_complete(out_, tag);
    return true;
  }
  void ready() {
    skipping_ = false;
    if (status_ == 'I') commit();  // what was in no block
    wire::append_ready_for_query(out_, static_cast<wire::TransactionStatus>(status_));
  }
  void rows(unsigned number, unsigned count, bool simple) {
    if (simple) describe_row("a");
    for (unsigned i = 0; i < count; ++i) row({std::to_string(number) + std::string(40 * i, '.')});
  }
  void describe_row(std::string_view name) {
    const wire::FieldDescription field{.name = name};
    wire::append_row_description(out_, {&field, 1});
  }
  void row(const std::vector<std::string>& columns) {
    std::vector<wire::Value> values;
    for (const std::string& column : columns) {
      values.push_back(column.empty() ? wire::Value::null() : wire::Value{as_bytes(column)});
    }
    wire::append_data_row(out_, values);
  }

  struct Portal {
    std::string sql;
    bool done = false;
  };
  struct Savepoint {
    std::size_t writes = 0;
    Settings settings;
  };
  Database& database_;
  ByteBuffer in_;
  ByteBuffer out_;
  char status_ = 'I';
  bool skipping_ = false;
  bool over_ = false;
  std::optional<std::size_t> open_;  // its transaction, in the log
  std::optional<Settings> settings_before_;
  std::optional<Savepoint> savepoint_;
  std::optional<unsigned> copying_;
  bool copying_simply_ = false;
  Settings settings_;
  std::map<std::string, std::string> statements_;
  std::map<std::string, Portal> portals_;
};

}  // namespace understudy::proxy::model
