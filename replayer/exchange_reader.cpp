#include "replayer/exchange_reader.h"

#include <algorithm>

#include "formats/wire/backend_messages.h"
#include "formats/wire/content_hash.h"
#include "formats/wire/message_types.h"
#include "replayer/object_creation.h"
#include "replayer/readable.h"
#include "replayer/recording_lookup.h"

namespace understudy::replayer {
namespace {

namespace frontend = wire::frontend;
namespace backend = wire::backend;

constexpr std::size_t kMaxNames = 100'000;     // of prepared statements a client never closes
constexpr std::size_t kAnsweredSteps = 4'096;  // kept of a pipeline

void remember(std::unordered_map<std::string, StatementId>& names, std::string_view name, StatementId id) {
  if (names.size() >= kMaxNames) names.clear();
  names[std::string(name)] = id;
}

StatementId find(const std::unordered_map<std::string, StatementId>& names, std::string_view name) {
  const auto found = names.find(std::string(name));
  return found == names.end() ? StatementCatalog::kUnknown : found->second;
}

void add(Asides& asides, std::string text) {
  if (asides.count++ == 0) asides.first = text;
  asides.hash_sum += wire::content_hash(as_bytes(text));
}

}  // namespace

ExchangeReader::ExchangeReader(const Recording& recording, const SessionSummary& summary, bool continuing,
                               StatementCatalog& catalog)
    : messages_(recording, summary, kMessageCapBytes), catalog_(catalog) {
  login_.complete = continuing;
  messages_.begin_between_transactions();
}

bool ExchangeReader::next_exchange() {
  reply_waiting_ = false;
  while (begun_ && next_reply() != nullptr) {
  }
  notices_ = Asides();
  settings_ = Asides();
  while (const SessionItem* const item = messages_.next()) {
    if (!item->is_message) {
      note_event(item->event);
    } else if (item->direction == Direction::kFromClient) {
      client_message(item->message, item->time);
    } else if (server_message(item->message, item->time)) {
      reply_waiting_ = true;
      return true;
    }
  }
  return false;
}

const Reply* ExchangeReader::next_reply() {
  if (reply_waiting_) {
    reply_waiting_ = false;
    return &reply_;
  }
  while (begun_) {
    const SessionItem* const item = messages_.next();
    if (item == nullptr) {
      std::swap(current_, requests_.front());
      begun_ = false;
    } else if (!item->is_message) {
      note_event(item->event);
    } else if (item->direction == Direction::kFromClient) {
      client_message(item->message, item->time);
    } else if (server_message(item->message, item->time)) {
      return &reply_;
    }
  }
  return nullptr;
}

void ExchangeReader::note_event(const Event& event) {
  CloseDetail detail;
  if (event.kind == EventKind::kClosed && decode(event.data, detail)) closing_ = std::move(detail);
}

ExchangeReader::End ExchangeReader::end() const {
  if (!messages_.hole().empty() || !closing_) return End::kCut;
  switch (closing_->reason) {
    case CloseReason::kClientLeft:
      return End::kClient;
    case CloseReason::kTimeout:
    case CloseReason::kShutdown:
    case CloseReason::kRecordingEnded:
      return End::kCut;
    case CloseReason::kServerLeft:
    case CloseReason::kProtocolError:
      break;
  }
  return End::kServer;
}

std::string ExchangeReader::cut_reason() const {
  if (!messages_.hole().empty()) return messages_.hole();
  if (!closing_ || closing_->reason == CloseReason::kRecordingEnded) return "the recording ends before it";
  return closing_->reason == CloseReason::kTimeout ? "a time-out of the proxy" : "the proxy ended";
}

void ExchangeReader::client_message(const wire::Message& message, TimeNs time) {
  switch (message.type) {
    case frontend::kQuery:
      return query(message, time);
    case frontend::kFunctionCall:
      return function_call(message, time);
    case frontend::kParse:
      return parse(message, time);
    case frontend::kBind:
      return bind(message, time);
    case frontend::kDescribe:
    case frontend::kExecute:
    case frontend::kClose:
      return named(message, time);
    case frontend::kSync:
      pipeline(time).whole = true;
      return;
    case frontend::kCopyData:
      if (!requests_.empty()) requests_.back().add_to_hash(message);
      return;
    case frontend::kCopyDone:
    case frontend::kCopyFail:
      return copy_end(time);
    default:
      return;  // Flush asks for nothing, Terminate for the end, and a password is no request
  }
}

Request& ExchangeReader::open_request(Request::Kind kind, TimeNs time) {
  Request& request = requests_.emplace_back(std::move(spare_));
  request.reset(kind, time);
  return request;
}

Request& ExchangeReader::pipeline(TimeNs time) {
  const bool open =
      !requests_.empty() && requests_.back().kind() == Request::Kind::kPipeline && !requests_.back().whole;
  return open ? requests_.back() : open_request(Request::Kind::kPipeline, time);
}

void ExchangeReader::query(const wire::Message& message, TimeNs time) {
  Request& request = open_request(Request::Kind::kSimple, time);
  request.whole = true;
  std::string_view sql = as_text(message.payload);
  sql = sql.substr(0, sql.find('\0'));
  request.keep_text(sql);
  add_statement(request, message, sql, time);
}

// `sql` is in the message's payload. A replay names the OID of a large object that the recorded server chose:
// that makes it no other request.
StatementId ExchangeReader::add_statement(Request& request, const wire::Message& message,
                                          std::string_view sql, TimeNs time) {
  const auto same = message.truncated ? std::nullopt : without_object_oid(sql);
  const StatementId id = catalog_.identify(same ? *same : sql);
  request.add_step(message.type, id, time);
  if (!same) {
    request.add_to_hash(message);
    return id;
  }
  std::string payload(as_text(message.payload));
  const auto sql_at = static_cast<std::size_t>(sql.data() - as_text(message.payload).data());
  payload.replace(sql_at, sql.size(), *same);
  request.add_to_hash(message.type, wire::content_hash(as_bytes(payload)));
  return id;
}

void ExchangeReader::function_call(const wire::Message& message, TimeNs time) {
  Request& request = open_request(Request::Kind::kFunctionCall, time);
  request.whole = true;
  ByteReader in(message.payload);
  const std::uint32_t function = in.be32();
  if (creates_object(function)) {
    request.add_step(message.type, catalog_.identify("(call that creates a large object)"), time);
    return request.add_to_hash(message.type, 0);
  }
  const std::string text = "(call of function " + std::to_string(function) + ")";
  request.add_step(message.type, catalog_.identify(text), time);
  request.add_to_hash(message);
}

void ExchangeReader::parse(const wire::Message& message, TimeNs time) {
  ByteReader in(message.payload);
  const std::string_view name = in.c_string();
  std::string_view sql = as_text(message.payload.subspan(in.failed() ? message.payload.size() : in.offset()));
  sql = sql.substr(0, sql.find('\0'));
  remember(statements_, name, add_statement(pipeline(time), message, sql, time));
}

void ExchangeReader::bind(const wire::Message& message, TimeNs time) {
  ByteReader in(message.payload);
  const std::string_view portal = in.c_string();
  const StatementId id = find(statements_, in.c_string());
  remember(portals_, portal, id);
  Request& request = pipeline(time);
  request.add_step(message.type, id, time);
  request.keep_bind(message.payload);
  request.add_to_hash(message);
}

// Describe, Close and Execute name what they mean; Execute's is always a portal.
void ExchangeReader::named(const wire::Message& message, TimeNs time) {
  ByteReader in(message.payload);
  const bool statement = message.type != frontend::kExecute && in.u8() == 'S';
  auto& names = statement ? statements_ : portals_;
  const std::string_view name = in.c_string();
  Request& request = pipeline(time);
  request.add_step(message.type, find(names, name), time);
  if (message.type == frontend::kClose) names.erase(std::string(name));
  request.add_to_hash(message);
}

void ExchangeReader::copy_end(TimeNs time) {
  if (requests_.empty()) return;  // the server ignores it
  const bool blind = requests_.back().kind() == Request::Kind::kPipeline && requests_.back().whole;
  (blind ? pipeline(time) : requests_.back()).copy_end = true;
}

bool ExchangeReader::server_message(const wire::Message& message, TimeNs time) {
  if (!login_.complete) {
    login_message(message);
    return false;
  }
  switch (message.type) {
    case backend::kNoticeResponse:
    case backend::kNotificationResponse:
    case backend::kParameterStatus:
      aside(message);
      return false;
    default:
      break;
  }
  if (requests_.empty()) {
    if (message.type == backend::kErrorResponse) farewell_ = readable_error(message.payload);
    // A session met in the middle of an exchange: its end shows that the error answered something.
    if (message.type == backend::kReadyForQuery) farewell_.clear();
    return false;
  }
  answer(message, time);
  return true;
}

void ExchangeReader::login_message(const wire::Message& message) {
  if (message.type == backend::kReadyForQuery) login_.complete = true;
  if (message.type == backend::kBackendKeyData && message.payload.size() >= 4)
    login_.process_id = load_be32(message.payload.data());
  if (message.type == backend::kParameterStatus) {
    const auto status = wire::ParameterStatus::decode(message.payload);
    if (status) login_.settings[std::string(status->name)] = std::string(status->value);
  }
  if (message.type == backend::kErrorResponse) {
    const auto error = wire::ErrorResponse::decode(message.payload);
    login_.sqlstate = error ? std::string(error->sqlstate()) : "?";
    login_.error = readable_error(message.payload);
  }
}

void ExchangeReader::aside(const wire::Message& message) {
  if (message.type == backend::kNotificationResponse) {
    const auto note = wire::NotificationResponse::decode(message.payload);
    // The process id is another in every run.
    if (note) add(notifications_, std::string(note->channel) + ": " + std::string(note->payload));
    return;
  }
  if (message.type == backend::kParameterStatus) {
    const auto status = wire::ParameterStatus::decode(message.payload);
    if (status) add(settings_, std::string(status->name) + " = " + std::string(status->value));
    return;
  }
  add(requests_.empty() ? notifications_ : notices_, readable_error(message.payload));
}

void ExchangeReader::begin_exchange() {
  if (begun_) return;
  begun_ = true;
  answered_ = false;
  next_step_ = 0;
  ++number_;
}

void ExchangeReader::answer(const wire::Message& message, TimeNs time) {
  begin_exchange();
  reply_.message = message;
  reply_.time = time;
  reply_.latency = -1;
  if (message.type == backend::kCopyInResponse) ignore_syncs_of_copy();
  const Request& request = requests_.front();
  reply_.statement = StatementCatalog::kNone;
  if (!request.steps().empty()) {
    reply_.step = std::min(next_step_, request.steps().size() - 1);
    reply_.statement = request.steps()[reply_.step].statement;
  }
  if (request.kind() == Request::Kind::kPipeline) pass_step(message.type, time);
  if (message.type == backend::kReadyForQuery) ready(message, time);
}

// Which step of a pipeline the server's message answers; it answers them in order.
void ExchangeReader::pass_step(char answer, TimeNs time) {
  const auto asked = [answer]() -> char {
    switch (answer) {
      case backend::kParseComplete:
        return frontend::kParse;
      case backend::kBindComplete:
        return frontend::kBind;
      case backend::kCloseComplete:
        return frontend::kClose;
      case backend::kRowDescription:
      case backend::kNoData:
        return frontend::kDescribe;
      case backend::kCommandComplete:
      case backend::kEmptyQueryResponse:
      case backend::kPortalSuspended:
        return frontend::kExecute;
      default:
        return '\0';
    }
  }();
  Request& request = requests_.front();
  if (next_step_ > kAnsweredSteps) {
    request.drop_steps(next_step_ - 1);
    next_step_ = reply_.step = 1;
  }
  const auto& steps = request.steps();
  if (next_step_ >= steps.size()) return;
  const bool failed = answer == backend::kErrorResponse;
  if (steps[next_step_].type != asked && !failed) return;
  if (asked == frontend::kExecute || failed) {
    reply_.latency = latency(steps[next_step_].sent, time);
    completed_at_ = time;
  }
  next_step_ = failed ? steps.size() : next_step_ + 1;  // after an error the server skips to the Sync
}

TimeNs ExchangeReader::latency(TimeNs sent, TimeNs completed) const {
  return std::max<TimeNs>(0, time_between(std::max(sent, completed_at_), completed));
}

// Syncs sent before the server takes COPY data are read as part of it, and ignored ("COPY Operations"): the
// client sends another after its CopyDone.
void ExchangeReader::ignore_syncs_of_copy() {
  Request& copying = requests_.front();
  while (copying.kind() == Request::Kind::kPipeline && copying.whole && !copying.copy_end) {
    if (requests_.size() == 1) {
      copying.whole = false;
      return;
    }
    copying.append(requests_[1]);
    requests_.erase(requests_.begin() + 1);
  }
}

void ExchangeReader::ready(const wire::Message& message, TimeNs time) {
  std::swap(current_, requests_.front());
  spare_ = std::move(requests_.front());
  requests_.pop_front();
  if (current_.kind() != Request::Kind::kPipeline) reply_.latency = latency(current_.began(), time);
  completed_at_ = time;
  if (!message.payload.empty()) transaction_status_ = static_cast<char>(message.payload.front());
  begun_ = false;
  answered_ = true;
}

}  // namespace understudy::replayer
