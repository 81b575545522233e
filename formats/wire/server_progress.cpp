#include "formats/wire/server_progress.h"

#include <algorithm>

#include "formats/wire/message_types.h"

namespace understudy::wire {

namespace {

bool counts(char type) {
  switch (type) {
    case backend::kParseComplete:
    case backend::kBindComplete:
    case backend::kCloseComplete:
    case backend::kParameterDescription:
    case backend::kRowDescription:
    case backend::kNoData:
    case backend::kCommandComplete:
    case backend::kEmptyQueryResponse:
    case backend::kPortalSuspended:
    case backend::kFunctionCallResponse:
    case backend::kCopyInResponse:
    case backend::kCopyOutResponse:
    case backend::kCopyBothResponse:
    case backend::kErrorResponse:
    case backend::kReadyForQuery:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool ServerProgress::feed(ByteView piece) {
  if (pending_left_ > 0 && !piece.empty()) {
    // The rest of a message is always at the beginning of the next piece.
    const std::size_t step = std::min<std::size_t>(pending_left_, piece.size());
    pending_left_ -= static_cast<std::uint32_t>(step);
    if (pending_left_ == 0) count(pending_type_, piece.first(step));
  }
  return scanner_.feed(piece, [this](const FrameHeader& frame) {
    if (!counts(frame.type)) return true;
    pending_left_ = frame.payload_length - static_cast<std::uint32_t>(frame.payload_here.size());
    pending_type_ = frame.type;
    if (pending_left_ == 0) count(frame.type, frame.payload_here);
    return true;
  });
}

// `end` holds the last bytes of the payload, at least one if there is any.
void ServerProgress::count(char type, ByteView end) {
  if (type == backend::kReadyForQuery) {
    ready(end);
    return;
  }
  ++mark_.completions;
  switch (type) {
    case backend::kErrorResponse:
      ++errors_;
      error_in_cycle_ = true;
      copy_in_active_ = false;
      break;
    case backend::kCommandComplete:
      copy_in_active_ = false;
      break;
    case backend::kCopyInResponse:
    case backend::kCopyBothResponse:
      copy_in_active_ = true;
      break;
    default:
      break;
  }
}

void ServerProgress::ready(ByteView end) {
  ++mark_.ready_count;
  mark_.completions = 0;
  error_in_cycle_ = false;
  copy_in_active_ = false;
  const char status = end.empty() ? '\0' : static_cast<char>(end.back());
  if (status == 'I' || status == 'T' || status == 'E') transaction_status_ = status;
}

}  // namespace understudy::wire
