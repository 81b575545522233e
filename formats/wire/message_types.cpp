#include "formats/wire/message_types.h"

namespace understudy::wire {

namespace {

constexpr std::string_view kUnknown = "unknown";

std::string_view frontend_name(char type) {
  switch (type) {
    case frontend::kBind:
      return "Bind";
    case frontend::kClose:
      return "Close";
    case frontend::kCopyData:
      return "CopyData";
    case frontend::kCopyDone:
      return "CopyDone";
    case frontend::kCopyFail:
      return "CopyFail";
    case frontend::kDescribe:
      return "Describe";
    case frontend::kExecute:
      return "Execute";
    case frontend::kFlush:
      return "Flush";
    case frontend::kFunctionCall:
      return "FunctionCall";
    case frontend::kParse:
      return "Parse";
    case frontend::kPassword:
      return "AuthenticationResponse";
    case frontend::kQuery:
      return "Query";
    case frontend::kSync:
      return "Sync";
    case frontend::kTerminate:
      return "Terminate";
    default:
      return kUnknown;
  }
}

std::string_view backend_name(char type) {
  switch (type) {
    case backend::kAuthentication:
      return "Authentication";
    case backend::kBackendKeyData:
      return "BackendKeyData";
    case backend::kBindComplete:
      return "BindComplete";
    case backend::kCloseComplete:
      return "CloseComplete";
    case backend::kCommandComplete:
      return "CommandComplete";
    case backend::kCopyBothResponse:
      return "CopyBothResponse";
    case backend::kCopyData:
      return "CopyData";
    case backend::kCopyDone:
      return "CopyDone";
    case backend::kCopyInResponse:
      return "CopyInResponse";
    case backend::kCopyOutResponse:
      return "CopyOutResponse";
    case backend::kDataRow:
      return "DataRow";
    case backend::kEmptyQueryResponse:
      return "EmptyQueryResponse";
    case backend::kErrorResponse:
      return "ErrorResponse";
    case backend::kFunctionCallResponse:
      return "FunctionCallResponse";
    case backend::kNegotiateProtocolVersion:
      return "NegotiateProtocolVersion";
    case backend::kNoData:
      return "NoData";
    case backend::kNoticeResponse:
      return "NoticeResponse";
    case backend::kNotificationResponse:
      return "NotificationResponse";
    case backend::kParameterDescription:
      return "ParameterDescription";
    case backend::kParameterStatus:
      return "ParameterStatus";
    case backend::kParseComplete:
      return "ParseComplete";
    case backend::kPortalSuspended:
      return "PortalSuspended";
    case backend::kReadyForQuery:
      return "ReadyForQuery";
    case backend::kRowDescription:
      return "RowDescription";
    default:
      return kUnknown;
  }
}

}  // namespace

std::string_view message_name(Direction direction, char type) {
  return direction == Direction::kFromClient ? frontend_name(type) : backend_name(type);
}

bool is_message_type(Direction direction, char type) { return message_name(direction, type) != kUnknown; }

}  // namespace understudy::wire
