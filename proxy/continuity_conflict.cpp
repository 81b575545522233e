// Continuity in mode replica, where a read was in the way of what the replica had to replay: PostgreSQL
// breaks it off (40001; 40P01 where it held a buffer), and would answer it a moment later. What has no
// effect, stands outside of a transaction and has given its client no row yet is asked again, of the same
// replica: it is there, and has replayed by then what it had to.
//
// (PostgreSQL documentation, "Handling Query Conflicts".)
#include "formats/wire/backend_messages.h"
#include "proxy/continuity.h"

namespace understudy::proxy {
namespace {

// One read may meet several: each attempt sees a later state.
constexpr unsigned kMostConflicts = 5;

}  // namespace

// Alone: what was sent behind it is answered by the server in any case.
bool Continuity::may_ask_here_again(ByteView error_payload) const {
  if (!limits_.replicas_only || conflicts_ >= kMostConflicts || requests_.size() != 1) return false;
  const OpenRequest& request = requests_.front();
  const bool plain = request.whole && !request.own && !request.failed && !request.doubtful &&
                     !request.may_copy && !request.has_rows;
  const bool outside = (stage_ == Stage::kRelaying || swallowing_) && status_ == 'I' && !request.begins &&
                       !overflowed_ && !confused_ && client_.at_boundary();
  if (!plain || !outside) return false;
  const auto error = wire::ErrorResponse::decode(error_payload);
  if (!error || error->severity() != "ERROR") return false;
  return error->sqlstate() == "40001" || error->sqlstate() == "40P01";
}

// As if the server had been lost, and found as it was.
void Continuity::ask_here_again() {
  if (!asks_here_) return;
  ++conflicts_;
  server_lost();
  server_regained({server_settings_, history_.version(), timeline_});
}

}  // namespace understudy::proxy
