// Continuity of a session whose client cancels what it asked while there is no server to be told.
#include <algorithm>

#include "formats/wire/backend_builders.h"
#include "formats/wire/message_types.h"
#include "proxy/continuity.h"

namespace understudy::proxy {
namespace {

namespace frontend = wire::frontend;

constexpr wire::ErrorText kCancelled = {
    .severity = "ERROR", .sqlstate = "57014", .message = "canceling statement due to user request"};

// One request and nothing else: a Query, a FunctionCall, or a pipeline with its Sync.
bool is_one_request(ByteView bytes) {
  constexpr std::size_t kHeaderBytes = 5;
  constexpr std::string_view kOfPipelines = {"PBDECHS"};
  bool pipeline = false;
  while (bytes.size() >= kHeaderBytes) {
    const std::size_t size = std::size_t{load_be32(bytes.data() + 1)} + 1;
    if (size < kHeaderBytes || size > bytes.size()) return false;
    const char type = static_cast<char>(bytes.front());
    const bool last = size == bytes.size();
    if (type == frontend::kQuery || type == frontend::kFunctionCall) return last && !pipeline;
    if (kOfPipelines.find(type) == std::string_view::npos) return false;
    if (type == frontend::kSync) return last;
    pipeline = true;
    bytes = bytes.subspan(size);
  }
  return false;
}

}  // namespace

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
  wire::append_error_response(for_client_, kCancelled);
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

// Nothing can have come of it, whatever it asks; in a transaction it would have to fail that one as well.
bool Continuity::refuse_unsent(ByteView request) {
  const bool rests = stage_ == Stage::kNoServer && outstanding_.empty() && lost_status_ == 'I' && !failure_ &&
                     !failure_pending_ && !skipping_to_sync_ && !held_message_ && !half_shown_ &&
                     waiting_.empty() && client_.at_boundary() && !from_client_.holds();
  if (!rests || !cancel_again_ || !is_one_request(request)) return false;
  cancel_again_ = false;
  wire::append_error_response(for_client_, kCancelled);
  wire::append_ready_for_query(for_client_, wire::TransactionStatus::kIdle);
  return true;
}

}  // namespace understudy::proxy
