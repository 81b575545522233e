#include "replayer/request_tracker.h"

#include <algorithm>

#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_messages.h"
#include "formats/wire/message_types.h"

namespace understudy::replayer {
namespace {

namespace frontend = wire::frontend;
namespace backend = wire::backend;

constexpr std::size_t kMaxNames = 100'000;  // of statements and portals that a client never closes

template <typename Value>
void remember(std::map<std::string, Value, std::less<>>& names, std::string_view name, Value value) {
  if (names.size() >= kMaxNames) names.clear();
  names.insert_or_assign(std::string(name), std::move(value));
}

std::vector<std::int16_t> listed(const wire::FormatCodes& codes) {
  std::vector<std::int16_t> out;
  for (std::size_t i = 0; i < codes.size(); ++i) out.push_back(codes[i]);
  return out;
}

}  // namespace

void RequestTracker::client(const wire::Message& message) {
  switch (message.type) {
    case frontend::kQuery:
      (void)push(Kind::kQuery);
      return;
    case frontend::kFunctionCall:
      (void)push(Kind::kFunctionCall);
      return;
    case frontend::kParse:
      return parse(message);
    case frontend::kBind:
      return bind(message);
    case frontend::kDescribe:
      return describe(message);
    case frontend::kExecute:
      return execute(message);
    case frontend::kSync:
      return sync();
    case frontend::kCopyDone:
    case frontend::kCopyFail:
      return copy_end();
    default:
      return;
  }
}

// Null when the server will not look at it.
TrackedRequest* RequestTracker::push(Kind kind) {
  if (skipping_ && kind == Kind::kSync) skipping_ = false;
  std::deque<TrackedRequest>& queue = skipping_ ? ended_ : requests_;
  TrackedRequest& request = queue.emplace_back();
  request.kind = kind;
  if (!skipping_) return &request;
  request.end = End::kSkipped;
  return nullptr;
}

void RequestTracker::parse(const wire::Message& message) {
  ++parses_;
  TrackedRequest* const request = push(Kind::kParse);
  (request != nullptr ? *request : ended_.back()).parse_number = parses_;
  if (request == nullptr) return;
  ByteReader in(message.payload);
  remember(parse_of_, in.c_string(), parses_);
}

void RequestTracker::bind(const wire::Message& message) {
  const auto bind = wire::Bind::decode(message.payload);
  if (bind) remember(portal_formats_, bind->portal, listed(bind->result_formats));
}

void RequestTracker::describe(const wire::Message& message) {
  const auto describe = wire::Describe::decode(message.payload);
  if (!describe || describe->target != wire::Target::kStatement) return;
  TrackedRequest* const request = push(Kind::kDescribeStatement);
  const auto parse = parse_of_.find(describe->name);
  if (request != nullptr && parse != parse_of_.end()) request->parse_number = parse->second;
}

void RequestTracker::execute(const wire::Message& message) {
  TrackedRequest* const request = push(Kind::kExecute);
  if (request == nullptr) return;
  ByteReader in(message.payload);
  const auto formats = portal_formats_.find(in.c_string());
  if (formats != portal_formats_.end()) request->result_formats = formats->second;
}

void RequestTracker::sync() {
  // While the server takes COPY data it reads and ignores Sync ("COPY Operations").
  if (!copying_in_) (void)push(Kind::kSync);
}

void RequestTracker::copy_end() {
  if (!copying_in_ && !requests_.empty()) early_copy_end_ = requests_.size() + 1;
  copying_in_ = false;
}

void RequestTracker::server(const wire::Message& message) {
  switch (message.type) {
    case backend::kParseComplete:
      if (front(Kind::kParse) != nullptr) end_front(End::kDone);
      return;
    case backend::kParameterDescription:
      if (TrackedRequest* const request = front(Kind::kDescribeStatement)) {
        const auto described = wire::ParameterDescription::decode(message.payload);
        for (std::size_t i = 0; described && i < described->types.size(); ++i)
          request->parameter_types.push_back(described->types[i]);
        end_front(End::kDone);
      }
      return;
    case backend::kRowDescription:
      if (const auto row = wire::RowDescription::decode(message.payload)) {
        described_formats_.clear();
        for (const wire::FieldDescription& field : row->fields) described_formats_.push_back(field.format);
      }
      return;
    case backend::kCommandComplete:
    case backend::kEmptyQueryResponse:
    case backend::kPortalSuspended:
      return completed(message);
    case backend::kCopyInResponse:
    case backend::kCopyOutResponse:
    case backend::kCopyBothResponse:
      return copy_in(message);
    case backend::kErrorResponse:
      return failed(message);
    case backend::kReadyForQuery:
      return ready(message);
    default:
      return;
  }
}

TrackedRequest* RequestTracker::front(Kind kind) {
  return requests_.empty() || requests_.front().kind != kind ? nullptr : &requests_.front();
}

void RequestTracker::end_front(End end) {
  requests_.front().end = end;
  ended_.push_back(std::move(requests_.front()));
  requests_.pop_front();
  if (early_copy_end_ > 1) --early_copy_end_;
  if (requests_.empty()) early_copy_end_ = 0;
}

void RequestTracker::completed(const wire::Message& message) {
  copying_in_ = false;
  TrackedRequest* const execute = front(Kind::kExecute);
  TrackedRequest* const request = execute != nullptr ? execute : front(Kind::kQuery);
  if (request == nullptr) return;
  if (message.type == backend::kPortalSuspended) {
    request->suspended = true;
  } else {
    const auto complete = wire::CommandComplete::decode(message.payload);
    const bool tagged = message.type == backend::kCommandComplete && complete;
    request->tags.emplace_back(tagged ? complete->tag : std::string_view());
  }
  if (execute != nullptr) end_front(End::kDone);
}

void RequestTracker::copy_in(const wire::Message& message) {
  if (requests_.empty()) return;
  TrackedRequest& request = requests_.front();
  request.binary_copy = request.binary_copy || (!message.payload.empty() && message.payload[0] == 1);
  if (message.type != backend::kCopyInResponse) return;
  ++request.copies_in;
  // The Syncs already sent, up to a CopyDone that came early, are read as part of the copy and ignored.
  const std::size_t end = early_copy_end_ > 0 ? early_copy_end_ - 1 : requests_.size();
  const auto begin = requests_.begin() + 1;
  if (request.kind == Kind::kExecute && end > 1) {
    requests_.erase(std::remove_if(begin, requests_.begin() + static_cast<std::ptrdiff_t>(end),
                                   [](const TrackedRequest& one) { return one.kind == Kind::kSync; }),
                    requests_.begin() + static_cast<std::ptrdiff_t>(end));
  }
  copying_in_ = early_copy_end_ == 0;
  early_copy_end_ = 0;
}

void RequestTracker::failed(const wire::Message& message) {
  copying_in_ = false;
  if (requests_.empty()) return;  // the server's good-bye, or a login refused
  TrackedRequest& request = requests_.front();
  if (const auto error = wire::ErrorResponse::decode(message.payload)) {
    request.sqlstate = std::string(error->sqlstate());
    request.error = std::string(error->message());
  }
  // What ends with a ReadyForQuery of its own stays until that comes.
  if (request.ends_exchange()) {
    request.end = End::kFailed;
    return;
  }
  end_front(End::kFailed);
  skip_to_sync();
}

void RequestTracker::skip_to_sync() {
  while (!requests_.empty() && requests_.front().kind != Kind::kSync) end_front(End::kSkipped);
  skipping_ = requests_.empty();
}

void RequestTracker::ready(const wire::Message& message) {
  copying_in_ = false;
  while (!requests_.empty() && !requests_.front().ends_exchange()) end_front(End::kUnknown);
  if (requests_.empty()) return;  // the one that ends the login
  TrackedRequest& request = requests_.front();
  if (!message.payload.empty()) request.status = static_cast<char>(message.payload.front());
  end_front(request.end == End::kUnknown ? End::kDone : request.end);
}

void RequestTracker::finish() {
  while (!requests_.empty()) end_front(requests_.front().end);
}

const std::vector<std::int16_t>& RequestTracker::row_formats() const {
  static const std::vector<std::int16_t> kText;
  if (requests_.empty()) return kText;
  switch (requests_.front().kind) {
    case Kind::kExecute:
      return requests_.front().result_formats;
    case Kind::kQuery:
      return described_formats_;
    default:
      return kText;
  }
}

}  // namespace understudy::replayer
