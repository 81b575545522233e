#include "replayer/mask/session_mask.h"

#include <algorithm>

#include "formats/masking/value_shape.h"
#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_messages.h"
#include "formats/wire/message_types.h"
#include "replayer/export/binary_value.h"
#include "replayer/mask/binary_token.h"

namespace understudy::replayer {
namespace {

namespace frontend = wire::frontend;
namespace backend = wire::backend;
using masking::Rule;

constexpr std::size_t kMaxNames = 10'000;     // of statements and portals that a client never closes
constexpr std::size_t kMaxPending = 100'000;  // requests without an answer

template <typename Value>
void remember(std::map<std::string, Value, std::less<>>& names, std::string_view name, Value value) {
  if (names.size() >= kMaxNames) names.clear();
  names.insert_or_assign(std::string(name), std::move(value));
}

// The bytes of a decoder's view, which lie in the payload, to be changed.
std::span<Byte> writable(std::span<Byte> payload, ByteView part) {
  if (part.empty()) return {};
  return payload.subspan(static_cast<std::size_t>(part.data() - payload.data()), part.size());
}
std::span<Byte> writable(std::span<Byte> payload, std::string_view part) {
  return writable(payload, as_bytes(part));
}

bool may_be_any(std::uint32_t type_oid, std::string_view value) {
  if (type_oid != 0)
    return type_name(type_oid).ends_with("[]") || is_text_type(type_oid) || type_name(type_oid).empty();
  const masking::Shape shape = masking::shape_of(value);
  return shape != masking::Shape::kInteger && shape != masking::Shape::kNumber;
}

// Whether ReadyForQuery answers it.
bool ends_with_ready(char type) {
  return type == frontend::kQuery || type == frontend::kFunctionCall || type == frontend::kSync;
}

}  // namespace

void SessionMask::push(char type, Portal portal, bool of_statement) {
  if (skipping_ && type != frontend::kSync) return;
  skipping_ = false;
  if (pending_.size() >= kMaxPending) {
    lost_ =
        true;  // answers are of nothing known, and hidden, until those to what is dropped here are through
    for (const Pending& dropped : pending_) lost_ends_ += ends_with_ready(dropped.type) ? 1 : 0;
    lost_inside_ = !ends_with_ready(pending_.back().type);
    pending_.clear();
  }
  pending_.push_back({.type = type,
                      .of_statement = of_statement,
                      .portal = std::move(portal),
                      .result = 0,
                      .fields = {},
                      .name = {},
                      .before = {}});
}

// ---- The client's

bool SessionMask::client(char type, std::span<Byte> payload) {
  switch (type) {
    case frontend::kQuery:
      return query(payload);
    case frontend::kParse:
      return parse(payload);
    case frontend::kBind:
      return bind(payload);
    case frontend::kDescribe:
    case frontend::kExecute:
    case frontend::kClose:
      name_target(type, payload);
      return true;
    case frontend::kFunctionCall:
      return function_call(payload);
    case frontend::kSync:
      // While the server takes COPY data it reads and ignores Sync ("COPY Operations").
      if (copying_ != Copying::kIn) push(type);
      return true;
    case frontend::kCopyData:
      copy_data(payload, true);
      return true;
    case frontend::kCopyFail:
      copy_failed(payload);
      copy_end();
      return true;
    case frontend::kCopyDone:
      copy_end();
      return true;
    default:
      return true;
  }
}

// What the names stand for that it refers to, now: later they may be of something else. Those that it gives
// itself count, unless there was one of that name before: which of the two is meant is not followed.
NamedValues SessionMask::named_in(const std::shared_ptr<const StatementValues>& values) const {
  NamedValues found;
  const auto add = [&](const std::string& name) {
    const auto known = named_.find(name);
    const bool own = std::any_of(values->results.begin(), values->results.end(),
                                 [&](const ResultShape& shape) { return shape.defines == name; });
    if (known != named_.end() && !own) found.emplace(name, known->second);
    if (known == named_.end() && own) found.emplace(name, values);
  };
  for (const std::string& name : values->executes) add(name);
  for (const ResultShape& shape : values->results) {
    if (!shape.refers_to.empty()) add(shape.refers_to);
  }
  return found;
}

// What it says, and what its names stood for before it.
SessionMask::Portal SessionMask::mask_sql(std::span<Byte> sql, bool once) {
  auto statement = std::make_shared<Statement>();
  statement->values = masker_.read(as_text(sql));
  follow_tables(*statement->values);
  if (once && tables_.contains(statement->values->tables.unlisted))
    statement->values = masker_.read(as_text(sql), tables_);
  NamedValues named = named_in(statement->values);
  masker_.mask_statement(sql, *statement->values, named);
  for (const ResultShape& shape : statement->values->results) {
    if (shape.defines.empty()) continue;
    remember(named_, shape.defines, statement->values);
    statements_.erase(shape.defines);  // what Parse and Bind called so is gone, or this fails
    portals_.erase(shape.defines);
  }
  return {.statement = std::move(statement), .formats = {}, .named = std::move(named)};
}

bool SessionMask::query(std::span<Byte> payload) {
  const auto message = wire::Query::decode(payload);
  if (!message) return false;
  push(frontend::kQuery, mask_sql(writable(payload, message->sql), true));
  return true;
}

bool SessionMask::parse(std::span<Byte> payload) {
  const auto message = wire::Parse::decode(payload);
  if (!message) return false;
  Portal portal = mask_sql(writable(payload, message->sql), message->statement.empty());
  for (std::size_t i = 0; i < message->parameter_types.size(); ++i)
    portal.statement->parameter_types.push_back(message->parameter_types[i]);
  if (skipping_) return true;  // the server does not read it
  const auto known = statements_.find(message->statement);
  auto before = known != statements_.end() ? known->second : nullptr;
  remember(statements_, message->statement, portal.statement);
  push(frontend::kParse, std::move(portal));
  pending_.back().name = message->statement;
  pending_.back().before = std::move(before);
  return true;
}

bool SessionMask::bind(std::span<Byte> payload) {
  const auto message = wire::Bind::decode(payload);
  if (!message) return false;
  const auto found = statements_.find(message->statement);
  Portal portal;
  if (found != statements_.end()) portal.statement = found->second;
  const Statement* const statement = portal.statement.get();
  const bool understood = statement != nullptr && statement->values->understood;
  static const std::vector<ValueRole> kNone;
  const std::vector<ValueRole>& roles = understood ? statement->values->parameters : kNone;
  const auto payloads = payloads_before(roles, message->parameters);
  std::size_t i = 0;
  for (const wire::Value& value : message->parameters) {
    const std::span<Byte> bytes = writable(payload, value.bytes);
    const bool binary = message->parameter_formats.of(i) != 0;
    const std::uint32_t oid =
        statement != nullptr && i < statement->parameter_types.size() ? statement->parameter_types[i] : 0;
    if (!understood) {
      masker_.hide(bytes, oid, binary);
    } else {
      ValueRole role = i < roles.size() ? roles[i] : ValueRole{};
      // Of no column, in a statement about a masked one: a text or a list, unnest($1) say, may be of that
      // one.
      if (!role.placed && role.rule == nullptr && may_be_any(oid, as_text(value.bytes)))
        role.rule = statement->values->mentioned;
      masker_.mask(bytes, {.column_rule = role.rule,
                           .type_oid = oid != 0 ? oid : role.cast_oid,
                           .binary = binary,
                           .list = role.list});
    }
    ++i;
  }
  tell_payloads(roles, payloads, message->parameters);
  for (std::size_t j = 0; j < message->result_formats.size(); ++j)
    portal.formats.push_back(message->result_formats[j]);
  remember(portals_, message->portal, portal);
  push(frontend::kBind, std::move(portal));
  return true;
}

// Describe, Close: 'S' or 'P' and a name; Execute: a portal's name.
void SessionMask::name_target(char type, std::span<Byte> payload) {
  const std::string_view all = as_text(payload);
  const bool of_statement = type != frontend::kExecute && all.starts_with('S');
  const std::string_view rest =
      type == frontend::kExecute ? all : all.substr(std::min<std::size_t>(1, all.size()));
  const std::string name(rest.substr(0, rest.find('\0')));
  Portal portal;
  if (of_statement) {
    if (const auto found = statements_.find(name); found != statements_.end())
      portal.statement = found->second;
  } else if (const auto found = portals_.find(name); found != portals_.end()) {
    portal = found->second;
  }
  if (type == frontend::kExecute && portal.statement) follow_tables(*portal.statement->values);
  if (type == frontend::kExecute && !portal.statement) forget_tables();
  if (type == frontend::kExecute && portal.statement) portal.named = named_in(portal.statement->values);
  push(type, std::move(portal), of_statement);
  if (type != frontend::kClose) return;
  if (of_statement) {
    statements_.erase(name);
  } else {
    portals_.erase(name);
  }
}

// Nothing tells of its arguments but their function's number.
bool SessionMask::function_call(std::span<Byte> payload) {
  const auto message = wire::FunctionCall::decode(payload);
  if (!message) return false;
  std::size_t i = 0;
  for (const wire::Value& value : message->arguments)
    masker_.hide(writable(payload, value.bytes), 0, message->argument_formats.of(i++) != 0);
  forget_tables();
  push(frontend::kFunctionCall);
  return true;
}

// What comes before the server has asked for it is of a statement not known yet.
void SessionMask::copy_data(std::span<Byte> payload, bool from_client) {
  if (copying_ == (from_client ? Copying::kIn : Copying::kOut)) return copy_.data(masker_, payload);
  ++masker_.counts().hidden;
  ValueMasker::blot(payload);
}

// What the client found wrong with a row may say what is in it; the server repeats it.
void SessionMask::copy_failed(std::span<Byte> payload) {
  const Pending* const asked = front();
  const std::span<Byte> text = payload.first(std::min(as_text(payload).find('\0'), payload.size()));
  if (asked != nullptr && asked->portal.statement && !tells_masked(asked->portal))
    return mask_by_pattern(payload);
  constexpr std::size_t kPiece = 900;  // longer ones are not known again
  for (std::size_t at = 0; at < text.size(); at += kPiece)
    masker_.hide(text.subspan(at, std::min(kPiece, text.size() - at)), 0, false);
}

void SessionMask::copy_end() {
  if (copying_ != Copying::kIn && !pending_.empty()) push(frontend::kCopyDone);
  copying_ = Copying::kNothing;
}

void SessionMask::copy_begins(bool from_client, std::span<Byte> payload) {
  const std::size_t columns = payload.size() < 3 ? 0 : load_be16(payload.data() + 1);
  copy_.begin(shape(), !payload.empty() && payload[0] != 0, columns, from_client);
  copying_ = from_client ? Copying::kIn : Copying::kOut;
  if (!from_client || front() == nullptr || front()->type != frontend::kExecute) return;
  // The Syncs already sent, up to a CopyDone that came early, are read as part of the copy and ignored.
  for (auto at = pending_.begin() + 1; at != pending_.end();) {
    if (at->type == frontend::kCopyDone) {
      pending_.erase(at);
      copying_ = Copying::kNothing;
      return;
    }
    at = at->type == frontend::kSync ? pending_.erase(at) : at + 1;
  }
}

void SessionMask::mask_by_pattern(std::span<Byte> text) {
  const std::size_t end = std::min(as_text(text).find('\0'), text.size());
  if (masker_.rules().for_text(as_text(text.first(end))) == nullptr) return;
  ++masker_.counts().hidden;
  ValueMasker::blot(text.first(end));
}

// ---- The server's

bool SessionMask::server(char type, std::span<Byte> payload) {
  switch (type) {
    case backend::kRowDescription:
      describe_rows(payload);
      return true;
    case backend::kNoData:
      pop(frontend::kDescribe);
      return true;
    case backend::kParameterDescription:
      if (const auto message = wire::ParameterDescription::decode(payload);
          message && front() != nullptr && front()->portal.statement) {
        auto& types = front()->portal.statement->parameter_types;
        types.clear();
        for (std::size_t i = 0; i < message->types.size(); ++i) types.push_back(message->types[i]);
      }
      return true;
    case backend::kDataRow:
      return data_row(payload);
    case backend::kParseComplete:
      pop(frontend::kParse);
      return true;
    case backend::kBindComplete:
      pop(frontend::kBind);
      return true;
    case backend::kCloseComplete:
      pop(frontend::kClose);
      return true;
    case backend::kCommandComplete:
    case backend::kEmptyQueryResponse:
    case backend::kPortalSuspended:
      table_created();
      if (front() != nullptr && front()->type == frontend::kQuery) {
        ++front()->result;
        front()->fields.clear();
      } else {
        pop(frontend::kExecute);
      }
      return true;
    case backend::kCopyInResponse:
    case backend::kCopyOutResponse:
      copy_begins(type == backend::kCopyInResponse, payload);
      return true;
    case backend::kCopyBothResponse:
      return false;  // replication: what it says is not followed
    case backend::kCopyData:
      copy_data(payload, false);
      return true;
    case backend::kErrorResponse:
      return error(payload, true);
    case backend::kNoticeResponse:
      return error(payload, false);
    case backend::kReadyForQuery:
      ready(payload);
      return true;
    case backend::kNotificationResponse:
      return notification(payload);
    case backend::kParameterStatus:
      if (const auto message = wire::ParameterStatus::decode(payload))
        mask_by_pattern(writable(payload, message->value));
      return true;
    case backend::kFunctionCallResponse:
      if (const auto message = wire::FunctionCallResponse::decode(payload))
        masker_.hide(writable(payload, message->result.bytes), 0, true);
      return true;
    default:
      return true;
  }
}

void SessionMask::pop(char type) {
  if (front() == nullptr) return;
  if (pending_.front().type == type) pending_.pop_front();
  // A CopyDone of no copy says nothing to the server.
  while (!pending_.empty() && pending_.front().type == frontend::kCopyDone) pending_.pop_front();
}

const ResultShape* SessionMask::shape() const {
  if (front() == nullptr || !front()->portal.statement) return nullptr;
  const StatementValues& values = *front()->portal.statement->values;
  if (!values.understood || front()->result >= values.results.size()) return nullptr;
  const ResultShape* const shape = &values.results[front()->result];
  if (shape->refers_to.empty()) return shape;
  const NamedValues& names = front()->portal.named;
  const auto named = names.find(shape->refers_to);
  if (named == names.end()) return nullptr;
  for (const ResultShape& defined : named->second->results) {
    if (defined.defines == shape->refers_to) return &defined;
  }
  return nullptr;
}

void SessionMask::describe_rows(std::span<Byte> payload) {
  const auto message = wire::RowDescription::decode(payload);
  if (!message || front() == nullptr) return;
  std::vector<Field> fields;
  for (const wire::FieldDescription& field : message->fields)
    fields.push_back({.name = std::string(field.name), .type_oid = field.type_oid, .format = field.format});
  Pending& asked = *front();
  if (asked.type == frontend::kQuery) {
    asked.fields = std::move(fields);
    return;
  }
  if (asked.portal.statement) {
    asked.portal.statement->fields = std::move(fields);
    asked.portal.statement->described = true;
  }
  pop(frontend::kDescribe);
}

bool SessionMask::data_row(std::span<Byte> payload) {
  const auto message = wire::DataRow::decode(payload);
  if (!message) return false;
  const ResultShape* const result = shape();
  const Pending* const asked = front();
  static const std::vector<Field> kNone;
  const std::vector<Field>& fields = asked == nullptr                     ? kNone
                                     : asked->type == frontend::kQuery    ? asked->fields
                                     : asked->portal.statement != nullptr ? asked->portal.statement->fields
                                                                          : kNone;
  const bool by_position = result != nullptr && result->by_position;
  const bool fits = !by_position || result->columns.size() == message->columns.size();
  std::size_t i = 0;
  for (const wire::Value& value : message->columns) {
    Field field = i < fields.size() ? fields[i] : Field{};
    if (asked != nullptr && asked->type != frontend::kQuery) {  // what Bind asked for
      const auto& formats = asked->portal.formats;
      field.format = formats.empty()       ? std::int16_t{0}
                     : formats.size() == 1 ? formats[0]
                     : i < formats.size()  ? formats[i]
                                           : std::int16_t{0};
    }
    const std::span<Byte> bytes = writable(payload, value.bytes);
    // Of which column it is, neither place nor name tells.
    const bool untold = !fits || (!by_position && i >= fields.size());
    const Rule* const of_any =
        result != nullptr && untold ? masker_.rules().for_whole_row(result->tables) : nullptr;
    if (result == nullptr || result->hidden || (untold && of_any == nullptr && result->any == nullptr)) {
      if (!bytes.empty()) masker_.hide(bytes, field.type_oid, field.format != 0);
    } else {
      const Rule* rule = by_position && fits ? result->columns[i] : nullptr;
      if (const auto label = result->labels.find(field.name);
          rule == nullptr && label != result->labels.end())
        rule = label->second;
      if (const Rule* const named = masker_.rules().for_column(result->tables, field.name)) {
        masker_.counts().named.insert(named);
        if (rule == nullptr) rule = named;
      }
      if (rule == nullptr) rule = result->any != nullptr ? result->any : of_any;
      masker_.mask(bytes, {.column_rule = rule, .type_oid = field.type_oid, .binary = field.format != 0});
    }
    ++i;
  }
  return true;
}

void SessionMask::failed() {
  copying_ = Copying::kNothing;
  forget_tables();
  if (front() == nullptr) return;
  if (ends_with_ready(pending_.front().type)) return forget_undefined();
  const auto sync = std::find_if(pending_.begin(), pending_.end(),
                                 [](const Pending& each) { return each.type == frontend::kSync; });
  // What was not prepared has not taken the place of what had its name.
  for (auto each = sync; each != pending_.begin();) {
    --each;
    if (each->type != frontend::kParse) continue;
    const auto own = statements_.find(each->name);
    if (own == statements_.end() || own->second != each->portal.statement) continue;
    if (each->before)
      own->second = each->before;
    else
      statements_.erase(own);
  }
  pending_.erase(pending_.begin(), sync);
  skipping_ = pending_.empty();
}

// Whether names that a failed text was to give are still those of before is not followed.
void SessionMask::forget_undefined() {
  const Pending& asked = pending_.front();
  if (!asked.portal.statement) return;
  const auto& results = asked.portal.statement->values->results;
  for (std::size_t i = asked.result; i < results.size(); ++i) named_.erase(results[i].defines);
}

void SessionMask::ready(std::span<const Byte> status) {
  learn_table(!status.empty() && status.front() == 'T');
  copying_ = Copying::kNothing;
  in_step_ = true;
  if (lost_ends_ > 0) {
    --lost_ends_;
    if (lost_ends_ == 0) lost_ = lost_inside_;
    return;
  }
  lost_ = false;
  while (!pending_.empty() && !ends_with_ready(pending_.front().type)) pending_.pop_front();
  if (!pending_.empty()) pending_.pop_front();
}

}  // namespace understudy::replayer
