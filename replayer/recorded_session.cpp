#include "replayer/recorded_session.h"

#include "formats/wire/message_types.h"

namespace understudy::replayer {

using proxy::SessionEvent;

RecordedSession::RecordedSession(const Recording& recording, const SessionSummary& summary, bool continuing)
    : descriptor_(summary.descriptor),
      cursor_(recording, summary.descriptor.id, summary.opened_in),
      logged_in_(continuing) {
  broken_ = !tracker_.advance(SessionEvent::kStartupReceived);
  if (continuing) broken_ = !tracker_.advance(SessionEvent::kReady);
}

std::optional<Event> RecordedSession::peek() {
  while (auto event = cursor_.peek()) {
    switch (event->kind) {
      case EventKind::kClientBytes:
      case EventKind::kServerBytes:
      case EventKind::kCancelled:
      case EventKind::kGap:
      case EventKind::kClosed:
        return event;
      case EventKind::kOpened:
      case EventKind::kRedacted:
      case EventKind::kBackendSwitched:
      case EventKind::kMark:
        break;
    }
    (void)cursor_.next();
  }
  return std::nullopt;
}

void RecordedSession::consume() {
  const auto event = cursor_.next();
  if (!event) return;
  if (event->kind == EventKind::kServerBytes) follow_server(event->data);
  // What a client sends before its login is done belongs to the login.
  if (event->kind == EventKind::kClientBytes && logged_in_ && !broken_)
    broken_ = !tracker_.client_bytes(event->data);
}

void RecordedSession::follow_server(ByteView bytes) {
  if (broken_) return;
  if (!progress_.feed(bytes)) broken_ = true;
  if (logged_in_) {
    broken_ = broken_ || !tracker_.server_bytes(bytes);
    return;
  }
  std::size_t login_end = bytes.size();
  (void)login_scanner_.feed(bytes, [&](const wire::FrameHeader& frame) {
    if (frame.type != wire::backend::kReadyForQuery) return true;
    logged_in_ = true;
    login_end =
        frame.payload_here.empty()
            ? bytes.size()
            : static_cast<std::size_t>(frame.payload_here.data() + frame.payload_here.size() - bytes.data());
    return false;
  });
  if (!logged_in_) return;
  broken_ = broken_ || !tracker_.advance(SessionEvent::kReady);
  if (login_end < bytes.size()) broken_ = broken_ || !tracker_.server_bytes(bytes.subspan(login_end));
}

}  // namespace understudy::replayer
