// Continuity of a session whose client cancels what it asked while there is no server to be told.
#include <algorithm>

#include "formats/wire/backend_builders.h"
#include "proxy/continuity.h"

namespace understudy::proxy {

bool Continuity::client_waits() const {
  if (stage_ != Stage::kRelaying) return !outstanding_.empty();
  return std::any_of(requests_.begin(), requests_.end(), [](const OpenRequest& one) { return !one.own; });
}

// A server that is being made like the lost one is not told: the cancel would hit what makes it.
void Continuity::note_cancel(bool sent, bool unread) {
  const bool waits = client_waits();
  if (sent && stage_ == Stage::kRelaying) {
    cancelled_ = cancelled_ || waits;
  } else {
    cancel_again_ = cancel_again_ || waits || unread;
  }
}

// A question of the proxy's own that comes first would be hit, and would take the client's transaction along.
bool Continuity::cancels_again() {
  const bool reached = !requests_.empty() && !requests_.front().own_is_due();
  if (!cancel_again_ || stage_ != Stage::kRelaying || !reached) return false;
  cancel_again_ = false;
  cancelled_ = true;
  return true;
}

// Outside of a transaction, and not where COPY data may follow, which a server would skip.
bool Continuity::stop_waiting() {
  if (stage_ != Stage::kNoServer || !cancel_again_ || outstanding_.size() != 1) return false;
  const OpenRequest& request = outstanding_.front();
  const bool plain = request.whole && !request.failed && !request.doubtful && !request.may_copy &&
                     lost_status_ == 'I' && !confused_;
  const bool nothing_else = !failure_ && !failure_pending_ && !skipping_to_sync_ && !held_message_ &&
                            !half_shown_ && !shown_early_ && waiting_.empty() && client_.at_boundary() &&
                            !from_client_.holds() && client_position_ == request.ends_at;
  if (!plain || !nothing_else) return false;
  if (!request.pipeline) history_.closed("");
  history_.rolled_back();
  history_.keep();
  wire::append_error_response(
      for_client_,
      {.severity = "ERROR", .sqlstate = "57014", .message = "canceling statement due to user request"});
  wire::append_ready_for_query(for_client_, wire::TransactionStatus::kIdle);
  outstanding_.clear();
  requests_.clear();
  portals_.clear();
  journal_ = {};
  journal_from_ = client_position_;
  overflowed_ = predicted_write_ = cancel_again_ = false;
  predicted_ = Predicted::kNone;
  status_ = 'I';
  delivered_ = {};
  request_bytes_ = 0;
  mark_.reset();
  kept_reply_ = {};
  return true;
}

}  // namespace understudy::proxy
