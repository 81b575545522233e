// Continuity from the loss of one server to the moment another goes on in its place.
#include <algorithm>
#include <charconv>

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

constexpr std::string_view kUnknownOutcome = "the outcome of the transaction is unknown: the server was lost";
// Asked so often, 50 ms apart, while a COMMIT that has lost its client is still at work.
constexpr unsigned kMostAsked = 600;

// What is in progress may have been prepared, which no status tells. (Ids in that view wrap around.)
std::string prepared_or(std::uint64_t id, const std::string& status) {
  return "CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts AS p WHERE "
         "p.transaction::pg_catalog.text "
         "OPERATOR(pg_catalog.=) '" +
         std::to_string(static_cast<std::uint32_t>(id)) + "') THEN 'prepared' ELSE " + status + " END";
}

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
    return never_arrived(*committed_) ? last_commit_known(Fate::kNeverArrived) : ask_fate(*committed_);
  }
  failure_ ? restore() : judge();
}

// What becomes of the client's last acknowledged commit is for whoever runs the proxy to know.
void Continuity::last_commit_known(Fate fate) {
  if (fate == Fate::kNeverArrived || fate == Fate::kAborted) lost_commit_ = committed_;
  if (fate != Fate::kCommitted && fate != Fate::kPrepared) committed_.reset();
  times_asked_ = 0;
  judge();
}

// May what is outstanding be asked again?
void Continuity::judge() {
  if (shown_early_) {
    return give_up({"40001", "the server was lost in the middle of a long answer to a write", {}}, false);
  }
  const auto doubt = std::find_if(outstanding_.begin(), outstanding_.end(),
                                  [](const OpenRequest& request) { return request.doubtful; });
  if (doubt == outstanding_.end()) return ask_again();
  if (!mark_ || mark_->number != doubt->transaction) {
    return give_up({"08007", std::string(kUnknownOutcome), why_unknown()}, false);
  }
  asking_of_ = Asking::kCommitInDoubt;
  if (new_timeline_ != mark_->timeline && left_at(mark_->timeline) == nullptr) {
    return give_up({"08007", std::string(kUnknownOutcome),
                    "The new primary's timeline history does not name timeline " +
                        std::to_string(mark_->timeline) + ", or may not be read."},
                   false);
  }
  never_arrived(*mark_) ? ask_again() : ask_fate(*mark_);
}

std::string Continuity::why_unknown() const {
  if (limits_.replicas_only) {
    return "A replica writes nothing; but what was asked may have effects elsewhere, and was not asked "
           "again.";
  }
  return limits_.commit_guard ? "Nothing was known of it that would identify it at another server."
                              : "With commit_guard = on the proxy could have asked.";
}

void Continuity::ask_again() {
  // Of a message that was said in part the beginning must be there too.
  const bool nothing_lost = lost_status_ == 'I' && outstanding_.empty() && client_.at_boundary();
  if (!overflowed_ || nothing_lost) return restore();
  give_up({"40001", "the server was lost, and with it the transaction", std::string(why_overflowed_) + "."},
          false);
}

const TimelineSwitch* Continuity::left_at(std::uint32_t timeline) const {
  const auto left = std::find_if(switches_.begin(), switches_.end(),
                                 [&](const TimelineSwitch& one) { return one.timeline == timeline; });
  return left == switches_.end() ? nullptr : &*left;
}

// The new primary's timeline left the transaction's before its id was known to be given out.
bool Continuity::never_arrived(const TransactionMark& mark) const {
  if (new_timeline_ == mark.timeline) return false;
  const TimelineSwitch* const left = left_at(mark.timeline);
  return left != nullptr && left->at.value < mark.lsn;
}

void Continuity::ask_fate(const TransactionMark& mark) {
  stage_ = Stage::kAsking;
  answer_.clear();
  answer_error_.clear();
  const std::string pause = times_asked_ == 0 ? "" : ", pg_catalog.pg_sleep(0.05)";
  const std::string status = "pg_catalog.txid_status(" + std::to_string(mark.id) + ")";
  const std::string asked = times_asked_ == 0 ? status : prepared_or(mark.id, status);
  ++times_asked_;
  // As a number: what a time looks like hangs on the session's settings.
  wire::append_query(for_server_,
                     "SELECT " + asked +
                         ", (pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) * "
                         "1000000)::pg_catalog.int8, (pg_catalog.pg_control_checkpoint()).checkpoint_lsn" +
                         pause);
}

Continuity::Fate Continuity::fate_of(const TransactionMark& mark) const {
  // "In the future": the server that gave the id out lost it in its crash.
  if (answer_error_ == "22023") return Fate::kNeverArrived;
  if (answer_error_ == "57014")
    return Fate::kInProgress;  // a cancel that was meant for the client's statement
  if (!answer_error_.empty() || answer_.size() < 3) return Fate::kUnknown;
  const std::string& status = answer_[0];
  const bool restarted = new_timeline_ == mark.timeline && answer_[1] != mark.server_started;
  const std::uint64_t checkpoint = parse_lsn(answer_[2]).value_or(Lsn{}).value;
  // Recovery ends with a checkpoint: what was written after it had not reached the disk.
  if (restarted && checkpoint < mark.lsn) return Fate::kNeverArrived;
  if (status == "committed") return Fate::kCommitted;
  if (status == "aborted") return Fate::kAborted;
  if (status == "prepared") return Fate::kPrepared;
  return status == "in progress" ? Fate::kInProgress : Fate::kUnknown;
}

void Continuity::fate_known() {
  const TransactionMark& mark = asking_of_ == Asking::kLastCommit ? *committed_ : *mark_;
  const Fate fate = fate_of(mark);
  if (fate == Fate::kInProgress && times_asked_ < kMostAsked && !patience_ended_) return ask_fate(mark);
  if (asking_of_ == Asking::kLastCommit) return last_commit_known(fate);
  switch (fate) {
    case Fate::kCommitted:
    case Fate::kPrepared:
      return was_committed();
    case Fate::kAborted:
      if (doubts() > 1) break;  // what came behind it may have been done
      [[fallthrough]];
    case Fate::kNeverArrived:
      return ask_again();
    case Fate::kInProgress:
    case Fate::kUnknown:
      break;
  }
  std::string detail = "The new primary knows nothing of it, or not enough.";
  if (fate == Fate::kInProgress) detail = "It is still in progress at the new primary.";
  if (!answer_error_.empty()) detail = "The new primary was asked in vain: " + answer_error_ + ".";
  give_up({"08007", std::string(kUnknownOutcome), std::move(detail)}, false);
}

std::ptrdiff_t Continuity::doubts() const {
  return std::count_if(outstanding_.begin(), outstanding_.end(),
                       [](const OpenRequest& request) { return request.doubtful; });
}

// The client gets its COMMIT, and what it asked after it is asked again.
void Continuity::was_committed() {
  const OpenRequest& front = outstanding_.front();
  if (!front.doubtful || half_shown_ || !(front.lacks_but_commit() || front.wrapped)) {
    return give_up({"08007", "the transaction was committed, but replies were lost with the server", {}},
                   false);
  }
  if (front.unlearned) {
    history_.unsettle();  // rather none of its settings than some
    return give_up({"08007", "the transaction was committed, but its settings were lost",
                    "The server was lost before it could be asked what code has set."},
                   false);
  }
  const OpenRequest request = std::move(outstanding_.front());
  outstanding_.erase(outstanding_.begin());
  cancel_again_ = false;  // it came too late
  append_bytes(for_client_, request.wrapped ? std::exchange(kept_reply_, {}) : commit_reply(request));
  wire::append_ready_for_query(for_client_, wire::TransactionStatus::kIdle);
  history_.committed();
  history_.keep();
  const std::uint64_t done = std::min<std::uint64_t>(request.ends_at - journal_from_, journal_.size());
  journal_.erase(journal_.begin(), journal_.begin() + static_cast<std::ptrdiff_t>(done));
  journal_from_ = request.ends_at;
  delivered_ = {};
  request_bytes_ = 0;
  half_shown_ = false;
  lost_status_ = 'I';
  committed_ = std::exchange(mark_, std::nullopt);
  judge();
}

// What the lost server would have said yet: to a COMMIT, or PREPARE TRANSACTION, and nothing else.
ByteBuffer Continuity::commit_reply(const OpenRequest& request) const {
  ByteBuffer reply;
  for (std::size_t at = request.next_due; at < request.due.size(); ++at) {
    const DueReply& due = request.due[at];
    if (due.own) continue;
    switch (due.type) {
      case 'C':
        wire::append_command_complete(
            reply, due.effect.kind == EffectKind::kPrepareTransaction ? "PREPARE TRANSACTION" : "COMMIT");
        break;
      case 'D':
        wire::append_empty_message(reply, backend::kNoData);
        break;
      default:
        wire::append_empty_message(reply, due.type);
    }
  }
  return reply;
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
    std::string& told = client_settings_[name];
    if (told == value) continue;
    told = value;
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
