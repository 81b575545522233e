// ClientSession as those who watch and steer the proxy see it: what it is doing, and waiting while the proxy
// is paused.
#include "formats/wire/message_types.h"
#include "proxy/client_session.h"
#include "proxy/clock.h"
#include "proxy/server_pool.h"

namespace understudy::proxy {

SessionStatus ClientSession::status() const {
  SessionStatus status;
  status.number = number_;
  status.worker = context_.worker_index;
  if (login_) {
    const SessionDescriptor& descriptor = login_->descriptor;
    status.names = {descriptor.user(), descriptor.database(), descriptor.parameter("application_name")};
  } else if (names_) {
    status.names = *names_;
    const auto changed = tracker_.settings().find("application_name");  // the server reports it
    if (changed != tracker_.settings().end()) status.names.application_name = changed->second;
  }
  if (client_.attached()) status.peer = client_.connection().peer();
  if (server_.connected()) status.backend = server_.address_text();
  status.state = tracker_.state();
  status.in_transaction = !login_ && tracker_.transaction_status() != 'I';
  status.moving = moving() || (login_ && login_->waiting_for_primary);
  status.held = awaits_resume();
  status.since = request_since_ != 0 ? request_since_ : last_activity_;
  return status;
}

// Of one that is open nothing is read meanwhile.
bool ClientSession::awaits_resume() const {
  if (login_) return held();
  if (!context_.shared.paused.load(std::memory_order_relaxed) || !tracker_.idle()) return false;
  return (failover_ && !failover_->unread.empty()) ||
         (client_.attached() && has_unread(client_.connection()));
}

bool ClientSession::busy() const {
  if (tracker_.state() == SessionState::kClosed) return false;
  if (!login_) return !tracker_.idle() && !tracker_.streams_replication();
  // A request came before its login was done, and will be sent without being looked at again.
  const ByteBuffer& early = login_->client_bytes;
  return server_.connected() && !early.empty() &&
         static_cast<char>(early.front()) != wire::frontend::kPassword;
}

bool ClientSession::hold_login() {
  if (!context_.shared.paused.load(std::memory_order_relaxed)) return false;
  if (login_->held_since == 0) login_->held_since = now_ns();
  login_->waiting_for_primary = false;
  return true;
}

void ClientSession::pause_changed() {
  if (state() == SessionState::kClosed || !client_.attached()) return;
  if (!context_.shared.paused.load(std::memory_order_relaxed)) {
    last_activity_ = now_ns();  // it was not its client that was silent
    if (held()) {
      login_->held_since = 0;
      login_->started_at = last_activity_;  // the wait had its own time-out
      begin_server();
    }
  }
  context_.loop.make_runnable(*this);  // settle() sets what is watched anew
}

void ClientSession::check_hold(TimeNs now) {
  const TimeNs limit = context_.limits.query_wait_timeout;
  if (limit == 0 || now - login_->held_since <= limit) return;
  count(context_.shared.statistics.wait_timeouts);
  terminate(CloseReason::kTimeout, "08P01", "query_wait_timeout: the proxy is paused");
  settle();
}

}  // namespace understudy::proxy
