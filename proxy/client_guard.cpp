// ClientSession whose like have failed to log in too often: it begins later than it came, right password or
// wrong (login_guard.h).
#include "proxy/client_session.h"
#include "proxy/clock.h"
#include "proxy/log.h"

namespace understudy::proxy {

// Whether it has to wait, or is turned away.
bool ClientSession::delay_login() {
  if (client_.in_process()) return false;  // a replay's: it guesses nothing
  const SessionDescriptor& descriptor = login_->descriptor;
  const TimeNs now = now_ns();
  const auto wait = context_.shared.guard.admit(descriptor.peer, descriptor.user(), now);
  if (wait && *wait == 0) return false;
  if (!wait) {
    count(context_.shared.statistics.logins_turned_away);
    terminate(CloseReason::kProtocolError, "28000",
              "too many failed logins: this one would have to wait for too long",
              "Try again in a while, or see auth_failures_allowed.");
    return true;
  }
  count(context_.shared.statistics.logins_delayed);
  login_->delayed = true;
  login_->retry = context_.loop.call_at(now + *wait, [this] {
    if (!delayed() || state() == SessionState::kClosed) return;
    login_->delayed = false;
    login_->started_at = now_ns();  // the wait was not its own
    begin_login();
    settle();
  });
  return true;
}

void ClientSession::note_failed_login() {
  const SessionDescriptor& descriptor = login_->descriptor;
  if (client_.in_process()) return;
  if (!context_.shared.guard.failed(descriptor.peer, descriptor.user(), now_ns())) return;
  log_event(LogLevel::kWarning, "logins_slowed_down",
            {{"peer", descriptor.peer},
             {"user", descriptor.user()},
             {"reason", "too many failed logins of this address and user, or of this address"}});
}

}  // namespace understudy::proxy
