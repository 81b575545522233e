#include "replayer/session_footprint.h"

#include <algorithm>

#include "formats/wire/content_hash.h"
#include "formats/wire/frontend_messages.h"
#include "formats/wire/message_types.h"

namespace understudy::replayer {
namespace {

namespace frontend = wire::frontend;
using Kind = StatementShape::Kind;

// Larger messages are not looked into.
constexpr std::size_t kMaxMessageBytes = std::size_t{256} << 10;
// A transaction that has written more is taken to have written anything.
constexpr std::size_t kMaxAccesses = 64;
constexpr std::size_t kMaxNames = 10'000;

std::optional<std::int64_t> binary_integer(ByteView bytes) {
  if (bytes.size() == 2) return static_cast<std::int16_t>(load_be16(bytes.data()));
  if (bytes.size() == 4) return static_cast<std::int32_t>(load_be32(bytes.data()));
  if (bytes.size() != 8) return std::nullopt;
  const std::uint64_t high = load_be32(bytes.data());
  return static_cast<std::int64_t>(high << 32 | load_be32(bytes.data() + 4));
}

// What a placeholder stands for: a constant of the text, or a parameter. None if that is not known, or null.
struct Known {
  std::string_view text;
  std::optional<std::int64_t> integer;
};

std::optional<Known> value_of(std::uint32_t placeholder, const KnownStatement& statement,
                              const wire::Bind* bind) {
  if (placeholder > statement.parameters) {
    const std::size_t index = placeholder - statement.parameters - 1;
    if (index >= statement.constants.size()) return std::nullopt;
    const std::string_view text = statement.constants[index];
    return Known{text, integer_of(text)};
  }
  std::uint32_t number = 0;
  if (bind == nullptr) return std::nullopt;
  for (const wire::Value& value : bind->parameters) {
    if (++number != placeholder) continue;
    if (value.is_null) return std::nullopt;
    const bool in_text = bind->parameter_formats.of(number - 1) == 0;
    return Known{value.text(), in_text ? integer_of(value.text()) : binary_integer(value.bytes)};
  }
  return std::nullopt;
}

Access resolve(const StatementShape::Rows& rows, const KnownStatement& statement, const wire::Bind* bind) {
  Access access{.table = rows.table,
                .column = 0,
                .key = 0,
                .adds = rows.adds,
                .freely = rows.freely,
                .shared = rows.shared,
                .meets_added = rows.meets_added,
                .sets = rows.sets,
                .where = rows.where};
  if (rows.column == 0 || rows.placeholder == 0) return access;
  const auto value = value_of(rows.placeholder, statement, bind);
  if (!value || !value->integer) return access;
  access.column = rows.column;
  access.key = *value->integer;
  return access;
}

// None when a value is not known, or null, which is like no other.
std::optional<std::uint64_t> resolve(const StatementShape::UniqueKey& key, const KnownStatement& statement,
                                     const wire::Bind* bind) {
  std::string text = std::to_string(key.index);
  for (const std::uint32_t placeholder : key.placeholders) {
    const auto value = value_of(placeholder, statement, bind);
    if (!value) return std::nullopt;
    text += '\0' + (value->integer ? std::to_string(*value->integer) : std::string(value->text));
  }
  return wire::content_hash(as_bytes(text));
}

Footprint resolve(const KnownStatement& statement, const wire::Bind* bind) {
  Footprint rows;
  for (const auto& written : statement.shape->writes)
    rows.writes.push_back(resolve(written, statement, bind));
  for (const auto& read : statement.shape->reads) rows.reads.push_back(resolve(read, statement, bind));
  for (const auto& added : statement.shape->unique_keys) {
    if (const auto key = resolve(added, statement, bind)) rows.unique_keys.push_back(*key);
  }
  return rows;
}

bool changes_isolation(const SessionDescriptor& session) {
  return std::any_of(session.startup_parameters.begin(), session.startup_parameters.end(),
                     [](const auto& one) {
                       const std::string both = one.first + one.second;
                       return both.find("isolation") != std::string::npos ||
                              both.find("session_replication_role") != std::string::npos;
                     });
}

}  // namespace

SessionFootprint::SessionFootprint(StatementFootprints* statements, const SessionDescriptor& session)
    : statements_(changes_isolation(session) ? nullptr : statements), messages_(kMaxMessageBytes) {}

Footprint SessionFootprint::sent(ByteView bytes) {
  now_ = {};
  const bool from_boundary = messages_.at_boundary();
  const bool readable = messages_.feed(bytes, [this](const wire::Message& message) { take(message); });
  if (!from_boundary || !readable || !messages_.at_boundary()) may_touch_anything();
  return std::move(now_);
}

void SessionFootprint::answered(const Checkpoint& checkpoint) {
  if (!checkpoint.quiescent) return;
  in_block_ = checkpoint.transaction_status != 'I';
  if (in_block_) return;
  transaction_.clear();
  transaction_anything_ = false;
}

Footprint SessionFootprint::leaving() const {
  Footprint end;
  end.anything = ever_anything_ || transaction_anything_ || statements_ == nullptr;
  end.writes = transaction_;
  end.ends_transaction = true;
  return end;
}

void SessionFootprint::take(const wire::Message& message) {
  if (statements_ == nullptr || message.truncated) return may_touch_anything();
  switch (message.type) {
    case frontend::kQuery:
      return take_query(message.payload);
    case frontend::kParse:
      return take_parse(message.payload);
    case frontend::kBind:
      return take_bind(message.payload);
    case frontend::kExecute:
      return take_execute(message.payload);
    case frontend::kDescribe:
    case frontend::kClose:
    case frontend::kFlush:
      now_.catalog = true;
      return;
    case frontend::kSync:
      if (!in_block_) ends_transaction();
      return;
    case frontend::kTerminate:
      return now_.merge(leaving());
    default:
      return may_touch_anything();
  }
}

void SessionFootprint::take_query(ByteView payload) {
  const auto query = wire::Query::decode(payload);
  if (!query) return may_touch_anything();
  const KnownStatement statement = statements_->identify(query->sql);
  run(*statement.shape, resolve(statement, nullptr));
}

void SessionFootprint::take_parse(ByteView payload) {
  const auto parse = wire::Parse::decode(payload);
  if (!parse || prepared_.size() >= kMaxNames) return may_touch_anything();
  now_.catalog = true;
  prepared_[std::string(parse->statement)] = statements_->identify(parse->sql);
}

void SessionFootprint::take_bind(ByteView payload) {
  const auto bind = wire::Bind::decode(payload);
  if (!bind || portals_.size() >= kMaxNames) return may_touch_anything();
  now_.catalog = true;
  const auto statement = prepared_.find(std::string(bind->statement));
  if (statement == prepared_.end()) {  // prepared by SQL, or before the recording began
    portals_.erase(std::string(bind->portal));
    return;
  }
  portals_[std::string(bind->portal)] = {statement->second.shape, resolve(statement->second, &*bind)};
}

void SessionFootprint::take_execute(ByteView payload) {
  const auto execute = wire::Execute::decode(payload);
  if (!execute) return may_touch_anything();
  const auto portal = portals_.find(std::string(execute->portal));
  if (portal == portals_.end()) return may_touch_anything();
  run(*portal->second.shape, portal->second.rows);
}

void SessionFootprint::run(const StatementShape& shape, Footprint rows) {
  now_.catalog = true;
  switch (shape.kind) {
    case Kind::kOpaque:
      statements_ = nullptr;
      return may_touch_anything();
    case Kind::kAnything:
      may_touch_anything();
      now_.takes_locks = now_.takes_locks || !rows.writes.empty();
      now_.ends_transaction = now_.ends_transaction || shape.ends;
      return now_.merge(rows);
    case Kind::kNothing:
      return;
    case Kind::kBegin:
      in_block_ = true;
      return;
    case Kind::kEnd:
      in_block_ = false;
      return ends_transaction();
    case Kind::kRollbackTo: {
      Footprint locks;
      locks.anything = transaction_anything_;
      locks.writes = transaction_;
      return now_.merge(locks);
    }
    case Kind::kRows:
      rows.ends_transaction = !in_block_;
      rows.takes_locks = !rows.writes.empty();
      return add_rows(rows);
  }
}

// What was written becomes visible, or vanishes.
void SessionFootprint::ends_transaction() {
  Footprint end;
  end.anything = transaction_anything_;
  end.writes = transaction_;
  end.ends_transaction = true;
  now_.merge(end);
}

void SessionFootprint::add_rows(const Footprint& rows) {
  now_.merge(rows);
  for (const Access& written : rows.writes) {
    if (std::find(transaction_.begin(), transaction_.end(), written) == transaction_.end())
      transaction_.push_back(written);
  }
  if (transaction_.size() > kMaxAccesses || now_.writes.size() + now_.reads.size() > kMaxAccesses)
    may_touch_anything();
}

void SessionFootprint::may_touch_anything() {
  now_.anything = true;
  now_.ends_transaction = now_.ends_transaction || !in_block_ || statements_ == nullptr;
  transaction_anything_ = true;
  ever_anything_ = true;
}

}  // namespace understudy::replayer
