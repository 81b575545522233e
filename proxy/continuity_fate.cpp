// Continuity: what became of a transaction whose COMMIT was in flight when the server was lost, and what
// follows from that for what the client waits for.
#include <algorithm>
#include <charconv>

#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_builders.h"
#include "formats/wire/message_types.h"
#include "proxy/continuity.h"

namespace understudy::proxy {
namespace {

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

// What becomes of the client's last acknowledged commit is for whoever runs the proxy to know.
void Continuity::last_commit_known(Fate fate) {
  const bool missing = fate == Fate::kNeverArrived || fate == Fate::kAborted;
  const bool unclear = fate == Fate::kUnknown || fate == Fate::kInProgress;
  if (missing || unclear) missing_commit_ = {*committed_, unclear};
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
  if (!history_names(mark_->timeline)) {
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

const TimelineSwitch* Continuity::left_at(std::uint32_t timeline) const {
  const auto left = std::find_if(switches_.begin(), switches_.end(),
                                 [&](const TimelineSwitch& one) { return one.timeline == timeline; });
  return left == switches_.end() ? nullptr : &*left;
}

// Without it an id proves nothing.
bool Continuity::history_names(std::uint32_t timeline) const {
  return new_timeline_ == timeline || left_at(timeline) != nullptr;
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

}  // namespace understudy::proxy
