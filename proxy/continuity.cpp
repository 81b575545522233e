// Continuity on the client's side: what it asks, and what is noted of that.
#include "proxy/continuity.h"

#include <algorithm>

#include "formats/wire/frontend_builders.h"
#include "formats/wire/message_types.h"
#include "proxy/framing.h"
#include "proxy/splice.h"
#include "proxy/unread_statements.h"
#include "proxy/unseen_settings.h"

namespace understudy::proxy {
namespace {

namespace frontend = wire::frontend;

// Parse, Bind, Describe, Execute: what one statement of a pipeline takes.
constexpr std::size_t kParseToExecute = 4;

DueReply plain_due(char type) {
  DueReply reply;
  reply.type = type;
  return reply;
}

// What is not known may do anything.
StatementEffect unknown_effect() {
  StatementEffect effect;
  effect.may_write = effect.opaque = true;
  return effect;
}

}  // namespace

struct Continuity::ClientSide {
  Continuity& session;
  Splice splice;

  std::size_t begin(char type) {
    constexpr std::size_t kMost = std::size_t{1} << 20;
    bool& held = session.held_message_;
    held = session.failure_pending_ || session.skipping_to_sync_;
    switch (type) {
      case frontend::kQuery:
      case frontend::kParse:
      case frontend::kBind:
      case frontend::kExecute:
      case frontend::kClose:
        return kMost;
      default:
        return held && type != frontend::kCopyData ? kMost : 0;
    }
  }
  void part(ByteView raw) {
    if (session.held_message_) return splice.drop(raw.size());
    session.journal(raw);
    splice.pass(raw.size());
  }
  void end(char type, ByteView payload, bool whole) {
    if (std::exchange(session.held_message_, false)) {
      if (session.refused(type, payload)) return;
      const ByteBuffer message = whole_message(type, payload);
      session.journal(message);
      splice.insert(message);
    }
    session.client_message(type, payload, whole);
    if (session.inserted_.empty()) return;
    splice.insert(session.inserted_);
    session.inserted_.clear();
  }
};

ByteView Continuity::to_server(ByteView bytes) {
  if (!at_replica_ && !limits_.own_writes_only) floor_.raise();
  return pass_on(limits_.commit_guard ? from_client_.take(bytes, client_) : bytes);
}

ByteView Continuity::pass_on(ByteView bytes) {
  if (!limits_.commit_guard) return pass_client(bytes);
  if (wrapped_ && wrapped_->copying) return pass_copy(bytes);
  if (is_wrappable(bytes)) return wrap(bytes);
  return begins_copy(bytes) ? wrap_copy(bytes) : guard(bytes, false);
}

ByteView Continuity::pass_client(ByteView bytes) {
  ClientSide side{*this, Splice(bytes, to_server_out_)};
  client_.feed(bytes, side);
  return side.splice.result();
}

void Continuity::journal(ByteView raw) {
  client_position_ += raw.size();
  if (overflowed_) return;
  if (journal_.size() + raw.size() <= limits_.transaction_bytes) return append_bytes(journal_, raw);
  give_up_journal("the transaction is too long to be replayed");
}

// What was asked since the last safe point cannot be asked again.
void Continuity::give_up_journal(std::string_view why) {
  overflowed_ = true;
  why_overflowed_ = why;
  journal_ = {};
}

OpenRequest& Continuity::open_request(bool pipeline) {
  if (requests_.empty() || requests_.back().whole) {
    OpenRequest& request = requests_.add();
    request.pipeline = pipeline;
    request.due.reserve(pipeline ? kParseToExecute : 1);
  }
  return requests_.back();
}

void Continuity::client_message(char type, ByteView payload, bool whole) {
  switch (type) {
    case frontend::kQuery: {
      OpenRequest& request = open_request(false);
      add_statements(request, payload.empty() ? "" : as_text(payload.first(payload.size() - 1)), whole);
      return end_request(request);
    }
    case frontend::kFunctionCall: {
      OpenRequest& request = open_request(false);
      predict(request, unknown_effect());
      return end_request(request);
    }
    case frontend::kParse:
      return add_parse(open_request(true), payload, whole);
    case frontend::kBind:
      return add_bind(open_request(true), payload, whole);
    case frontend::kExecute:
      return add_execute(open_request(true), payload, whole);
    case frontend::kClose:
      return add_close(open_request(true), payload, whole);
    case frontend::kDescribe:
      open_request(true).due.push_back(plain_due('D'));
      return;
    case frontend::kFlush:
      (void)open_request(true);
      return;
    case frontend::kSync:
      return end_request(open_request(true));
    default:
      return;
  }
}

void Continuity::add_statements(OpenRequest& request, std::string_view sql, bool whole) {
  if (!whole) {
    request.due.push_back({'C', judge_beginning(sql)});
    request.may_copy = true;
    return predict(request, request.due.back().effect);
  }
  const StatementTraits& traits = traits_.of(sql);
  request.may_copy = request.may_copy || traits.may_copy;
  request.asks_behind = traits.wrappable;
  for (const StatementEffect& effect : traits.statements) {
    request.due.push_back({'C', effect});
    predict(request, effect);
  }
}

void Continuity::add_parse(OpenRequest& request, ByteView payload, bool whole) {
  DueReply reply = plain_due('1');
  const auto parse = wire::Parse::decode(payload);
  if (whole && parse) {
    reply.effect.kind = EffectKind::kPrepare;
    reply.effect.name = parse->statement;
    reply.effect.text = parse->sql;
    reply.message = whole_message(frontend::kParse, payload);
  } else {
    // Too long to be kept: its text is not known, its name is at its front.
    ByteReader reader(payload);
    reply.effect.kind = EffectKind::kPin;
    reply.effect.name = reader.c_string();
  }
  request.due.push_back(std::move(reply));
}

const std::string* Continuity::sql_of(std::string_view statement) const {
  for (auto request = requests_.rbegin(); request != requests_.rend(); ++request) {
    for (std::size_t at = request->due.size(); at > request->next_due; --at) {
      const DueReply& reply = request->due[at - 1];
      if (reply.type != '1' || reply.own || reply.effect.name != statement) continue;
      return reply.effect.kind == EffectKind::kPin ? nullptr : &reply.effect.text;
    }
  }
  return history_.prepared(statement);
}

void Continuity::add_bind(OpenRequest& request, ByteView payload, bool whole) {
  request.due.push_back(plain_due('2'));
  const auto bind = wire::Bind::decode(payload);
  if (!bind) {
    // Longer than is collected, or broken: the names are at its front.
    ByteReader reader(payload);
    portals_.bind(reader.c_string(), unknown_effect());
    return;
  }
  (void)whole;
  const std::string* const sql = sql_of(bind->statement);
  request.parsed_anew = request.due.front().type == '1' && request.due.front().effect.name == bind->statement;
  const StatementTraits* const traits = sql == nullptr ? nullptr : &traits_.of(*sql);
  StatementEffect effect;
  if (traits != nullptr && traits->statements.size() == 1) effect = traits->statements.front();
  const bool unknown = traits == nullptr || traits->statements.size() > 1;
  if (unknown) effect = unknown_effect();
  request.asks_behind = !unknown && traits->wrappable;
  request.may_copy = request.may_copy || traits == nullptr || traits->may_copy;
  portals_.bind(bind->portal, std::move(effect));
}

void Continuity::add_execute(OpenRequest& request, ByteView payload, bool /*whole*/) {
  const auto execute = wire::Execute::decode(payload);
  const StatementEffect* const portal = execute ? portals_.find(execute->portal) : nullptr;
  request.due.push_back({'C', portal == nullptr ? unknown_effect() : *portal});
  predict(request, request.due.back().effect);
}

void Continuity::add_close(OpenRequest& request, ByteView payload, bool /*whole*/) {
  DueReply reply = plain_due('3');
  const auto close = wire::Close::decode(payload);
  if (close && close->target == wire::Target::kStatement) {
    reply.effect.kind = EffectKind::kDeallocate;
    reply.effect.name = close->name;
  }
  request.due.push_back(std::move(reply));
}

void Continuity::begin_transaction(OpenRequest& request) {
  if (predicted_ == Predicted::kOpen) return;  // a warning, and nothing more
  // Nothing that came before it, and nothing in it, can fail.
  request.begins_surely =
      request.statements == 1 && predicted_ == Predicted::kNone &&
      (!request.pipeline || (request.parsed_anew && request.due.size() <= kParseToExecute));
  request.begins = true;
  if (predicted_ == Predicted::kNone) predicted_write_ = false;
  predicted_ = Predicted::kOpen;
  ++transaction_;
}

void Continuity::end_transaction(OpenRequest& request, bool again) {
  request.ends_transaction = true;
  request.begins = again;
  request.begins_surely = false;
  predicted_ = again ? Predicted::kOpen : Predicted::kNone;
  predicted_write_ = false;
  ++transaction_;
}

// Where the session will stand once the statement is done, if it succeeds.
void Continuity::predict(OpenRequest& request, const StatementEffect& effect) {
  ++request.statements;
  if (effect.opaque) opaque_ = true;
  released_ |= effect.releases;
  if (!limits_.trust_functions && effect.unseen != 0) {
    // (A DO is another each time.)
    const bool asks = !effect.sought.ends_with("()") || procedures_.due(effect.sought);
    unseen_ |= asks ? effect.unseen : effect.unseen & kHeldAnything;
    if (asks) seek_also(sought_, effect.sought);
  }
  if (effect.may_write) floor_.raise();
  switch (effect.kind) {
    case EffectKind::kBegin:
      return begin_transaction(request);
    case EffectKind::kCommit:
    case EffectKind::kPrepareTransaction:
      // Of a transaction that has failed a COMMIT is a ROLLBACK.
      if (predicted_write_ && !(status_ == 'E' && requests_.size() == 1 && request.statements == 1)) {
        request.doubtful = true;
        ++request.commits_in_doubt;
        request.transaction = transaction_;
      }
      return end_transaction(request, effect.chain);
    case EffectKind::kRollback:
      return end_transaction(request, effect.chain);
    default:
      break;
  }
  if (predicted_ != Predicted::kNone) predicted_write_ = predicted_write_ || effect.may_write;
  // (A volatile function that writes nothing, random(), may be called again: the client has not seen what it
  // said, or the replay finds that it says something else.)
  if (predicted_ == Predicted::kOpen || !effect.may_write) return;
  request.doubtful = request.writes_outside = true;
  request.transaction = transaction_;
}

void Continuity::end_request(OpenRequest& request) {
  request.whole = true;
  request.ends_at = client_position_;
  // Whether it begins is only known when it is answered.
  if (request.begins && !request.begins_surely && predicted_ == Predicted::kOpen) {
    predicted_ = Predicted::kPerhaps;
  }
  const bool copies =
      std::any_of(requests_.begin(), requests_.end(), [](const OpenRequest& one) { return one.may_copy; });
  const bool wanted = limits_.commit_guard && predicted_ != Predicted::kNone && predicted_write_ &&
                      request.asks_behind && !mark_is_known() && !mark_is_asked() && !confused_ &&
                      status_ != 'E' && !copies;
  if (wanted) ask(inserted_, kAskForMark, true);
  if ((released_ | unseen_) != 0 && predicted_ == Predicted::kNone && !confused_ && !copies)
    ask_what_is_held();
}

bool Continuity::mark_is_asked() const {
  return std::any_of(requests_.begin(), requests_.end(), [this](const OpenRequest& request) {
    return request.asks_mark && request.transaction == transaction_;
  });
}

void Continuity::ask(ByteBuffer& out, std::string_view sql, bool mark) {
  wire::append_close(out, wire::Target::kStatement, kOwnName);
  wire::append_parse(out, kOwnName, sql);
  wire::append_bind(out, {.portal = kOwnName, .statement = kOwnName});
  wire::append_execute(out, kOwnName);
  wire::append_close(out, wire::Target::kPortal, kOwnName);
  wire::append_close(out, wire::Target::kStatement, kOwnName);
  wire::append_sync(out);
  OpenRequest& own = requests_.add();
  own.own = own.whole = true;
  own.asks_mark = mark;
  own.transaction = transaction_;
}

}  // namespace understudy::proxy
