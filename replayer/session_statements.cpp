#include "replayer/session_statements.h"

#include <algorithm>
#include <charconv>

#include "formats/wire/frontend_messages.h"
#include "formats/wire/message_types.h"
#include "replayer/recording_lookup.h"

namespace understudy::replayer {
namespace {

namespace frontend = wire::frontend;
namespace backend = wire::backend;

constexpr std::size_t kMaxNames = 100'000;    // of statements and portals that a client never closes
constexpr std::size_t kMaxDescribed = 1'000;  // Parses whose Describe may still be answered
constexpr std::size_t kHeaderBytes = 5;

template <typename Value>
Value& remember(std::unordered_map<std::string, Value>& names, std::string_view name) {
  if (names.size() >= kMaxNames) names.clear();
  return names[std::string(name)];
}

// "INSERT 0 5" -> 5, "SELECT 3" -> 3, "CREATE TABLE" -> 0.
std::uint64_t rows_of(std::string_view tag) {
  const std::string_view last = tag.substr(tag.rfind(' ') + 1);
  std::uint64_t rows = 0;
  const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), rows);
  return error == std::errc() && end == last.data() + last.size() ? rows : 0;
}

Statement::End end_of(TrackedRequest::End end) {
  switch (end) {
    case TrackedRequest::End::kDone:
      return Statement::End::kDone;
    case TrackedRequest::End::kFailed:
      return Statement::End::kFailed;
    case TrackedRequest::End::kSkipped:
      return Statement::End::kSkipped;
    case TrackedRequest::End::kUnknown:
      break;
  }
  return Statement::End::kUnknown;
}

}  // namespace

std::string_view statement_kind_name(Statement::Kind kind) {
  switch (kind) {
    case Statement::Kind::kQuery:
      return "query";
    case Statement::Kind::kExecute:
      return "execute";
    case Statement::Kind::kFunctionCall:
      return "function call";
    case Statement::Kind::kOther:
      break;
  }
  return "other";
}

std::string_view statement_end_name(Statement::End end) {
  switch (end) {
    case Statement::End::kDone:
      return "done";
    case Statement::End::kFailed:
      return "failed";
    case Statement::End::kSkipped:
      return "skipped";
    case Statement::End::kUnknown:
      break;
  }
  return "unknown";
}

void SessionStatements::take(const SessionItem& item) {
  if (!item.is_message) {
    if (item.event.kind != EventKind::kGap) return;
    finish();  // what was asked is not known
    tracker_ = {};
    return;
  }
  if (item.direction == Direction::kFromClient) {
    client_message(item.message, item.time);
  } else {
    server_message(item.message, item.time);
  }
}

void SessionStatements::finish() {
  tracker_.finish();
  settle(-1);
  pending_.clear();
  parsing_.clear();
  failure_.reset();
}

void SessionStatements::client_message(const wire::Message& message, TimeNs time) {
  client_bytes_ += message.payload_length + kHeaderBytes;
  // First: what is asked must be known to the tracker when what it passes over is settled.
  switch (message.type) {
    case frontend::kQuery:
      query(message, time);
      break;
    case frontend::kFunctionCall:
      function_call(message, time);
      break;
    case frontend::kParse:
      parse(message);
      break;
    case frontend::kBind:
      bind(message);
      break;
    case frontend::kExecute:
      execute(message, time);
      break;
    case frontend::kClose:
      close(message);
      break;
    default:
      // COPY data, a Sync, a password: of what came before it, if that is still at work.
      if (!pending_.empty()) pending_.back().client_bytes += client_bytes_;
      client_bytes_ = 0;
      break;
  }
  tracker_.client(message);
  settle(time);
}

void SessionStatements::ask(Statement statement, TimeNs time) {
  statement.number = ++asked_;
  statement.sent = time;
  statement.client_bytes = client_bytes_;
  client_bytes_ = 0;
  listener_.sent(statement);
  pending_.push_back(std::move(statement));
}

void SessionStatements::query(const wire::Message& message, TimeNs time) {
  auto text = std::make_shared<StatementText>();
  const std::string_view sql = as_text(message.payload);
  text->sql = sql.substr(0, sql.find('\0'));
  text->whole = !message.truncated;
  text->id = catalog_.identify(text->sql);
  Statement statement;
  statement.text = std::move(text);
  ask(std::move(statement), time);
}

void SessionStatements::function_call(const wire::Message& message, TimeNs time) {
  ByteReader in(message.payload);
  auto text = std::make_shared<StatementText>();
  text->sql = "(call of function " + std::to_string(in.be32()) + ")";
  text->id = catalog_.identify(text->sql);
  Statement statement;
  statement.kind = Statement::Kind::kFunctionCall;
  statement.text = std::move(text);
  ask(std::move(statement), time);
}

void SessionStatements::parse(const wire::Message& message) {
  auto text = std::make_shared<StatementText>();
  ByteReader in(message.payload);
  text->name = in.c_string();
  const std::string_view rest =
      as_text(message.payload.subspan(std::min(in.offset(), message.payload.size())));
  text->sql = rest.substr(0, rest.find('\0'));
  text->whole = !message.truncated;
  text->id = catalog_.identify(text->sql);
  text->parse_number = tracker_.parses() + 1;
  if (const auto decoded = wire::Parse::decode(message.payload)) {
    for (std::size_t i = 0; i < decoded->parameter_types.size(); ++i)
      text->declared_types.push_back(decoded->parameter_types[i]);
  }
  parsing_.push_back(text);
  if (texts_.size() >= kMaxDescribed) texts_.erase(texts_.begin());
  texts_[text->parse_number] = text;
  remember(statements_, text->name) = std::move(text);
}

void SessionStatements::bind(const wire::Message& message) {
  ByteReader in(message.payload);
  const std::string_view name = in.c_string();
  const auto statement = statements_.find(std::string(in.c_string()));
  Portal portal;
  if (statement != statements_.end()) portal.text = statement->second;
  if (keep_binds_ && !message.truncated)
    portal.bind = std::make_shared<ByteBuffer>(message.payload.begin(), message.payload.end());
  remember(portals_, name) = std::move(portal);
}

void SessionStatements::execute(const wire::Message& message, TimeNs time) {
  ByteReader in(message.payload);
  Statement statement;
  statement.kind = Statement::Kind::kExecute;
  if (const auto portal = portals_.find(std::string(in.c_string())); portal != portals_.end()) {
    statement.text = portal->second.text;
    statement.bind = portal->second.bind;
    statement.continues = std::exchange(portal->second.run, true);
  }
  ask(std::move(statement), time);
}

void SessionStatements::close(const wire::Message& message) {
  const auto decoded = wire::Close::decode(message.payload);
  if (!decoded) return;
  if (decoded->target == wire::Target::kStatement) {
    statements_.erase(std::string(decoded->name));
  } else {
    portals_.erase(std::string(decoded->name));
  }
}

void SessionStatements::server_message(const wire::Message& message, TimeNs time) {
  if (!pending_.empty()) pending_.front().server_bytes += message.payload_length + kHeaderBytes;
  if (message.type == backend::kErrorResponse) {
    if (const auto error = wire::ErrorResponse::decode(message.payload))
      listener_.failed(time, pending_.empty() ? 0 : pending_.front().number, *error);
  }
  tracker_.server(message);
  settle(time);
}

// Takes what is over from the tracker, in order.
void SessionStatements::settle(TimeNs time) {
  std::deque<TrackedRequest>& ended = tracker_.ended();
  for (; !ended.empty(); ended.pop_front()) {
    TrackedRequest& request = ended.front();
    switch (request.kind) {
      case TrackedRequest::Kind::kParse:
        parse_over(request);
        break;
      case TrackedRequest::Kind::kDescribeStatement:
        if (request.end == TrackedRequest::End::kFailed) {
          failure_ = Failure{nullptr, request.sqlstate, request.error};
        } else if (const auto text = texts_.find(request.parse_number); text != texts_.end()) {
          if (const auto known = text->second.lock()) known->described_types = request.parameter_types;
        }
        break;
      case TrackedRequest::Kind::kSync:
        sync_over(request, time);
        break;
      case TrackedRequest::Kind::kQuery:
      case TrackedRequest::Kind::kExecute:
      case TrackedRequest::Kind::kFunctionCall:
        statement_over(request, time);
        break;
    }
  }
}

void SessionStatements::parse_over(const TrackedRequest& request) {
  if (parsing_.empty()) return;
  if (request.end == TrackedRequest::End::kFailed)
    failure_ = Failure{parsing_.front(), request.sqlstate, request.error};
  parsing_.pop_front();
}

void SessionStatements::statement_over(TrackedRequest& request, TimeNs time) {
  if (pending_.empty()) return;
  Statement statement = std::move(pending_.front());
  pending_.pop_front();
  statement.end = end_of(request.end);
  statement.sqlstate = std::move(request.sqlstate);
  statement.error = std::move(request.error);
  if (failure_ && statement.end == Statement::End::kSkipped) {  // it was to be run by this one
    statement.end = Statement::End::kFailed;
    statement.sqlstate = std::move(failure_->sqlstate);
    statement.error = std::move(failure_->error);
    failure_.reset();
  }
  for (const std::string& tag : request.tags) statement.rows += rows_of(tag);
  if (!request.tags.empty()) statement.tag = std::move(request.tags.back());
  const bool answered = statement.end == Statement::End::kDone || statement.end == Statement::End::kFailed;
  if (answered && time >= 0) {
    statement.completed = time;
    statement.duration = std::max<TimeNs>(0, time_between(std::max(statement.sent, completed_), time));
    completed_ = time;
  }
  listener_.done(statement);
}

// What failed and no statement was told of: it was only prepared, or the commit of the pipeline failed.
void SessionStatements::sync_over(const TrackedRequest& request, TimeNs time) {
  if (request.end == TrackedRequest::End::kFailed && !failure_)
    failure_ = Failure{nullptr, request.sqlstate, request.error};
  if (failure_) {
    Statement statement;
    statement.kind = Statement::Kind::kOther;
    statement.end = Statement::End::kFailed;
    statement.text = std::move(failure_->text);
    statement.sent = statement.completed = std::max<TimeNs>(time, 0);
    statement.sqlstate = std::move(failure_->sqlstate);
    statement.error = std::move(failure_->error);
    failure_.reset();
    listener_.done(statement);
  }
  if (time >= 0) completed_ = time;
}

}  // namespace understudy::replayer
