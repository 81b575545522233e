#include "replayer/recorded_session.h"

#include <algorithm>
#include <utility>

#include "formats/wire/message_types.h"

namespace understudy::replayer {
namespace {

using proxy::SessionEvent;
using Kind = RecordedStep::Kind;

// How an ErrorResponse says it in its code field ("Error and Notice Message Fields").
constexpr std::string_view kCancelled("C57014\0", 7);
constexpr std::string_view kDeadlock("C40P01\0", 7);
constexpr std::string_view kLockNotAvailable("C55P03\0", 7);
constexpr std::string_view kUniqueViolation("C23505\0", 7);
// Where in a message it is said, at the latest: behind the severity, in some language.
constexpr std::size_t kTailBytes = 256;

// An answer that tells a large object's OID is looked for in so many bytes.
constexpr std::size_t kMaxAheadBytes = std::size_t{16} << 20;

}  // namespace

RecordedSession::RecordedSession(const Recording& recording, const SessionSummary& summary, bool continuing)
    : cursor_(recording, summary.descriptor.id, summary.opened_in), last_time_(summary.descriptor.opened_at) {
  broken_ = !tracker_.advance(SessionEvent::kStartupReceived);
  if (!continuing) return;
  broken_ = broken_ || !tracker_.advance(SessionEvent::kReady);
  checkpoint_.logged_in = checkpoint_.quiescent = true;
}

std::optional<TimeNs> RecordedSession::next_time_lower_bound() {
  if (!ahead_.empty()) return ahead_.front().step.time;
  return held_ ? held_->time : cursor_.next_time_lower_bound();
}

std::optional<TimeNs> RecordedSession::next_time() {
  if (!ahead_.empty()) return ahead_.front().step.time;
  if (held_) return held_->time;
  const auto event = cursor_.peek();
  if (!event) return std::nullopt;
  return event->time;
}

TimeNs RecordedSession::next_turn(TimeNs at_least) {
  // Known without reading for the chunk it is in: enough to tell that it is not the next.
  const auto earliest = next_time_lower_bound();
  if (!earliest) return at_least;  // its last step: that nothing more comes
  if (*earliest > at_least) return *earliest;
  return next_time().value_or(at_least);
}

RecordedStep RecordedSession::next() {
  if (ahead_.empty()) {
    RecordedStep step = read();
    if (const auto creation = std::exchange(creation_, std::nullopt)) name_object(step, *creation);
    return step;
  }
  RecordedStep step = ahead_.front().step;
  bytes_ = std::move(ahead_.front().bytes);
  ahead_.pop_front();
  step.bytes = bytes_;
  return step;
}

// Reads on to the end of the answer, which tells the OID.
void RecordedSession::name_object(RecordedStep& sent, const ObjectCreation& creation) {
  bytes_.assign(sent.bytes.begin(), sent.bytes.end());
  answer_.emplace();
  for (std::size_t read_bytes = 0; !answer_->complete() && read_bytes < kMaxAheadBytes;) {
    const RecordedStep step = read();
    creation_.reset();
    ahead_.push_back({step, ByteBuffer(step.bytes.begin(), step.bytes.end())});
    read_bytes += sizeof(Ahead) + step.bytes.size();
    if (step.kind == Kind::kEnd) break;
  }
  if (const auto oid = answer_->oid()) bytes_ = creation.with_oid(bytes_, *oid);
  answer_.reset();
  sent.bytes = bytes_;
}

RecordedStep RecordedSession::read() {
  if (held_) return *std::exchange(held_, std::nullopt);
  if (ended_) return end(*ended_);
  const auto event = cursor_.next();
  // Nothing behind a hole is replayed: what stood in it is not known.
  if (broken_ || cursor_.holes() > 0) return end(RecordedEnd::kHole);
  if (!event) return end(RecordedEnd::kUnfinished);
  last_time_ = event->time;
  const bool password_hidden = std::exchange(password_hidden_, false);
  const bool bytes = event->kind == EventKind::kClientBytes || event->kind == EventKind::kServerBytes;
  if (!first_.take(*event) && bytes) return {Kind::kNothing, event->time, {}, checkpoint_, {}, {}};
  RecordedStep step = take(*event);
  step.password_hidden = password_hidden;
  return step;
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
      if (!decode(event.data, detail)) return end(RecordedEnd::kHole);
      if (detail.reason == CloseReason::kRecordingEnded) return end(RecordedEnd::kUnfinished);
      return end(detail.reason == CloseReason::kClientLeft ? RecordedEnd::kClientLeft
                                                           : RecordedEnd::kServerLeft);
    }
    case EventKind::kCancelled:
      cancelled_at_ = event.time;
      break;
    case EventKind::kRedacted: {
      Redaction redaction;
      password_hidden_ = decode(event.data, redaction) && redaction.kind == RedactionKind::kSqlPassword;
      break;
    }
    case EventKind::kOpened:
    case EventKind::kBackendSwitched:
    case EventKind::kMark:
      break;
  }
  return {Kind::kNothing, event.time, {}, checkpoint_, {}, {}};
}

RecordedStep RecordedSession::take_client_bytes(const Event& event) {
  // What a client sends before its login is done belongs to the login, and ours are our own.
  if (!checkpoint_.logged_in) return {Kind::kNothing, event.time, {}, checkpoint_, {}, {}};
  const bool anew = checkpoint_.quiescent && tracker_.client_at_boundary();
  if (!tracker_.client_bytes(event.data)) return end(RecordedEnd::kHole);
  if (anew) creation_ = ObjectCreation::in(event.data);
  checkpoint_.quiescent = tracker_.state() == proxy::SessionState::kReady;
  asked_at_ = event.time;
  return {Kind::kSend, event.time, event.data, checkpoint_, {}, {}};
}

RecordedStep RecordedSession::take_server_bytes(const Event& event) {
  const Checkpoint before = checkpoint_;
  follow_server(event.data);
  checkpoint_.mark = progress_.mark();
  checkpoint_.errors = progress_.errors();
  checkpoint_.transaction_status = progress_.transaction_status();
  checkpoint_.quiescent = tracker_.state() == proxy::SessionState::kReady;
  checkpoint_.fatal = tracker_.fatal_seen();
  const bool ready = before.mark.ready_count != checkpoint_.mark.ready_count;
  checkpoint_.answer_bytes = ready ? 0 : before.answer_bytes + event.data.size();
  const bool moved = checkpoint_.logged_in && (!before.logged_in || before.mark != checkpoint_.mark ||
                                               before.fatal != checkpoint_.fatal);
  const bool failed = before.logged_in && before.errors != checkpoint_.errors;
  const bool stopped = failed && says(kCancelled, event.data);
  if (!stopped && cancelled_at_ && checkpoint_.quiescent) {
    cancelled_at_.reset();
    ++checkpoint_.late_cancels;
  }
  RecordedStep step{moved ? Kind::kReply : Kind::kNothing, event.time, {}, checkpoint_, {}, {}};
  if (failed && says(kUniqueViolation, event.data)) step.refusal = Refusal::kKeyTaken;
  if (failed && says(kDeadlock, event.data)) step.refusal = Refusal::kDeadlock;
  if (stopped || step.refusal == Refusal::kDeadlock || (failed && says(kLockNotAvailable, event.data)))
    step.ran_for = event.time - asked_at_;
  keep_tail(event.data);
  if (stopped) {
    held_ = step;
    step = {Kind::kCancel, cancelled_at_.value_or(event.time), {}, before, {}, {}};
    if (!cancelled_at_) step.ran_for = event.time - asked_at_;
    cancelled_at_.reset();
  }
  return step;
}

RecordedStep RecordedSession::end(RecordedEnd why) {
  ended_ = why;
  RecordedStep step{Kind::kEnd, last_time_, {}, checkpoint_, why, {}};
  const bool answering = checkpoint_.logged_in && !checkpoint_.quiescent && !checkpoint_.fatal;
  if (why == RecordedEnd::kClientLeft && answering)
    step.ran_for = std::max<TimeNs>(0, last_time_ - asked_at_);
  return step;
}

void RecordedSession::follow_server(ByteView bytes) {
  if (answer_) answer_->feed(bytes);
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

// Whether these bytes, or a message that began before them and ends in them, tell this code.
bool RecordedSession::says(std::string_view code, ByteView bytes) const {
  if (as_text(bytes).find(code) != std::string_view::npos) return true;
  if (reply_tail_.empty()) return false;
  const std::string across = reply_tail_ + std::string(as_text(bytes).substr(0, code.size()));
  return across.find(code) != std::string::npos;
}

// Of a message that goes on in the next event, its beginning: an error's code is there.
void RecordedSession::keep_tail(ByteView bytes) {
  if (tracker_.server_at_boundary()) return reply_tail_.clear();
  if (bytes.size() >= kTailBytes) reply_tail_.clear();
  reply_tail_ += as_text(bytes.last(std::min(bytes.size(), kTailBytes)));
  if (reply_tail_.size() > kTailBytes) reply_tail_.erase(0, reply_tail_.size() - kTailBytes);
}

}  // namespace understudy::replayer
