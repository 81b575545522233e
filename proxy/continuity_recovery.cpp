// Continuity from the loss of one server to the moment another goes on in its place.
#include <algorithm>

#include "formats/wire/backend_builders.h"
#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_builders.h"
#include "formats/wire/message_types.h"
#include "proxy/continuity.h"
#include "proxy/framing.h"

namespace understudy::proxy {
namespace {

namespace frontend = wire::frontend;
namespace backend = wire::backend;

}  // namespace

std::string Continuity::cannot_move() const {
  if (!history_.pinned().empty()) return history_.pinned();
  if (history_.size_bytes() > limits_.history_bytes) return "more session state than the proxy keeps";
  if (half_shown_ && is_aside(half_type_)) return "a notice that was told in part";
  return {};
}

void Continuity::server_lost() {
  if (std::exchange(cancelled_, false)) cancel_again_ = true;
  if (stage_ == Stage::kRelaying) {
    note_outstanding();
  } else if (swallowing_) {
    delivered_ = to_swallow_;  // what the client has is what it had
    // The session is as it was, not as far as it was made again. (Whoever gave up has seen to that.)
    if (!failure_) history_ = std::move(lost_history_);
    note_asked_again();
  }
  server_.reset();
  from_server_.forget();
  server_leaves_ = unfit_ = at_replica_ = false;
  stopped_by_recovery_ = asks_here_ = false;
  regained_.reset();
  floor_.raise();
  times_asked_ = 0;
  swallowing_ = holding_ = ask_later_ = asking_held_ = false;
  unconfirmed_.reset();
  code_sets_ = false;
  learned_.clear();
  learned_bytes_ = there_ = gone_ = 0;
  stage_ = Stage::kNoServer;
}

void Continuity::note_outstanding() {
  half_shown_ = !server_.at_boundary() && showing_ && passing_ != backend::kErrorResponse &&
                passing_ != backend::kNoticeResponse;
  half_type_ = passing_;
  lost_status_ = status_;
  lost_position_ = client_position_;
  outstanding_.clear();
  if (wrapped_ && wrapped_->answered) outstanding_.push_back(wrapped_->request);
  if (unconfirmed_) outstanding_.push_back(std::move(unconfirmed_->request));
  for (OpenRequest& request : requests_) {
    const bool asks = (request.asks_held & kUnseenSettings) != 0;
    if (asks && !outstanding_.empty()) outstanding_.back().unlearned = true;
    if (!request.own) outstanding_.push_back(std::move(request));
  }
  // Its COMMIT is the proxy's: before that was sent nothing can have come of it.
  for (OpenRequest& request : outstanding_) {
    if (request.wrapped) request.doubtful = wrapped_ && wrapped_->ending && !wrapped_->failed;
  }
  if (wrapped_) kept_reply_ = std::move(wrapped_->reply);
  shown_early_ = wrapped_ && wrapped_->through && !wrapped_->ending;
  wrapped_.reset();
}

bool Continuity::outcome_unknown() const { return stage_ == Stage::kNoServer && !failure_ && doubts() > 0; }

// A replay was cut off: the doubts of the first loss were resolved before it, and of what it asked again only
// what was sent can be in doubt.
void Continuity::note_asked_again() {
  for (OpenRequest& request : outstanding_) request.doubtful = false;
  if (!waiting_.empty()) return;
  auto outstanding = outstanding_.rbegin();
  for (auto sent = requests_.rbegin(); sent != requests_.rend(); ++sent) {
    if (sent->own) continue;
    if (outstanding == outstanding_.rend()) return;
    outstanding->doubtful = sent->doubtful;
    outstanding->transaction = sent->transaction;
    ++outstanding;
  }
}

void Continuity::server_found(std::uint32_t timeline, std::vector<TimelineSwitch> switches,
                              Settings settings) {
  server_settings_ = std::move(settings);
  new_timeline_ = timeline;
  switches_ = std::move(switches);
  times_asked_ = 0;
  patience_ended_ = false;
  if (committed_ && !failure_) {
    // With asynchronous replication the new primary may not have what was acknowledged.
    asking_of_ = Asking::kLastCommit;
    if (!history_names(committed_->timeline)) return last_commit_known(Fate::kUnknown);
    return never_arrived(*committed_) ? last_commit_known(Fate::kNeverArrived) : ask_fate(*committed_);
  }
  failure_ ? restore() : judge();
}

void Continuity::ask_again() {
  // Of a message that was said in part the beginning must be there too.
  const bool nothing_lost = lost_status_ == 'I' && outstanding_.empty() && client_.at_boundary();
  if (!overflowed_ || nothing_lost) return restore();
  give_up({"40001", "the server was lost, and with it the transaction", std::string(why_overflowed_) + "."},
          false);
}

void Continuity::restore() {
  stage_ = Stage::kRestoring;
  answer_error_.clear();
  answers_due_ = 0;
  poisoned_ = false;
  if (failure_) {
    history_.rolled_back();
    history_.keep();
    const bool ends = std::any_of(outstanding_.begin(), outstanding_.end(),
                                  [](const OpenRequest& request) { return request.ends_transaction; });
    poisoned_ = lost_status_ != 'I' && !ends;
  }
  const auto all = [](const std::string&) { return true; };
  const SessionHistory::Answers answers =
      regained_ ? history_.catch_up(for_server_, *regained_, true, all) : history_.restore(for_server_);
  regained_.reset();
  unnamed_here_ = true;
  answers_due_ = answers.due;
  lenient_ = answers.lenient;
  if (poisoned_) {
    // As the client's transaction: failed, and waiting for its ROLLBACK.
    wire::append_query(for_server_, "BEGIN");
    wire::append_query(for_server_,
                       "DO $$BEGIN RAISE EXCEPTION SQLSTATE '40001' USING MESSAGE = "
                       "'understudy: a transaction that did not survive a failover ends here'; END$$");
    answers_due_ += 2;
    lenient_ = lenient_ > 0 ? lenient_ + 2 : 1;
  }
  if (answers_due_ == 0) failure_ ? tell_failure() : replay();
}

void Continuity::restoring_reply(char type, ByteView payload) {
  if (type == backend::kDataRow) {
    const auto row = wire::DataRow::decode(payload);
    if (!row) return;
    answer_.clear();
    for (const wire::Value& value : row->columns) {
      answer_.emplace_back(value.text());
    }
    return;
  }
  if (type == backend::kErrorResponse) {
    const auto error = wire::ErrorResponse::decode(payload);
    answer_error_ = error ? std::string(error->sqlstate()) : "XX000";
    if (stage_ == Stage::kAsking || answers_due_ <= lenient_) return;
    broken_ = "the session could not be made again on the new server: ";
    broken_ += error ? error->message() : "an error";
    return;
  }
  if (type != backend::kReadyForQuery) return;
  if (stage_ == Stage::kAsking) return fate_known();
  if (--answers_due_ > 0 || !broken_.empty()) return;
  failure_ ? tell_failure() : replay();
}

// The journal begins at a safe point: everything noted since is noted anew.
void Continuity::replay() {
  lost_history_ = history_;
  history_.undo();
  requests_.clear();
  portals_.clear();
  predicted_ = Predicted::kNone;
  predicted_write_ = false;
  mark_.reset();
  status_ = 'I';
  to_swallow_ = std::exchange(delivered_, Delivered{});
  swallowing_ = to_swallow_.bytes > 0;
  request_bytes_ = 0;
  timeline_ = new_timeline_;
  stage_ = swallowing_ ? Stage::kReplaying : Stage::kRelaying;
  wrapped_.reset();
  // A message that was refused in part is no part of the journal.
  if (!held_message_ || client_.at_boundary()) client_.reset();
  const ByteBuffer again = std::move(journal_);
  journal_ = {};
  client_position_ = journal_from_;
  const ByteBuffer waited = std::exchange(waiting_, {});
  append_bytes(for_server_, pass_on(again));
  // What the lost server was not sent yet comes after it.
  if (holding_) {
    append_bytes(waiting_, waited);
  } else if (!waited.empty()) {
    append_bytes(for_server_, guard(waited, false));
  }
  // The lost server had sent its answers without being asked to (a good-bye takes them along); this one keeps
  // them back until the pipeline's Sync.
  const bool kept_back = !requests_.empty() && !requests_.back().whole && client_.at_boundary();
  // (What is held waits for the id, and with that question comes a Flush.)
  if (swallowing_ && kept_back && !holding_) wire::append_flush(for_server_);
  if (!swallowing_) outstanding_.clear();
}

// As much was answered as the client has.
void Continuity::replayed() {
  if (delivered_.digest != to_swallow_.digest) {
    return give_up(
        {"40001", "could not replay the transaction on the new server: it answers differently there", {}},
        true);
  }
  swallowing_ = false;
  outstanding_.clear();
  stage_ = Stage::kRelaying;
}

// Locks are taken in another order than the first time: it may wait for a session whose client waits for this
// one, which no server can see.
void Continuity::out_of_patience() {
  if (stage_ != Stage::kReplaying) return;
  give_up({"40001", "could not replay the transaction on the new server: no answer within failover_timeout",
           "It may have waited for a lock."},
          true);
}

void Continuity::give_up(Failure failure, bool server_used) {
  if (failure_) return;
  // An error cannot be told in the middle of a row, nor can half a message be forgotten.
  if (half_shown_ || !client_.at_boundary()) broken_ = failure.message;
  failure_ = std::move(failure);
  if (!server_used) return restore();
  history_ = std::move(lost_history_);  // what was noted before the replay
  unfit_ = true;
}

void Continuity::tell_failure() {
  const Failure failure = std::move(*failure_);
  failure_.reset();
  cancel_again_ = false;
  if (lost_position_ > client_position_) hold_over(lost_position_ - client_position_);
  client_position_ = std::max(client_position_, lost_position_);
  char status = lost_status_ != 'I' ? 'E' : 'I';
  const auto tell = [&] {
    wire::append_error_response(for_client_, {.severity = "ERROR",
                                              .sqlstate = failure.sqlstate,
                                              .message = failure.message,
                                              .detail = failure.detail});
  };
  for (const OpenRequest& request : outstanding_) {
    tell();
    if (request.ends_transaction) status = 'I';
    if (request.whole) {
      wire::append_ready_for_query(for_client_, static_cast<wire::TransactionStatus>(status));
    } else {
      skipping_to_sync_ = true;
    }
  }
  failure_pending_ = outstanding_.empty() && poisoned_;
  if (failure_pending_) pending_ = failure;
  outstanding_.clear();
  requests_.clear();
  portals_.clear();
  journal_ = {};
  journal_from_ = client_position_;
  overflowed_ = predicted_write_ = swallowing_ = confused_ = false;
  predicted_ = poisoned_ ? Predicted::kOpen : Predicted::kNone;
  status_ = poisoned_ ? 'E' : 'I';
  delivered_ = {};
  request_bytes_ = 0;
  mark_.reset();
  wrapped_.reset();
  timeline_ = new_timeline_;
  stage_ = Stage::kRelaying;
  const ByteBuffer waited = std::exchange(waiting_, {});
  if (!waited.empty()) append_bytes(for_server_, pass_client(waited));
}

ByteBuffer Continuity::settings_to_tell() {
  ByteBuffer messages;
  for (const auto& [name, value] : server_settings_) {
    const std::string* const told = client_settings_.find(name);
    if (told != nullptr && *told == value) continue;
    client_settings_.set(name, value);
    wire::append_parameter_status(messages, name, value);
  }
  return messages;
}

bool Continuity::is_rollback(char type, ByteView payload) const {
  std::string_view sql;
  if (type == frontend::kQuery && !payload.empty()) sql = as_text(payload.first(payload.size() - 1));
  if (type == frontend::kParse) {
    const auto parse = wire::Parse::decode(payload);
    if (parse) sql = parse->sql;
  }
  if (type == frontend::kBind) {
    const auto bind = wire::Bind::decode(payload);
    const std::string* const prepared = bind ? sql_of(bind->statement) : nullptr;
    if (prepared != nullptr) sql = *prepared;
  }
  const std::vector<StatementEffect>& statements = traits_.of(sql).statements;
  return statements.size() == 1 && statements.front().kind == EffectKind::kRollback;
}

// The client's next message after its transaction was given up between two requests; or the rest of a
// pipeline that was refused. False: it may pass.
bool Continuity::refused(char type, ByteView payload) {
  if (skipping_to_sync_) {
    if (type != frontend::kSync) return type != frontend::kTerminate;
    skipping_to_sync_ = false;
    wire::append_ready_for_query(for_client_, static_cast<wire::TransactionStatus>(status_));
    return true;
  }
  failure_pending_ = false;
  if (type == frontend::kTerminate || is_rollback(type, payload)) return false;
  wire::append_error_response(for_client_, {.severity = "ERROR",
                                            .sqlstate = pending_.sqlstate,
                                            .message = pending_.message,
                                            .detail = pending_.detail});
  if (type == frontend::kSync || type == frontend::kQuery || type == frontend::kFunctionCall) {
    wire::append_ready_for_query(for_client_, wire::TransactionStatus::kFailed);
  } else {
    skipping_to_sync_ = true;
  }
  return true;
}

}  // namespace understudy::proxy
