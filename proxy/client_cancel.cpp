// ClientSession when its client cancels what it asked. While it has its server the request goes there and the
// session only hears of it; while it moves the session itself ends what waits, or tells the server it finds.
#include "proxy/cancel_relay.h"
#include "proxy/client_session.h"
#include "proxy/clock.h"
#include "proxy/server_pool.h"

namespace understudy::proxy {
namespace {

// A server that was asked a moment ago may not have begun, and heeds no cancel then: it is told again, after
// this and then twice as long each time, until it has answered.
constexpr TimeNs kFirstPause = 100'000'000;
constexpr unsigned kMostCancels = 7;

}  // namespace

bool ClientSession::request_cancel(std::function<void()> done) {
  const auto target = context_.shared.cancels.find(process_id_, client_key_);
  if (!target) return false;
  note_cancelled(!target->moving);
  count(context_.shared.statistics.cancels_forwarded);
  if (target->moving) {
    if (done) done();
    return true;
  }
  send_cancel(*target, std::move(done));
  return true;
}

void ClientSession::send_cancel(const CancelTarget& target, std::function<void()> done) {
  auto relay = std::make_unique<CancelRelay>(context_, target, nullptr, std::move(done));
  CancelRelay& started = *relay;
  context_.owner.keep(std::move(relay));
  started.start();
}

// A replay's sessions are not cancelled here: it does that itself, unless it was told not to wait.
bool ClientSession::end_now(const std::string& message, std::function<void()> told) {
  const bool runs = (state() == SessionState::kQuery || state() == SessionState::kCopy) &&
                    server_.connected() && client_.attached() && !client_.in_process() &&
                    !tracker_.streams_replication();
  const auto target = runs ? context_.shared.cancels.find(process_id_, client_key_) : std::nullopt;
  const bool asked = target && !target->moving;
  terminate(CloseReason::kShutdown, "57P01", message);
  if (asked) send_cancel(*target, std::move(told));
  return asked;
}

void ClientSession::note_cancelled(bool sent) {
  if (observer_) observer_->cancelled(now_ns());
  if (!failover_ || state() == SessionState::kClosed || !client_.attached()) return;
  // What it asked while the session moves is in its socket yet, or waits to be routed.
  const bool unread = !sent && ((!client_.in_process() && !is_silent(client_.connection())) ||
                                (failover_->split && !failover_->split->waiting.empty()));
  failover_->continuity.note_cancel(sent, unread);
  if (moving()) {
    stop_waiting();
  } else {
    pass_cancel();
  }
  settle();
}

// The session goes on looking for a server, as one that is idle.
void ClientSession::stop_waiting() {
  if (!failover_->continuity.stop_waiting()) return;
  tracker_.server_found();
  tracker_.server_restored();
  show_client(failover_->continuity.take_for_client());
  if (state() != SessionState::kClosed) tracker_.server_lost();
}

void ClientSession::pass_cancel() {
  if (!failover_ || moving() || state() == SessionState::kClosed) return;
  if (!failover_->continuity.cancels_again()) return;
  failover_->cancels_sent = 0;
  cancel_at_server();
}

void ClientSession::cancel_at_server() {
  const auto target = context_.shared.cancels.find(process_id_, client_key_);
  if (!target || target->moving) return;
  failover_->cancelling = true;  // what the client asks next is not meant
  ++failover_->cancels_sent;
  send_cancel(*target,
              [&context = context_, number = number_] { context.owner.session_cancel_taken(number); });
}

void ClientSession::cancel_taken() {
  if (!failover_) return;
  failover_->cancelling = false;
  if (failover_->continuity.cancelled() && failover_->cancels_sent < kMostCancels) {
    context_.loop.cancel(failover_->cancel_again);
    const TimeNs pause = kFirstPause << (failover_->cancels_sent - 1);
    failover_->cancel_again = context_.loop.call_at(now_ns() + pause, [this] {
      const bool due = !moving() && state() != SessionState::kClosed && failover_->continuity.cancelled();
      if (due) cancel_at_server();
    });
  }
  settle();
}

// Until the next server is like the lost one.
void ClientSession::hide_from_cancels() {
  CancelTarget target = cancel_target({}, {}, nullptr, 0, {});
  target.moving = true;
  context_.shared.cancels.move(process_id_, client_key_, std::move(target));
}

}  // namespace understudy::proxy
