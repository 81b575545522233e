#include "replayer/recorded_names.h"

namespace understudy::replayer {

// The bytes of a transcript choose the value: any of the underlying type may come, from a later version too.
constexpr std::string_view kLater = "of a later version";

std::string_view event_name(EventKind kind) {
  switch (kind) {
    case EventKind::kClientBytes:
      return "client bytes";
    case EventKind::kServerBytes:
      return "server bytes";
    case EventKind::kOpened:
      return "opened";
    case EventKind::kClosed:
      return "closed";
    case EventKind::kRedacted:
      return "redacted";
    case EventKind::kCancelled:
      return "cancelled";
    case EventKind::kGap:
      return "gap";
    case EventKind::kBackendSwitched:
      return "backend switched";
    case EventKind::kMark:
      return "mark";
  }
  return kLater;
}

std::string_view direction_name(Direction direction) {
  return direction == Direction::kFromClient ? "client" : "server";
}

std::string_view close_reason_name(CloseReason reason) {
  switch (reason) {
    case CloseReason::kClientLeft:
      return "the client left";
    case CloseReason::kServerLeft:
      return "the server left";
    case CloseReason::kProtocolError:
      return "protocol error";
    case CloseReason::kTimeout:
      return "timeout";
    case CloseReason::kShutdown:
      return "the proxy ended";
    case CloseReason::kRecordingEnded:
      return "the recording ended";
  }
  return kLater;
}

std::string_view redaction_name(RedactionKind kind) {
  switch (kind) {
    case RedactionKind::kPassword:
      return "a password";
    case RedactionKind::kSasl:
      return "a SASL message";
    case RedactionKind::kAuthSalt:
      return "a password's salt";
    case RedactionKind::kCancelKey:
      return "the cancel key";
    case RedactionKind::kSqlPassword:
      return "a password in SQL";
  }
  return kLater;
}

std::string_view gap_reason_name(GapReason reason) {
  switch (reason) {
    case GapReason::kOverload:
      return "overload";
    case GapReason::kDiskError:
      return "disk error";
    case GapReason::kCaptureLoss:
      return "capture loss";
  }
  return kLater;
}

}  // namespace understudy::replayer
