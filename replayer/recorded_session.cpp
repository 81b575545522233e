#include "replayer/recorded_session.h"

#include <algorithm>

#include "formats/wire/message_types.h"

namespace understudy::replayer {
namespace {

using proxy::SessionEvent;
using Kind = RecordedStep::Kind;

// How an ErrorResponse says query_canceled in its code field ("Error and Notice Message Fields").
constexpr std::string_view kCancelled("C57014\0", 7);

}  // namespace

RecordedSession::RecordedSession(const Recording& recording, const SessionSummary& summary, bool continuing)
    : cursor_(recording, summary.descriptor.id, summary.opened_in), last_time_(summary.descriptor.opened_at) {
  broken_ = !tracker_.advance(SessionEvent::kStartupReceived);
  if (!continuing) return;
  broken_ = broken_ || !tracker_.advance(SessionEvent::kReady);
  checkpoint_.logged_in = checkpoint_.quiescent = true;
}

std::optional<TimeNs> RecordedSession::next_time() {
  const auto event = cursor_.peek();
  if (!event) return std::nullopt;
  return event->time;
}

RecordedStep RecordedSession::next() {
  if (ended_) return end(*ended_);
  const auto event = cursor_.peek();
  // Nothing behind a hole is replayed: what stood in it is not known.
  if (broken_ || cursor_.damaged_chunks() > 0) return end(RecordedEnd::kHole);
  if (!event) return end(RecordedEnd::kUnfinished);
  last_time_ = event->time;
  if (cancelled_at_ && event->kind == EventKind::kServerBytes && cancel_shows(event->data)) {
    const TimeNs at = *cancelled_at_;
    cancelled_at_.reset();
    return {Kind::kCancel, at, {}, checkpoint_, {}};
  }
  return take(*cursor_.next());
}

RecordedStep RecordedSession::take(const Event& event) {
  switch (event.kind) {
    case EventKind::kClientBytes:
      return take_client_bytes(event);
    case EventKind::kServerBytes:
      return take_server_bytes(event);
    case EventKind::kGap:
      return end(RecordedEnd::kHole);
    case EventKind::kClosed: {
      CloseDetail detail;
      const bool cut = decode(event.data, detail) && detail.reason == CloseReason::kRecordingEnded;
      return end(cut ? RecordedEnd::kUnfinished : RecordedEnd::kClosed);
    }
    case EventKind::kCancelled:
      cancelled_at_ = event.time;
      reply_tail_.clear();
      break;
    case EventKind::kOpened:
    case EventKind::kRedacted:
    case EventKind::kBackendSwitched:
    case EventKind::kMark:
      break;
  }
  return {Kind::kNothing, event.time, {}, checkpoint_, {}};
}

RecordedStep RecordedSession::take_client_bytes(const Event& event) {
  // What a client sends before its login is done belongs to the login, and ours are our own.
  if (!checkpoint_.logged_in) return {Kind::kNothing, event.time, {}, checkpoint_, {}};
  if (!tracker_.client_bytes(event.data)) return end(RecordedEnd::kHole);
  checkpoint_.quiescent = tracker_.state() == proxy::SessionState::kReady;
  return {Kind::kSend, event.time, event.data, checkpoint_, {}};
}

RecordedStep RecordedSession::take_server_bytes(const Event& event) {
  const Checkpoint before = checkpoint_;
  follow_server(event.data);
  checkpoint_.mark = progress_.mark();
  checkpoint_.errors = progress_.errors();
  checkpoint_.transaction_status = progress_.transaction_status();
  checkpoint_.quiescent = tracker_.state() == proxy::SessionState::kReady;
  checkpoint_.fatal = tracker_.fatal_seen();
  if (cancelled_at_ && checkpoint_.quiescent) {
    cancelled_at_.reset();
    ++late_cancels_;
  }
  const bool moved = checkpoint_.logged_in && (!before.logged_in || before.mark != checkpoint_.mark ||
                                               before.fatal != checkpoint_.fatal);
  return {moved ? Kind::kReply : Kind::kNothing, event.time, {}, checkpoint_, {}};
}

RecordedStep RecordedSession::end(RecordedEnd why) {
  ended_ = why;
  return {Kind::kEnd, last_time_, {}, checkpoint_, why};
}

void RecordedSession::follow_server(ByteView bytes) {
  if (!progress_.feed(bytes)) broken_ = true;
  if (!checkpoint_.logged_in) return follow_login(bytes);
  broken_ = broken_ || !tracker_.server_bytes(bytes);
}

void RecordedSession::follow_login(ByteView bytes) {
  std::size_t login_end = login_status_due_ && !bytes.empty() ? 1 : 0;
  if (login_end == 0) {
    (void)login_scanner_.feed(bytes, [&](const wire::FrameHeader& frame) {
      if (frame.type != wire::backend::kReadyForQuery) return true;
      login_status_due_ = true;
      const Byte* const payload_end = frame.payload_here.data() + frame.payload_here.size();
      if (!frame.payload_here.empty()) login_end = static_cast<std::size_t>(payload_end - bytes.data());
      return false;
    });
  }
  if (login_end == 0) return;
  checkpoint_.logged_in = true;
  broken_ =
      broken_ || !tracker_.advance(SessionEvent::kReady) || !tracker_.server_bytes(bytes.subspan(login_end));
}

// Whether these bytes hold the error that answers a cancel request, begun perhaps in the bytes before.
bool RecordedSession::cancel_shows(ByteView bytes) {
  const std::string_view text = as_text(bytes);
  reply_tail_.append(text.substr(0, std::min(text.size(), kCancelled.size() - 1)));
  const bool shows = reply_tail_.find(kCancelled) != std::string::npos || text.find(kCancelled) != text.npos;
  const std::string_view tail = text.size() >= kCancelled.size() - 1 ? text : std::string_view(reply_tail_);
  reply_tail_ = std::string(tail.substr(tail.size() - std::min(tail.size(), kCancelled.size() - 1)));
  return shows;
}

}  // namespace understudy::replayer
