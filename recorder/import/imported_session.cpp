#include "recorder/import/imported_session.h"

#include <algorithm>
#include <utility>

#include "formats/transcript/known_replies.h"
#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_builders.h"
#include "formats/wire/message_types.h"
#include "formats/wire/prose_secrets.h"
#include "proxy/sql_tokens.h"

namespace understudy::recorder {
namespace {

namespace backend = wire::backend;
using proxy::EffectKind;

std::size_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

// Whether a text may do what take_effects() looks for. Nearly all texts do not, and to judge one takes long.
bool may_have_effects(std::string_view sql) {
  const std::size_t begin = sql.find_first_not_of(" \t\r\n(");
  if (begin == std::string_view::npos) return false;
  const std::string_view rest = sql.substr(begin);
  if (rest.starts_with("--") || rest.starts_with("/*")) return true;
  const std::size_t semicolon = rest.find(';');
  if (semicolon != std::string_view::npos &&
      rest.find_first_not_of("; \t\r\n", semicolon) != std::string_view::npos)
    return true;
  const std::string word = proxy::to_lower(rest.substr(0, rest.find_first_of(" \t\r\n;")));
  for (const char* const one :
       {"begin", "start", "commit", "end", "rollback", "abort", "prepare", "deallocate", "discard"}) {
    if (word == one) return true;
  }
  return false;
}

}  // namespace

std::size_t copies_from_client(std::string_view sql) {
  const auto is_copy = [](char a, char b) { return (a | 0x20) == b; };
  constexpr std::string_view kCopy = "copy";
  if (std::search(sql.begin(), sql.end(), kCopy.begin(), kCopy.end(), is_copy) == sql.end()) return 0;
  const auto tokens = proxy::read_sql_tokens(sql);
  if (!tokens) return 0;
  std::size_t copies = 0;
  bool statement_begins = true;
  bool copying = false;
  bool from = false;
  for (const proxy::SqlToken& token : *tokens) {
    const std::string word =
        token.kind == proxy::SqlTokenKind::kWord ? proxy::to_lower(token.of(sql)) : std::string();
    if (copying && from && word == "stdin") ++copies;
    from = word == "from";
    copying = (copying || (statement_begins && word == "copy")) && !token.is(sql, ';');
    statement_begins = token.is(sql, ';');
  }
  return copies;
}

ImportedSession::ImportedSession(proxy::TrafficObserver& recording, const SessionDescriptor& descriptor,
                                 proxy::StatementTraitsCache& traits, bool logged_in, std::uint64_t* hidden)
    : observer_(recording.open_session(0, descriptor)),
      traits_(traits),
      hidden_(hidden),
      last_(descriptor.opened_at),
      login_due_(logged_in) {}

void ImportedSession::log_in() {
  if (!std::exchange(login_due_, false)) return;
  bytes_.clear();
  wire::append_authentication_ok(bytes_);
  ready(bytes_);
  observer_->relayed(Direction::kFromServer, last_, bytes_);
}

TimeNs ImportedSession::at_least(TimeNs at) {
  last_ = std::max(last_, at);
  return last_;
}

void ImportedSession::ready(ByteBuffer& out) const {
  wire::append_ready_for_query(out, static_cast<wire::TransactionStatus>(status_));
}

bool ImportedSession::ask(TimeNs at, const ImportedRequest& request) {
  log_in();
  answer(at, false);
  if (request.kind == ImportedRequest::Kind::kFetch && !portals_.contains(request.portal)) return false;
  bytes_.clear();
  answer_.clear();
  const std::size_t copies = copies_from_client(request.text);
  copies_ += copies;
  if (request.kind == ImportedRequest::Kind::kSimple) {
    wire::append_query(bytes_, request.text);
    for (std::size_t n = 0; n < copies; ++n) wire::append_copy_done(bytes_);
  } else {
    append_execute(request, copies);
  }
  status_after_ = status_;
  take_effects(request.text);
  pending_ = true;
  pending_hash_ = hash_of(request.text);
  if (hidden_ != nullptr) asked_.restart(request.text);
  observer_->relayed(Direction::kFromClient, at_least(at), bytes_);
  return true;
}

void ImportedSession::append_execute(const ImportedRequest& request, std::size_t copies) {
  if (request.kind == ImportedRequest::Kind::kExecute) {
    prepare(request);
    // What was bound to it before was closed, or it could not be bound again.
    if (portals_.contains(request.portal)) {
      wire::append_close(bytes_, wire::Target::kPortal, request.portal);
      wire::append_empty_message(answer_, backend::kCloseComplete);
    }
    std::vector<wire::Value> values;
    if (request.parameters != nullptr) {
      for (const logs::LogParameter& parameter : *request.parameters)
        values.push_back(parameter ? wire::Value{as_bytes(*parameter), false} : wire::Value{{}, true});
    }
    wire::append_bind(bytes_, {.portal = request.portal, .statement = request.name, .parameters = values});
    wire::append_empty_message(answer_, backend::kBindComplete);
    if (!request.portal.empty() && portals_.size() < kMaxNames) portals_.emplace(request.portal);
  }
  wire::append_execute(bytes_, request.portal);
  for (std::size_t n = 0; n < copies; ++n) wire::append_copy_done(bytes_);
  wire::append_sync(bytes_);
}

void ImportedSession::prepare(const ImportedRequest& request) {
  if (!request.name.empty()) {
    const std::string name(request.name);
    const auto known = prepared_.find(name);
    if (known != prepared_.end() && known->second == hash_of(request.text)) return;
    if (known != prepared_.end() || names_forgotten_) {
      wire::append_close(bytes_, wire::Target::kStatement, name);
      wire::append_empty_message(answer_, backend::kCloseComplete);
    }
    if (prepared_.size() >= kMaxNames) {
      prepared_.clear();
      names_forgotten_ = true;
    }
    prepared_[name] = hash_of(request.text);
  }
  wire::append_parse(bytes_, request.name, request.text);
  wire::append_empty_message(answer_, backend::kParseComplete);
}

// What the text does to the transaction, and to what is prepared.
void ImportedSession::take_effects(std::string_view text) {
  if (!may_have_effects(text)) return;
  for (const proxy::StatementEffect& effect : traits_.of(text).statements) {
    switch (effect.kind) {
      case EffectKind::kBegin:
        status_after_ = 'T';
        break;
      case EffectKind::kCommit:
      case EffectKind::kRollback:
        status_after_ = effect.chain ? 'T' : 'I';
        break;
      case EffectKind::kPrepareTransaction:
        status_after_ = 'I';
        break;
      case EffectKind::kRollbackTo:
        if (status_after_ == 'E') status_after_ = 'T';
        break;
      case EffectKind::kDeallocate:
      case EffectKind::kDeallocateAll:
      case EffectKind::kDiscardAll:
        prepared_.clear();
        names_forgotten_ = true;
        break;
      default:
        break;
    }
  }
}

void ImportedSession::end_transaction(char status) {
  status_ = status;
  if (status_ == 'I') portals_.clear();
}

void ImportedSession::answer(TimeNs at, bool timed) {
  if (!pending_) return;
  pending_ = false;
  end_transaction(status_after_);
  bytes_.clear();
  append_bytes(bytes_, answer_);
  wire::append_command_complete(bytes_, timed ? kAnsweredThen : kAnsweredByThen);
  ready(bytes_);
  observer_->relayed(Direction::kFromServer, at_least(at), bytes_);
}

// Messages and contexts quote statements, also such as are in no other line of the log, and parts of them.
void ImportedSession::append_error(TimeNs at, const ImportedError& error) {
  struct Text {
    char code;
    std::string text;
  };
  Text texts[] = {{'M', std::string(error.message)},
                  {'D', std::string(error.detail)},
                  {'H', std::string(error.hint)},
                  {'W', std::string(error.context)}};
  bool hidden = false;
  const wire::QuotedSecrets query(hidden_ == nullptr ? std::string_view() : error.query);
  std::vector<wire::ErrorField> fields = {{'S', error.severity}, {'V', error.severity}};
  if (!error.sqlstate.empty()) fields.push_back({'C', error.sqlstate});
  for (Text& one : texts) {
    if (hidden_ != nullptr) {
      hidden = asked_.hide_in(one.text) || hidden;
      hidden = query.hide_in(one.text) || hidden;
      hidden = wire::hide_secrets_in_prose(one.text) || hidden;
    }
    if (one.code == 'M' || !one.text.empty()) fields.push_back({one.code, one.text});
  }
  wire::append_error_fields(bytes_, backend::kErrorResponse, fields);
  if (!hidden) return;
  ++*hidden_;
  observer_->redacted({Direction::kFromServer, RedactionKind::kSqlPassword}, at_least(at));
}

void ImportedSession::fail(TimeNs at, const ImportedError& error) {
  pending_ = false;
  // BEGIN, and then what failed, in one text: there is a transaction too.
  end_transaction(status_ == 'I' && status_after_ != 'T' ? 'I' : 'E');
  bytes_.clear();
  append_error(at, error);
  ready(bytes_);
  observer_->relayed(Direction::kFromServer, at_least(at), bytes_);
}

void ImportedSession::cancel(TimeNs at) { observer_->cancelled(at_least(at)); }

void ImportedSession::refuse(TimeNs at, const ImportedError& error) {
  login_due_ = false;
  say(at, error);
}

void ImportedSession::say(TimeNs at, const ImportedError& error) {
  log_in();
  bytes_.clear();
  append_error(at, error);
  observer_->relayed(Direction::kFromServer, at_least(at), bytes_);
}

void ImportedSession::close(TimeNs at, const CloseDetail& why) {
  log_in();
  observer_->closed(why, at_least(at));
}

bool ImportedSession::asked_for(std::string_view text) const {
  return pending_ && pending_hash_ == hash_of(text);
}

}  // namespace understudy::recorder
