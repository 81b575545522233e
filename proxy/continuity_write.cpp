// Continuity with commit_guard on: nothing is committed before its id is known.
//
// A write outside of a transaction is put into one, and what it was answered is kept should the answer to the
// COMMIT be lost:
//
//     client:  INSERT                                            <- its answer, ReadyForQuery
//     server:  BEGIN, INSERT, what is the id?   -> answers kept     COMMIT -> done
//
// Likewise COPY FROM STDIN, whose id is asked for behind its data:
//
//     client:  COPY   <- CopyInResponse   data, CopyDone                         <- its answer, ReadyForQuery
//     server:  BEGIN, COPY                data, CopyDone -> kept   id?   COMMIT -> done
//
// A COMMIT that comes before the id is known, because the client sends it in a pipeline, waits for it: that
// takes a round trip, but of the proxy's.
#include <algorithm>
#include <utility>

#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_builders.h"
#include "formats/wire/message_types.h"
#include "proxy/continuity.h"
#include "proxy/framing.h"

namespace understudy::proxy {
namespace {

namespace frontend = wire::frontend;
namespace backend = wire::backend;

constexpr std::size_t kHeaderBytes = 5;
// Behind a COMMIT that turns out to be a ROLLBACK.
constexpr wire::ErrorText kNotCommitted = {
    .severity = "ERROR",
    .sqlstate = "40000",
    .message = "the statement was rolled back when it was to be committed"};

}  // namespace

// One request, all of it here, while nothing else is under way. (StatementTraits::wrappable says which
// statements can be; a question that was put off goes behind the next request, outside of a transaction.)
bool Continuity::may_wrap() const {
  return limits_.commit_guard && (released_ | unseen_) == 0 && requests_.empty() && status_ == 'I' &&
         predicted_ == Predicted::kNone && !failure_pending_ && !skipping_to_sync_ && !confused_ &&
         !overflowed_ && client_.at_boundary();
}

bool Continuity::is_wrappable(ByteView bytes) const {
  if (stage_ != Stage::kRelaying || !may_wrap()) return false;
  std::string_view parsed_name;
  std::string_view sql;
  bool parsed = false;
  unsigned executes = 0;
  while (bytes.size() >= kHeaderBytes) {
    const std::size_t size = std::size_t{load_be32(bytes.data() + 1)} + 1;
    if (size < kHeaderBytes || size > bytes.size()) return false;
    const ByteView payload = bytes.subspan(kHeaderBytes, size - kHeaderBytes);
    const bool last = size == bytes.size();
    switch (static_cast<char>(bytes.front())) {
      case frontend::kQuery:
        return last && !parsed && executes == 0 && !payload.empty() &&
               traits_.of(as_text(payload.first(payload.size() - 1))).wrappable;
      case frontend::kParse: {
        const auto parse = wire::Parse::decode(payload);
        if (!parse || parsed) return false;
        parsed = true;
        parsed_name = parse->statement;
        sql = parse->sql;
        break;
      }
      case frontend::kBind: {
        const auto bind = wire::Bind::decode(payload);
        if (!bind) return false;
        if (!parsed || bind->statement != parsed_name) {
          const std::string* const prepared = history_.prepared(bind->statement);
          if (prepared == nullptr || parsed) return false;
          sql = *prepared;
        }
        break;
      }
      case frontend::kDescribe:
        break;
      case frontend::kExecute:
        if (++executes > 1) return false;
        break;
      case frontend::kSync:
        return last && executes == 1 && traits_.of(sql).wrappable;
      default:
        return false;
    }
    bytes = bytes.subspan(size);
  }
  return false;
}

ByteView Continuity::wrap(ByteView bytes) {
  ByteBuffer out;
  ask(out, "BEGIN");
  append_bytes(out, pass_client(bytes));
  requests_.back().wrapped = true;
  ask(out, kAskForMark, true);
  wrapped_.emplace(Wrapped{});
  wrap_out_ = std::move(out);
  return wrap_out_;
}

// A COPY, perhaps with data behind it: that comes by itself, when the server has asked for it, or again.
bool Continuity::begins_copy(ByteView bytes) const {
  const bool stage_allows = stage_ == Stage::kRelaying || stage_ == Stage::kReplaying;
  if (!stage_allows || !may_wrap() || bytes.size() <= kHeaderBytes) return false;
  const std::size_t size = std::size_t{load_be32(bytes.data() + 1)} + 1;
  if (static_cast<char>(bytes.front()) != frontend::kQuery || size <= kHeaderBytes || size > bytes.size()) {
    return false;
  }
  return traits_.of(as_text(bytes.subspan(kHeaderBytes, size - kHeaderBytes - 1))).wrappable_copy;
}

ByteView Continuity::wrap_copy(ByteView bytes) {
  const std::size_t size = std::size_t{load_be32(bytes.data() + 1)} + 1;
  ByteBuffer out;
  ask(out, "BEGIN");
  append_bytes(out, pass_client(bytes.first(size)));
  requests_.back().wrapped = true;
  wrapped_.emplace(Wrapped{});
  wrapped_->copies = wrapped_->copying = true;
  if (size < bytes.size()) append_bytes(out, pass_copy(bytes.subspan(size)));
  wrap_out_ = std::move(out);
  return wrap_out_;
}

// What comes behind the data waits until it is committed.
ByteView Continuity::pass_copy(ByteView bytes) {
  std::size_t at = std::min<std::size_t>(client_.left(), bytes.size());
  while (at < bytes.size() && wrapped_->copying) {
    const char type = static_cast<char>(bytes[at]);
    const std::size_t size = std::size_t{load_be32(bytes.data() + at + 1)} + 1;
    if (type != frontend::kCopyData && type != frontend::kFlush && type != frontend::kSync) {
      wrapped_->copying = false;
      // (Another message ends it as well: the server refuses it.)
    }
    at = std::min(at + size, bytes.size());
  }
  if (at < bytes.size()) {
    waiting_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end());
    holding_ = true;
  }
  return pass_client(bytes.first(at));
}

// Whether a message of that type commits a transaction that wrote.
bool Continuity::commits(char type, ByteView payload) const {
  const auto is_commit = [](const StatementEffect& effect) { return effect.kind == EffectKind::kCommit; };
  if (type == frontend::kQuery && !payload.empty()) {
    const StatementTraits& traits = traits_.of(as_text(payload.first(payload.size() - 1)));
    return traits.statements.size() == 1 && is_commit(traits.statements.front());
  }
  if (type != frontend::kExecute) return false;
  const auto execute = wire::Execute::decode(payload);
  const StatementEffect* const portal = execute ? portals_.find(execute->portal) : nullptr;
  return portal != nullptr && is_commit(*portal);
}

// Passes what may pass; from a COMMIT on that must wait, the rest is held.
ByteView Continuity::guard(ByteView bytes, bool waited) {
  guarded_out_.clear();
  std::size_t at = std::min<std::size_t>(client_.left(), bytes.size());
  while (at < bytes.size()) {
    const ByteView rest = bytes.subspan(at);
    const char type = static_cast<char>(rest.front());
    const std::size_t size = std::size_t{load_be32(rest.data() + 1)} + 1;
    if (size > rest.size()) break;
    if (type == frontend::kExecute || type == frontend::kQuery) {
      // What came before says what this one is.
      append_bytes(guarded_out_, pass_client(bytes.first(at)));
      bytes = rest;
      at = 0;
      if (!std::exchange(waited, false) && must_wait(type, rest.subspan(kHeaderBytes, size - kHeaderBytes))) {
        hold(rest);
        return guarded_out_;
      }
    }
    at += size;
  }
  append_bytes(guarded_out_, pass_client(bytes));
  return guarded_out_;
}

bool Continuity::must_wait(char type, ByteView payload) const {
  const bool unknown = predicted_ != Predicted::kNone && predicted_write_ && !mark_is_known() &&
                       status_ != 'E' && !confused_ && !failure_pending_ && !skipping_to_sync_;
  const bool skipped = !requests_.empty() && requests_.back().failed && !requests_.back().whole;
  return unknown && !skipped && commits(type, payload);
}

void Continuity::hold(ByteView rest) {
  waiting_.assign(rest.begin(), rest.end());
  holding_ = true;
  if (mark_is_asked()) return;
  const auto client =
      std::count_if(requests_.begin(), requests_.end(), [](const OpenRequest& one) { return !one.own; });
  const bool open = !requests_.empty() && !requests_.back().whole;
  ask_later_ = client > (open ? 1 : 0);
  if (!ask_later_) ask_for_held(guarded_out_);
}

// Not before all that came before is answered: in a transaction that fails meanwhile the question would fail,
// and take what is behind it in the pipeline along.
void Continuity::ask_for_held(ByteBuffer& out) {
  ask_later_ = false;
  if (!requests_.empty() && !requests_.back().whole) return ask_in_pipeline(out, requests_.back());
  ask(out, kAskForMark, true);
}

void Continuity::ask_in_pipeline(ByteBuffer& out, OpenRequest& request) {
  wire::append_close(out, wire::Target::kStatement, kOwnName);
  wire::append_parse(out, kOwnName, kAskForMark);
  wire::append_bind(out, {.portal = kOwnName, .statement = kOwnName});
  wire::append_execute(out, kOwnName);
  wire::append_close(out, wire::Target::kPortal, kOwnName);
  wire::append_close(out, wire::Target::kStatement, kOwnName);
  wire::append_flush(out);
  for (const char type : {'3', '1', '2', 'C', '3', '3'}) {
    request.due.emplace_back();
    request.due.back().type = type;
    request.due.back().own = true;
  }
}

// Of what waits, so much was sent to the lost server, and answered for as what was outstanding there.
void Continuity::hold_over(std::uint64_t already_sent) {
  const std::size_t old = static_cast<std::size_t>(std::min<std::uint64_t>(already_sent, waiting_.size()));
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(old));
}

// The id is known, or is not to be had.
void Continuity::release_held() {
  if (!std::exchange(holding_, false)) return;
  ask_later_ = false;
  const ByteBuffer waited = std::exchange(waiting_, {});
  append_bytes(for_server_, guard(waited, true));
}

bool Continuity::keeps(char type) const {
  return wrapped_ && !wrapped_->through && may_leave() && !requests_.empty() && requests_.front().wrapped &&
         type != backend::kReadyForQuery && type != backend::kCopyInResponse && !is_aside(type);
}

// Returns what is to be shown: nothing, or all that was kept once it is too much.
ByteView Continuity::keep(ByteView raw) {
  append_bytes(wrapped_->reply, raw);
  if (wrapped_->reply.size() <= limits_.transaction_bytes) return {};
  wrapped_->through = showing_ = true;
  wrap_out_ = std::exchange(wrapped_->reply, {});
  count(wrap_out_);
  return wrap_out_;
}

void Continuity::wrapped_answered(OpenRequest request) {
  wrapped_->answered = true;
  wrapped_->failed = request.failed;
  wrapped_->request = std::move(request);
  wrapped_->copying = false;      // the data of one that failed is on its way, and ignored by the server
  if (!wrapped_->copies) return;  // its id is asked for already
  wrapped_->failed ? end_wrapped() : ask(for_server_, kAskForMark, true);
}

// Its id is known, if it has one.
void Continuity::end_wrapped() {
  wrapped_->ending = true;
  ask(for_server_, wrapped_->failed ? "ROLLBACK" : "COMMIT");
}

void Continuity::wrapped_ended() {
  Wrapped wrapped = std::move(*wrapped_);
  wrapped_.reset();
  if (rolled_back_ && !wrapped.failed) {
    wrapped.failed = true;
    wrapped.reply.clear();
    wire::append_error_response(wrapped.reply, kNotCommitted);
  }
  release_ = std::move(wrapped.reply);
  wire::append_ready_for_query(release_, wire::TransactionStatus::kIdle);
  wrapped.request.failed = wrapped.failed;
  requests_.push_front(std::move(wrapped.request));
  request_answered('I');
  release_held();
}

}  // namespace understudy::proxy
