#include "proxy/protocol_tracker.h"

#include <algorithm>
#include <utility>

#include "formats/wire/backend_messages.h"
#include "formats/wire/message_types.h"

namespace understudy::proxy {

namespace frontend = wire::frontend;
namespace backend = wire::backend;

bool ProtocolTracker::refuse(std::string why) {
  violation_ = std::move(why);
  return false;
}

bool ProtocolTracker::advance(SessionEvent event) {
  const auto next = follow(state_, event);
  if (!next) {
    return refuse("unexpected in state " + std::string(to_string(state_)) + ": " +
                  std::string(to_string(event)));
  }
  state_ = *next;
  return true;
}

void ProtocolTracker::server_lost() {
  if (state_ == SessionState::kFailover) return;
  if (state_ != SessionState::kDependencies) left_ = state_;
  [[maybe_unused]] const bool followed = advance(SessionEvent::kServerLost);
}

void ProtocolTracker::server_found() {
  [[maybe_unused]] const bool followed = advance(SessionEvent::kServerFound);
}

void ProtocolTracker::server_restored() {
  if (state_ == SessionState::kDependencies) state_ = left_;
}

bool ProtocolTracker::broken_length(const wire::FrameScanner& scanner, const char* who) {
  return refuse("invalid message length " + std::to_string(scanner.broken_length()) + " of message type " +
                std::to_string(static_cast<unsigned char>(scanner.broken_type())) + " from the " + who);
}

bool ProtocolTracker::client_bytes(ByteView bytes) {
  if (client_.feed(bytes, [this](const wire::FrameHeader& frame) { return client_frame(frame.type); }))
    return true;
  return client_.broken() ? broken_length(client_, "client") : false;
}

bool ProtocolTracker::client_frame(char type) {
  switch (type) {
    case frontend::kQuery:
    case frontend::kFunctionCall:
      // Its ReadyForQuery also ends a pipeline that has no Sync; an error may then be of either.
      requests_.push(pipeline_open_                    ? RequestKind::kPipeline
                     : type == frontend::kFunctionCall ? RequestKind::kFunctionCall
                                                       : RequestKind::kSimple);
      pipeline_open_ = false;
      return advance(SessionEvent::kRequestSent);
    case frontend::kSync:
      // In COPY IN the server reads and ignores Sync and Flush ("COPY Operations").
      if (copy_in_) return true;
      requests_.push(RequestKind::kPipeline);
      pipeline_open_ = false;
      return advance(SessionEvent::kRequestSent);
    case frontend::kParse:
    case frontend::kBind:
    case frontend::kDescribe:
    case frontend::kExecute:
    case frontend::kClose:
    case frontend::kFlush:
      pipeline_open_ = true;
      return advance(SessionEvent::kRequestSent);
    case frontend::kCopyDone:
    case frontend::kCopyFail:
      return copy_ended();
    case frontend::kCopyData:
      return true;
    case frontend::kTerminate:
      terminate_seen_ = true;
      return true;
    default:
      return refuse("invalid frontend message type " + std::to_string(static_cast<unsigned char>(type)));
  }
}

bool ProtocolTracker::copy_ended() {
  if (state_ == SessionState::kExtendedError) return true;  // of a copy that failed; skipped with the rest
  if (std::exchange(copy_in_, false) || (requests_.empty() && !pipeline_open_)) return true;
  const std::uint64_t sent = answered_ + requests_.size();
  return early_ends_.push(pipeline_open_ ? sent : sent - 1, sent) ||
         refuse("more COPYs were sent ahead than can be followed");
}

bool ProtocolTracker::pop_request() {
  if (!requests_.pop()) return false;
  ++answered_;
  return true;
}

bool ProtocolTracker::server_bytes(ByteView bytes) {
  if (status_due_ && !bytes.empty()) {
    status_due_ = false;
    if (!ready_for_query(static_cast<char>(bytes.front()))) return false;
  }
  if (server_.feed(bytes, [this](const wire::FrameHeader& frame) { return server_frame(frame); }))
    return true;
  return server_.broken() ? broken_length(server_, "server") : false;
}

bool ProtocolTracker::server_frame(const wire::FrameHeader& frame) {
  switch (frame.type) {
    case backend::kReadyForQuery:
      if (frame.payload_length != 1) return refuse("ReadyForQuery without its one status byte");
      status_due_ = frame.payload_here.empty();
      return status_due_ || ready_for_query(static_cast<char>(frame.payload_here.front()));
    case backend::kErrorResponse:
      return error_response(frame.payload_here);
    case backend::kCopyInResponse:
    case backend::kCopyOutResponse:
    case backend::kCopyBothResponse:
      return copy_started(frame.type);
    case backend::kCommandComplete:
      return state_ != SessionState::kCopy || advance(SessionEvent::kCopyEnded);
    case backend::kParameterStatus:
      parameter_status(frame);
      return true;
    default:
      return true;  // rows, notices, notifications: nothing the session's state hangs on
  }
}

bool ProtocolTracker::ready_for_query(char status) {
  transaction_status_ = status;
  copy_in_ = false;
  if (!pop_request()) return refuse("ReadyForQuery that nothing asked for");
  early_ends_.answered(answered_);
  const bool more_due = !requests_.empty() || pipeline_open_;
  return advance(more_due ? SessionEvent::kReadyMoreDue : SessionEvent::kReady);
}

bool ProtocolTracker::copy_started(char type) {
  const bool in = type == backend::kCopyInResponse;
  const std::optional<std::uint64_t> end = in ? early_ends_.take() : std::nullopt;
  if (in && !requests_.empty() && requests_.front() == RequestKind::kPipeline) {
    // The Syncs already sent will be read, and ignored, as part of the copy; the client sends another after
    // its CopyDone. Only those before an early CopyDone count as such.
    const std::uint64_t ignored = end.value_or(answered_ + requests_.size());
    while (answered_ < ignored && pop_request()) {
    }
    pipeline_open_ = pipeline_open_ || !end;
  }
  copy_in_ = in && !end;
  copy_both_ = type == backend::kCopyBothResponse;
  return advance(SessionEvent::kCopyStarted);
}

void ProtocolTracker::parameter_status(const wire::FrameHeader& frame) {
  constexpr std::size_t kMaxSettings = 100;
  const auto status = wire::ParameterStatus::decode(frame.payload_here);
  if (frame.payload_here.size() == frame.payload_length && status && settings_.size() < kMaxSettings) {
    settings_[std::string(status->name)] = status->value;
  } else {
    settings_known_ = false;
  }
}

bool ProtocolTracker::error_response(ByteView payload) {
  copy_in_ = false;  // the server reads commands again, whether or not the client ends its copy
  // Severity is the first field ('S', and untranslated again as 'V').
  const std::string_view text = as_text(payload);
  fatal_seen_ = fatal_seen_ || text.starts_with("SFATAL") || text.starts_with("SPANIC") ||
                text.find(std::string_view("\0VFATAL", 7)) != std::string_view::npos ||
                text.find(std::string_view("\0VPANIC", 7)) != std::string_view::npos;
  if (state_ == SessionState::kReady || fatal_seen_) return true;  // the server says good-bye when it likes
  const bool pipeline = requests_.empty() ? pipeline_open_ : requests_.front() == RequestKind::kPipeline;
  if (state_ == SessionState::kExtendedError) return true;
  return advance(pipeline ? SessionEvent::kPipelineError : SessionEvent::kCopyEnded);
}

}  // namespace understudy::proxy
