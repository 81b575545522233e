// Continuity on the server's side, while all is well and while a journal is replayed: what it answers, and
// what the client shall see of that.
#include <algorithm>
#include <charconv>

#include "formats/crc32c.h"
#include "formats/wire/backend_messages.h"
#include "formats/wire/message_types.h"
#include "proxy/continuity.h"
#include "proxy/framing.h"
#include "proxy/splice.h"

namespace understudy::proxy {
namespace {

namespace backend = wire::backend;

// Of an answer to the proxy's own questions.
constexpr std::size_t kMostOfOwn = 64U << 10;
// So many answered questions of a pipeline are kept before they are forgotten.
constexpr std::size_t kMostAnswered = 64;

bool is_held(char type) { return type == backend::kErrorResponse || type == backend::kNoticeResponse; }

// The kind of reply that a message ends (DueReply::type); 0: none.
char kind_of_due(char type) {
  switch (type) {
    case backend::kEmptyQueryResponse:
    case backend::kPortalSuspended:
      return backend::kCommandComplete;
    case backend::kRowDescription:
    case backend::kNoData:
      return 'D';
    case backend::kParseComplete:
    case backend::kBindComplete:
    case backend::kCloseComplete:
    case backend::kCommandComplete:
      return type;
    default:
      return 0;
  }
}

}  // namespace

struct Continuity::ServerSide {
  Continuity& session;
  Splice splice;

  std::size_t begin(char type) {
    session.passing_ = type;
    session.showing_ = session.shows(type);
    switch (type) {
      case backend::kErrorResponse:
      case backend::kNoticeResponse:
      case backend::kCommandComplete:
      case backend::kReadyForQuery:
        return SIZE_MAX;
      default:
        return session.showing_ && type != backend::kParameterStatus ? 0 : kMostOfOwn;
    }
  }
  void part(ByteView raw) {
    // Errors and notices are held until they are seen whole: one that announces the server's end is not
    // shown.
    if (session.keeps(session.passing_) && !is_held(session.passing_)) {
      splice.drop(raw.size());
      return splice.insert(session.keep(raw));
    }
    if (session.at_replica_ && session.passing_ == backend::kRowDescription && session.may_leave() &&
        session.describes_sequence(raw)) {
      session.server_leaves_ = true;
      return splice.drop(raw.size());
    }
    if (!session.showing_ || is_held(session.passing_)) return splice.drop(raw.size());
    pass(raw, false);
  }
  void end(char type, ByteView payload, bool whole) {
    if (is_held(type)) {
      if (session.may_leave() && session.announces_end(payload)) {
        session.server_leaves_ = true;
        if (type == backend::kErrorResponse) session.good_bye_ = whole_message(type, payload);
        return;
      }
      if (type == backend::kErrorResponse && session.may_ask_here_again(payload)) {
        session.stopped_by_recovery_ = true;
        return;
      }
      const bool refused = type == backend::kErrorResponse && session.at_replica_ && session.showing_ &&
                           session.better_at_primary(payload);
      if (refused) {
        session.server_leaves_ = true;
        return;
      }
      if (session.keeps(type)) {
        splice.insert(session.keep(whole_message(type, payload)));
      } else if (session.showing_) {
        pass(whole_message(type, payload), true);
      }
    }
    session.server_message(type, payload, whole);
    if (session.release_.empty()) return;
    splice.insert(session.release_);
    session.release_.clear();
  }

 private:
  // Of an answer that the client has in part already, the rest.
  void pass(ByteView raw, bool held) {
    std::size_t had = 0;
    if (!is_aside(session.passing_)) {
      if (session.swallowing_) {
        const std::uint64_t left = session.to_swallow_.bytes - session.delivered_.bytes;
        had = static_cast<std::size_t>(std::min<std::uint64_t>(left, raw.size()));
        session.count(raw.first(had));
        if (left == had) session.replayed();
        if (session.unfit_) had = raw.size();
      }
      if (had < raw.size()) session.count(raw.subspan(had));
    }
    if (held) {
      if (had < raw.size()) splice.insert(raw.subspan(had));
      return;
    }
    if (had > 0) splice.drop(had);
    splice.pass(raw.size() - had);
  }
};

ByteView Continuity::to_client(ByteView bytes) {
  // So that a server that is lost leaves no half of a message with the client.
  bytes = from_server_.take(bytes, server_);
  ServerSide side{*this, Splice(bytes, to_client_out_)};
  server_.feed(bytes, side);
  return side.splice.result();
}

bool Continuity::shows(char type) const {
  if (type == backend::kNotificationResponse) return true;
  if (server_leaves_ || unfit_ || stopped_by_recovery_) return false;
  if (stage_ != Stage::kRelaying && stage_ != Stage::kReplaying) return false;
  if (!requests_.empty() && requests_.front().own) {
    if (requests_.front().silent) return false;
    // What a COMMIT of the proxy's own has to say is for the client (a standby that was not waited for, say).
    return type == backend::kParameterStatus ||
           (type == backend::kNoticeResponse && wrapped_ && wrapped_->ending);
  }
  // An error ends the client's pipeline, whoever's question it was.
  if (!requests_.empty() && requests_.front().own_is_due()) {
    return type == backend::kParameterStatus || type == backend::kErrorResponse;
  }
  if (!requests_.empty() && requests_.front().wrapped) {
    return is_aside(type) || type == backend::kCopyInResponse ||
           (wrapped_ && wrapped_->through && type != backend::kReadyForQuery);
  }
  if (type == backend::kReadyForQuery && awaits_settings()) return false;
  return !(swallowing_ && is_aside(type));
}

void Continuity::count(ByteView raw) {
  delivered_.bytes += raw.size();
  request_bytes_ += raw.size();
  delivered_.digest = crc32c(raw, delivered_.digest);
}

// A server that shuts down, or whose COMMIT gives up waiting for a standby because it does: that one says so
// in a warning, and closes without an answer.
bool Continuity::announces_end(ByteView payload) const {
  const auto error = wire::ErrorResponse::decode(payload);
  if (!error) return false;
  const std::string_view sqlstate = error->sqlstate();
  if (error->severity() == "WARNING") return sqlstate == "57P01";
  if (error->severity() != "FATAL" && error->severity() != "PANIC") return false;
  // 40001: a conflict with recovery.
  return sqlstate == "57P01" || sqlstate == "57P02" || sqlstate == "57P03" || sqlstate == "40001";
}

void Continuity::note_setting(ByteView payload) {
  const auto status = wire::ParameterStatus::decode(payload);
  if (!status) return;
  server_settings_.set(status->name, status->value);
  if (showing_) client_settings_.set(status->name, status->value);
}

void Continuity::server_message(char type, ByteView payload, bool whole) {
  if (type == backend::kParameterStatus && may_leave()) note_setting(payload);
  if (server_leaves_ || unfit_ || is_aside(type)) return;
  if (stopped_by_recovery_) {
    asks_here_ = type == backend::kReadyForQuery;
    return;
  }
  if (stage_ == Stage::kAsking || stage_ == Stage::kRestoring) return restoring_reply(type, payload);
  if (requests_.empty()) return;
  if (requests_.front().own) return own_reply(type, payload);
  reply_came(type, payload, whole);
}

void Continuity::own_reply(char type, ByteView payload) {
  switch (type) {
    case backend::kReadyForQuery:
      return own_answered();
    case backend::kErrorResponse: {
      const auto error = wire::ErrorResponse::decode(payload);
      own_error_ = error ? std::string(error->sqlstate()) : "XX000";
      if (!wrapped_ || wrapped_->failed) return;
      // Refused at its COMMIT (a deferred constraint, say), or stopped before it: that is the answer.
      wrapped_->failed = true;
      wrapped_->reply = whole_message(type, payload);
      return;
    }
    case backend::kCommandComplete:
      rolled_back_ = as_text(payload).starts_with("ROLLBACK");
      return;
    case backend::kDataRow:
      if (requests_.front().asks_held != 0) return take_held(payload);
      if (requests_.front().silent) return;  // of a setting that was made by set_config()
      return requests_.front().asks_position ? take_position(payload) : take_mark(payload);
    default:
      return;
  }
}

void Continuity::own_answered() {
  const OpenRequest own = std::move(requests_.front());
  requests_.pop_front();
  const std::string error = std::exchange(own_error_, {});
  if (own.asks_held != 0) held_answered(own, error);
  if (own.silent) return silent_answered(!error.empty());
  if (wrapped_) {
    if (wrapped_->answered) wrapped_->ending ? wrapped_ended() : end_wrapped();
  } else if (!error.empty() && status_ == 'T' && requests_.empty()) {
    // Cancelled or timed out behind the client's statement, it took the client's transaction with it.
    status_ = 'E';
    failure_pending_ = true;
    pending_ = {error, "the transaction was stopped",
                "It happened while the proxy asked for its id (commit_guard)."};
  }
  if (own.asks_mark && !wrapped_) release_held();
}

void Continuity::take_mark(ByteView payload) {
  const auto row = wire::DataRow::decode(payload);
  if (!row) return;
  TransactionMark mark;
  std::size_t column = 0;
  for (const wire::Value& value : row->columns) {
    const std::string_view text = value.text();
    if (column == 0) std::from_chars(text.data(), text.data() + text.size(), mark.id);
    if (column == 1) mark.lsn = parse_lsn(text).value_or(Lsn{}).value;
    if (column == 2) mark.server_started = text;
    ++column;
  }
  mark.timeline = timeline_;
  mark.number = requests_.front().own ? requests_.front().transaction : transaction_;
  if (column == 3) mark_ = std::move(mark);
}

void Continuity::reply_came(char type, ByteView payload, bool whole) {
  OpenRequest& request = requests_.front();
  switch (type) {
    case backend::kReadyForQuery:
      if (request.wrapped) {
        OpenRequest answered = std::move(request);
        requests_.pop_front();
        return wrapped_answered(std::move(answered));
      }
      // (Shown already where it was the last of what a replay had to swallow.)
      if (!showing_ && awaits_settings()) {
        unconfirmed_ = {std::move(request), payload.empty() ? 'I' : static_cast<char>(payload.front())};
        return requests_.pop_front();
      }
      return request_answered(payload.empty() ? 'I' : static_cast<char>(payload.front()));
    case backend::kErrorResponse:
      request.failed = true;
      ++delivered_.errors;
      if (!request.wrapped) release_held();  // the server skips to the Sync: no id is to be had
      if (swallowing_ && delivered_.errors > to_swallow_.errors) {
        give_up({"40001", "could not replay the transaction on the new server: it failed there", {}}, true);
      }
      return;
    case backend::kCopyInResponse:
      // In COPY the server ignores the Syncs it was sent with.
      confused_ = confused_ || request.pipeline;
      return;
    case backend::kDataRow:
      request.has_rows = true;
      if (request.own_is_due()) take_mark(payload);
      return;
    default:
      break;
  }
  const char due = kind_of_due(type);
  std::size_t& at = request.next_due;
  if (due == 0 || at == request.due.size() || request.due[at].type != due) return;
  DueReply& reply = request.due[at++];
  if (reply.own) {
    if (!request.own_is_due()) release_held();
    return;
  }
  if (type == backend::kParseComplete && reply.effect.name.empty()) unnamed_here_ = true;
  if (type == backend::kParseComplete && reply.effect.kind == EffectKind::kPin) {
    const bool unnamed = reply.effect.name.empty();
    reply.effect.name = "prepared statement longer than 1 MiB";
    unnamed ? history_.closed("") : history_.completed(reply.effect);
  } else if (type == backend::kParseComplete) {
    history_.parsed(reply.effect.name, reply.message, std::move(reply.effect.text));
  } else if (type == backend::kCloseComplete && reply.effect.kind != EffectKind::kNone) {
    history_.closed(reply.effect.name);
  } else if (type == backend::kCommandComplete) {
    statement_done(reply, payload, whole);
  }
  if (at < kMostAnswered) return;
  request.due.erase(request.due.begin(), request.due.begin() + static_cast<std::ptrdiff_t>(at));
  at = 0;
}

void Continuity::statement_done(const DueReply& reply, ByteView payload, bool whole) {
  if (reply.effect.kind == EffectKind::kDiscardAll) opaque_ = false;
  if (!limits_.asks && reply.effect.tells_change) history_.pin(std::string(kChangedUnseen));
  const bool undone = whole && reply.effect.kind == EffectKind::kCommit &&
                      as_text(payload) == std::string_view("ROLLBACK", 9);
  rolled_back_ = undone || reply.effect.kind == EffectKind::kRollback;
  if (rolled_back_) mark_.reset();  // whatever comes behind it in the pipeline
  if (undone) return history_.rolled_back();
  if (reply.effect.kind == EffectKind::kCommit) {
    OpenRequest& request = requests_.front();
    request.committed = true;
    const bool last = request.whole && request.next_due == request.due.size();
    if (last) return history_.completed(reply.effect);
    note_commit(request.doubtful);
    if (!overflowed_) give_up_journal("a part of what it asked was committed before");
    if (request.commits_in_doubt > 0) --request.commits_in_doubt;
    request.doubtful = request.commits_in_doubt > 0 || request.writes_outside;
  }
  history_.completed(reply.effect);
}

// What the mark tells of is committed, and the client knows.
void Continuity::note_commit(bool wrote) {
  if (mark_ && mark_->id != 0) {
    committed_ = mark_;
  } else if (wrote && limits_.commit_guard) {
    ++commits_without_id_;
  }
  mark_.reset();
}

void Continuity::request_answered(char status) {
  const OpenRequest& request = requests_.front();
  if (swallowing_ && status == 'I') {
    return give_up({"40001", "could not replay the transaction on the new server: it ended early there", {}},
                   true);
  }
  status_ = status;
  cancelled_ = false;
  request_bytes_ = conflicts_ = 0;
  if (!request.pipeline) history_.closed("");  // a Query takes the unnamed statement with it
  if (status != 'I' && request.committed) note_commit(request.doubtful);  // AND CHAIN
  if (status != 'I' && request.committed && !overflowed_) {
    give_up_journal("a part of what it asked was committed before");
  }
  if (status == 'I') {
    request.failed ? history_.rolled_back() : history_.committed();
    history_.keep();
    if (!request.failed && !rolled_back_) note_commit(request.doubtful);
    rolled_back_ = false;
    mark_.reset();
    delivered_ = {};
    if (!overflowed_) {
      const std::uint64_t done = std::min<std::uint64_t>(request.ends_at - journal_from_, journal_.size());
      journal_.erase(journal_.begin(), journal_.begin() + static_cast<std::ptrdiff_t>(done));
      journal_from_ = request.ends_at;
    }
  }
  requests_.pop_front();
  if (status != 'I') known_to_be_open();
  if (requests_.empty() && !holding_) all_answered();
  if (ask_later_) ask_for_held_now();
  const bool more = holding_ || std::any_of(requests_.begin(), requests_.end(),
                                            [](const OpenRequest& one) { return !one.own; });
  if (swallowing_ && !more) {
    give_up({"40001", "could not replay the transaction on the new server: it answered less there", {}},
            true);
  }
}

// What is written until the transaction ends is written in it.
void Continuity::known_to_be_open() {
  for (OpenRequest& request : requests_) {
    if (request.own) continue;
    if (request.ends_transaction) return;
    request.doubtful = request.writes_outside = false;
  }
}

void Continuity::ask_for_held_now() {
  const auto client =
      std::count_if(requests_.begin(), requests_.end(), [](const OpenRequest& one) { return !one.own; });
  const bool open = !requests_.empty() && !requests_.back().whole;
  if (client > (open ? 1 : 0)) return;
  if (status_ == 'E') return release_held();
  ask_for_held(for_server_);
}

// What was predicted is known.
void Continuity::all_answered() {
  predicted_ = status_ == 'I' ? Predicted::kNone : Predicted::kOpen;
  if (status_ != 'I') return;
  predicted_write_ = false;
  portals_.clear();
  if (!overflowed_ || !client_.at_boundary()) return;
  overflowed_ = false;
  journal_from_ = client_position_;
}

void Continuity::at_rest() {
  constexpr std::size_t kMostKept = 16U << 10;
  for (ByteBuffer* buffer : {&to_server_out_, &to_client_out_, &wrap_out_, &guarded_out_, &journal_}) {
    if (buffer->capacity() > kMostKept && (buffer != &journal_ || journal_.empty())) *buffer = {};
  }
  cancelled_ = false;
  from_client_.release();
  from_server_.release();
  if (!std::exchange(confused_, false)) return;
  requests_.remove_if([](const OpenRequest& request) { return !request.own; });
  if (status_ != 'I') return;
  history_.committed();
  history_.keep();
  journal_.clear();
  journal_from_ = client_position_;
  delivered_ = {};
  overflowed_ = false;
  all_answered();
  mark_.reset();
}

}  // namespace understudy::proxy
