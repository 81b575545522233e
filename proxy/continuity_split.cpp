// Continuity with two servers: which requests a replica may answer, and what it takes that the session goes
// on at one what it began at the other.
//
// A batch (a Query, or a pipeline up to its Sync) goes to a replica when all of it is here and all of it is
// safe. What the other server lacks of the session's history is said before it, in the same breath, and the
// answers are swallowed. A replica that cannot answer (a conflict with recovery, a write hidden in a view) is
// a lost server: the batch is asked again of the primary, as after any loss (continuity_recovery.cpp).
#include <algorithm>
#include <vector>

#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_messages.h"
#include "formats/wire/message_types.h"
#include "proxy/continuity.h"

namespace understudy::proxy {

namespace frontend = wire::frontend;
namespace backend = wire::backend;

namespace {

constexpr std::size_t kHeaderBytes = 5;

bool holds(const std::vector<std::string_view>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

// What a batch has named so far.
struct BatchNames {
  std::vector<std::string_view> statements;
  std::vector<std::string_view> portals;
  bool open = false;  // a pipeline without its Sync
};

bool Continuity::answered_by_replica(std::string_view sql) const {
  const StatementTraits& traits = traits_.of(sql);
  return traits.statements.size() == 1 && traits.statements.front().on_replica;
}

Continuity::Batch Continuity::judge_batch(ByteView bytes) const {
  Batch batch;
  BatchNames names;
  if (!client_.at_boundary() || from_client_.holds()) return batch;
  while (bytes.size() >= kHeaderBytes) {
    const std::size_t size = std::size_t{load_be32(bytes.data() + 1)} + 1;
    if (size < kHeaderBytes || size > bytes.size()) return batch;
    const ByteView payload = bytes.subspan(kHeaderBytes, size - kHeaderBytes);
    if (!judge_message(static_cast<char>(bytes.front()), payload, names, batch)) return batch;
    bytes = bytes.subspan(size);
  }
  batch.whole = bytes.empty() && !names.open;
  batch.on_replica = batch.whole && batch.asks;
  return batch;
}

// False for what only the primary may answer.
bool Continuity::judge_message(char type, ByteView payload, BatchNames& names, Batch& batch) const {
  const auto prepared = [&](std::string_view statement) {
    batch.asks = true;
    if (holds(names.statements, statement)) return true;
    if (statement.empty()) batch.takes_unnamed = true;
    const std::string* const sql = sql_of(statement);
    return sql != nullptr && answered_by_replica(*sql);
  };
  switch (type) {
    case frontend::kQuery:
      batch.asks = true;
      return !names.open && !payload.empty() &&
             answered_by_replica(as_text(payload.first(payload.size() - 1)));
    case frontend::kParse: {
      const auto parse = wire::Parse::decode(payload);
      if (!parse || !answered_by_replica(parse->sql)) return false;
      batch.asks = names.open = true;
      names.statements.push_back(parse->statement);
      return true;
    }
    case frontend::kBind: {
      const auto bind = wire::Bind::decode(payload);
      if (!bind || !prepared(bind->statement)) return false;
      names.open = true;
      names.portals.push_back(bind->portal);
      return true;
    }
    case frontend::kDescribe: {
      const auto describe = wire::Describe::decode(payload);
      names.open = true;
      if (!describe) return false;
      return describe->target == wire::Target::kStatement ? prepared(describe->name)
                                                          : holds(names.portals, describe->name);
    }
    case frontend::kExecute: {
      const auto execute = wire::Execute::decode(payload);
      names.open = true;
      return execute && holds(names.portals, execute->portal);
    }
    case frontend::kClose:
    case frontend::kFlush:
      names.open = true;
      return true;
    case frontend::kSync:
      names.open = false;
      names.portals.clear();  // they end with the transaction
      return true;
    case frontend::kTerminate:
      return true;
    default:
      return false;
  }
}

bool Continuity::quiet() const {
  return stage_ == Stage::kRelaying && requests_.empty() && status_ == 'I' &&
         predicted_ == Predicted::kNone && !wrapped_ && !holding_ && !failure_pending_ &&
         !skipping_to_sync_ && !confused_ && !overflowed_ && may_leave() && client_.at_boundary() &&
         server_.at_boundary() && !from_client_.holds() && !from_server_.holds();
}

bool Continuity::may_read_elsewhere() const {
  return (!opaque_ || limits_.trust_functions) && !history_.listens() && cannot_move().empty();
}

void Continuity::take_copy(Copy& other) {
  std::swap(server_settings_, other.settings);
  std::swap(timeline_, other.timeline);
  other.version = history_.version();
  at_replica_ = !at_replica_;
}

void Continuity::switch_to(Copy& other, bool replica, bool with_unnamed) {
  const std::uint64_t known = other.version;
  take_copy(other);
  at_replica_ = replica;
  catch_up(known, with_unnamed);
}

void Continuity::bring_unnamed() {
  if (!unnamed_here_) catch_up(history_.version(), true);
}

void Continuity::catch_up(std::uint64_t known, bool with_unnamed) {
  const SessionHistory::Answers answers =
      history_.catch_up(for_server_, known, with_unnamed,
                        [&](const std::string& sql) { return !at_replica_ || answered_by_replica(sql); });
  for (unsigned i = 0; i < answers.due; ++i) {
    OpenRequest& own = requests_.add();
    own.own = own.whole = own.silent = true;
  }
  unnamed_here_ = with_unnamed;
}

unsigned Continuity::bring_elsewhere(ByteBuffer& out, std::uint64_t& version, bool with_unnamed) const {
  const SessionHistory::Answers answers =
      history_.catch_up(out, std::exchange(version, history_.version()), with_unnamed,
                        [&](const std::string& sql) { return answered_by_replica(sql); });
  return answers.due;
}

std::string Continuity::text_of(ByteView batch) const {
  if (batch.size() < kHeaderBytes) return {};
  const std::size_t size = std::size_t{load_be32(batch.data() + 1)} + 1;
  if (size < kHeaderBytes || size > batch.size()) return {};
  const ByteView payload = batch.subspan(kHeaderBytes, size - kHeaderBytes);
  const char type = static_cast<char>(batch.front());
  if (type == frontend::kQuery && !payload.empty())
    return std::string(as_text(payload.first(payload.size() - 1)));
  if (type == frontend::kParse) {
    const auto parse = wire::Parse::decode(payload);
    return parse ? std::string(parse->sql) : std::string();
  }
  if (type != frontend::kBind) return {};
  const auto bind = wire::Bind::decode(payload);
  const std::string* const sql = bind ? sql_of(bind->statement) : nullptr;
  return sql == nullptr ? std::string() : *sql;
}

void Continuity::server_regained(Copy primary) {
  server_settings_ = std::move(primary.settings);
  new_timeline_ = primary.timeline;
  switches_.clear();
  times_asked_ = 0;
  at_replica_ = false;
  regained_ = primary.version;
  failure_ ? restore() : judge();
}

void Continuity::ask_position() {
  ask(for_server_, kAskForPosition);
  requests_.back().asks_position = true;
  requests_.back().transaction = floor_.epoch();
}

void Continuity::take_position(ByteView payload) {
  const auto row = wire::DataRow::decode(payload);
  if (!row) return;
  for (const wire::Value& value : row->columns) {
    const auto position = parse_lsn(value.text());
    if (position) floor_.answered(requests_.front().transaction, *position);
  }
}

// At the primary a statement that can no longer be prepared is the client's to find out.
void Continuity::silent_answered(bool failed) {
  if (failed && at_replica_) server_leaves_ = true;
}

// An error that the primary would not give, perhaps: the replica is in recovery, short of something, or ends.
// What the client has stopped itself (57014) stays stopped.
bool Continuity::better_at_primary(ByteView payload) const {
  const auto error = wire::ErrorResponse::decode(payload);
  if (!error) return true;
  if (error->severity() == "FATAL" || error->severity() == "PANIC") return true;
  const std::string_view sqlstate = error->sqlstate();
  constexpr std::string_view kClasses[] = {"0A", "25", "26", "40", "53", "55", "58", "XX"};
  return sqlstate.starts_with("57P") ||
         std::find(std::begin(kClasses), std::end(kClasses), sqlstate.substr(0, 2)) != std::end(kClasses);
}

// A replica is told of a sequence's position ahead of time, so that it has another.
bool Continuity::describes_sequence(ByteView message) const {
  return as_text(message).find(std::string_view("log_cnt\0", 8)) != std::string_view::npos;
}

}  // namespace understudy::proxy
