#include "recorder/capture/reply_shape.h"

#include <utility>

#include "formats/wire/message_types.h"

namespace understudy::recorder {

namespace frontend = wire::frontend;
namespace backend = wire::backend;

bool ReplyShape::asked(char type) {
  constexpr std::size_t kMost = 10'000;
  switch (type) {
    case frontend::kQuery:
    case frontend::kFunctionCall:
    case frontend::kParse:
    case frontend::kBind:
    case frontend::kDescribe:
    case frontend::kExecute:
    case frontend::kClose:
    case frontend::kSync:
      if (asked_.size() == kMost) return false;
      asked_.push_back(type);
      return true;
    case frontend::kFlush:
    case frontend::kTerminate:
      return true;
    case frontend::kCopyData:
    case frontend::kCopyDone:
    case frontend::kCopyFail:
      return !asked_.empty();
    default:
      return false;
  }
}

bool ReplyShape::answered(char type) {
  switch (type) {
    case backend::kNoticeResponse:
    case backend::kNotificationResponse:
    case backend::kParameterStatus:
      return true;
    case backend::kReadyForQuery:
      return ready();
    case backend::kErrorResponse:
      error_ = true;
      return !asked_.empty();
    default:
      return !asked_.empty() && !error_ && answers_statement(type);
  }
}

bool ReplyShape::answers_statement(char type) {
  const char front = asked_.front();
  const bool simple = front == frontend::kQuery;
  const bool runs = simple || front == frontend::kExecute;
  char answered = 0;  // the request that this ends
  switch (type) {
    case backend::kParseComplete:
      answered = frontend::kParse;
      break;
    case backend::kBindComplete:
      answered = frontend::kBind;
      break;
    case backend::kCloseComplete:
      answered = frontend::kClose;
      break;
    case backend::kParameterDescription:
      return front == frontend::kDescribe;
    case backend::kRowDescription:
    case backend::kNoData:
      if (simple) return type == backend::kRowDescription;
      answered = frontend::kDescribe;
      break;
    case backend::kCommandComplete:
    case backend::kEmptyQueryResponse:
    case backend::kPortalSuspended:
      completed_ = true;
      if (simple) return type != backend::kPortalSuspended;
      answered = frontend::kExecute;
      break;
    case backend::kFunctionCallResponse:
      completed_ = true;
      return front == frontend::kFunctionCall;
    case backend::kDataRow:
    case backend::kCopyInResponse:
    case backend::kCopyOutResponse:
    case backend::kCopyBothResponse:
    case backend::kCopyData:
    case backend::kCopyDone:
      return runs;
    default:
      return false;
  }
  if (front != answered) return false;
  asked_.pop_front();
  return true;
}

bool ReplyShape::ready() {
  const bool error = std::exchange(error_, false);
  const bool completed = std::exchange(completed_, false);
  if (asked_.empty()) return false;
  const char front = asked_.front();
  if (front == frontend::kQuery || front == frontend::kFunctionCall) {
    asked_.pop_front();
    return completed || error;
  }
  // After an error what stands before the Sync is skipped.
  while (error && !asked_.empty() && asked_.front() != frontend::kSync) asked_.pop_front();
  if (asked_.empty() || asked_.front() != frontend::kSync) return false;
  asked_.pop_front();
  return true;
}

}  // namespace understudy::recorder
