#include "recorder/import/import_sessions.h"

#include <algorithm>

#include "formats/transcript/known_replies.h"
#include "proxy/sql_tokens.h"

namespace understudy::recorder {
namespace {

using logs::LogMessage;
using logs::LogRecord;
using Kind = LogMessage::Kind;

constexpr const char* kNoParameters =
    "failed before its execution was logged: its parameters are not in the log";
constexpr const char* kNotLogged = "its parameters are not in the log (log_parameter_max_length = 0?)";
constexpr const char* kMayBeCut =
    "a parameter that ends in ..., as those that log_parameter_max_length cuts short do";
constexpr const char* kUserRequest = "canceling statement due to user request";
constexpr std::string_view kCancelledState = "57014";  // query_canceled
constexpr std::size_t kMaxBoundBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxPrepared = 10'000;

// "127.0.0.1:49152", "[::1]:49152", "unix:", as descriptors have it.
std::string peer_of(std::string_view client) {
  if (client.empty()) return {};
  if (client.starts_with("[local]")) return "unix:";
  // An IPv6 address whose port is not told.
  if (client.starts_with('[')) return std::string(client);
  std::string host(client);
  std::string port;
  const std::size_t bracket = host.find('(');
  const std::size_t colon = host.rfind(':');
  if (bracket != std::string::npos && host.back() == ')') {  // %r
    port = host.substr(bracket + 1, host.size() - bracket - 2);
    host.resize(bracket);
  } else if (colon != std::string::npos &&
             host.find_first_not_of("0123456789", colon + 1) == std::string::npos &&
             colon + 1 < host.size() &&
             (host.find(':') == colon || host.find('.') != std::string::npos ||
              std::count(host.begin(), host.end(), ':') > 2)) {
    port = host.substr(colon + 1);
    host.resize(colon);
  }
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return port.empty() ? host : host + ":" + port;
}

bool is_error(const LogRecord& record) {
  return record.severity == "ERROR" || record.severity == "FATAL" || record.severity == "PANIC";
}

// The server refused the session, rather than ending one.
bool refuses_login(const LogRecord& record) {
  if (record.severity != "FATAL") return false;
  const std::string_view state = record.sqlstate;
  if (!state.empty()) {
    return state.starts_with("28") || state == "3D000" || state == "53300" || state == "57P03" ||
           state == "42501" || state == "42704";
  }
  constexpr std::string_view kTexts[] = {
      "authentication failed", "no pg_hba.conf entry",    "does not exist",       "too many connections",
      "sorry, too many",       "not permitted to log in", "remaining connection", "is starting up",
      "is shutting down",      "permission denied for"};
  return std::any_of(std::begin(kTexts), std::end(kTexts), [&record](std::string_view text) {
    return record.message.find(text) != std::string::npos;
  });
}

// What is known to mean one SQLSTATE, where the log does not tell it.
std::string_view state_of(const LogRecord& record) {
  if (!record.sqlstate.empty()) return record.sqlstate;
  if (record.message == kUserRequest || record.message == "canceling statement due to statement timeout")
    return kCancelledState;
  return {};
}

ImportedError error_of(const LogRecord& record) {
  return {record.severity, state_of(record), record.message, record.detail,
          record.hint,     record.context,   record.query};
}

// Whether a text asks for parameters. To tell it takes long; nearly all texts without do without a dollar.
bool has_parameters(std::string_view sql) {
  if (sql.find('$') == std::string_view::npos) return false;
  const auto tokens = proxy::read_sql_tokens(sql);
  if (!tokens) return sql.find("$1") != std::string_view::npos && sql.find("$1") != sql.find("$1$");
  return std::any_of(tokens->begin(), tokens->end(), [](const proxy::SqlToken& token) {
    return token.kind == proxy::SqlTokenKind::kParameter;
  });
}

TimeNs began(const LogRecord& record, const LogMessage& message) {
  return record.time - message.duration.value_or(0);
}

}  // namespace

void Places::add(const std::string& file, std::uint64_t line) {
  if (count++ < kShown) first.push_back(file + ":" + std::to_string(line));
}

// ---- Which sessions there are

ImportSessions::Entry& ImportSessions::entry(const std::string& key) {
  const auto [at, fresh] = entries_.try_emplace(key);
  if (fresh) {
    at->second.in_order = order_.insert(order_.end(), key);
    make_room();
  } else {
    order_.splice(order_.end(), order_, at->second.in_order);
  }
  return at->second;
}

void ImportSessions::forget(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  order_.erase(found->second.in_order);
  entries_.erase(found);
}

void ImportSessions::end_unheard(Entry& entry, const char* why) {
  if (!entry.session) return;
  // Whether what it asked last was answered is not in the log.
  entry.session->close(counts_.last_time, {CloseReason::kRecordingEnded, why});
  entry.session.reset();
  entry.bound = {};
  ++counts_.without_end;
}

void ImportSessions::make_room() {
  if (entries_.size() <= max_open_) return;
  Entry& idle = entries_.at(order_.front());
  if (idle.session) ++counts_.given_up;
  end_unheard(idle, "nothing was heard of it for long");
  forget(std::string(order_.front()));
}

void ImportSessions::finish() {
  for (const std::string& key : order_) {
    const Entry& entry = entries_.at(key);
    if (!entry.session) continue;
    entry.session->finish();
    ++counts_.without_end;  // the recording's end closes it
  }
  if (cut_.count > 0 && longest_whole_ <= longest_cut_ + 3) counts_.doubtful[kMayBeCut] = cut_;
}

void ImportSessions::open_session(Entry& entry, SessionDescriptor descriptor, bool logged_in) {
  descriptor.id.number = next_number_++;
  descriptor.attributes.emplace_back(kRepliesAttribute, kOnlyErrors);
  if (descriptor.peer.empty()) descriptor.peer = "unknown";
  descriptor.backend = "unknown";
  entry.session = std::make_unique<ImportedSession>(recording_, descriptor, traits_, logged_in,
                                                    redact_ ? &counts_.passwords_in_errors : nullptr);
  ++counts_.sessions;
}

void ImportSessions::open(Entry& entry, const LogRecord& record, TimeNs at, const LogMessage* authorized,
                          bool logged_in) {
  SessionDescriptor descriptor;
  descriptor.opened_at = std::max(at, record.session_start);
  const auto add = [&](const char* name, const std::string& known, const char* word) {
    std::string value = known == "[unknown]" ? std::string() : known;
    if (value.empty() && authorized != nullptr) value = logs::connection_word(authorized->text, word);
    if (!value.empty()) descriptor.startup_parameters.emplace_back(name, value);
  };
  add("user", record.user, "user=");
  add("database", record.database, "database=");
  add("application_name", record.application, "application_name=");
  descriptor.peer = peer_of(record.client.empty() ? entry.client : record.client);
  if (authorized == nullptr && logged_in) ++counts_.begun_before;
  open_session(entry, std::move(descriptor), logged_in);
}

// ---- What a record says

void ImportSessions::note_time(TimeNs time) {
  if (counts_.first_time == 0) counts_.first_time = time;
  counts_.last_time = std::max(counts_.last_time, time);
}

void ImportSessions::unreadable(std::uint64_t line, std::string_view why) {
  auto found = counts_.unreadable.find(why);
  if (found == counts_.unreadable.end()) found = counts_.unreadable.emplace(std::string(why), Places{}).first;
  found->second.add(file_, line);
}

void ImportSessions::record(const LogRecord& record) {
  ++counts_.records;
  note_time(record.time);
  if (!record.zone_known)
    counts_.zones["a time zone that is not known: taken as UTC"].add(file_, record.line);
  const bool of_client = record.backend_type.empty() || record.backend_type == "client backend" ||
                         record.backend_type == "not initialized" || record.backend_type == "walsender";
  const bool log = record.severity == "LOG";
  const std::string& key = record.session.empty() ? record.process : record.session;
  if (!of_client || key.empty() || (!log && !is_error(record))) {
    ++counts_.other_records;
    return;
  }
  const LogMessage message = log ? logs::read_log_message(record.message) : LogMessage{};
  if (log && message.kind == Kind::kOther) {
    ++counts_.other_records;
    return;
  }
  // Only what says something of a session makes one.
  const bool known = entries_.contains(key);
  if (!known && (message.kind == Kind::kDuration || message.kind == Kind::kDisconnection ||
                 (!log && record.statement.empty() && !refuses_login(record)))) {
    ++counts_.other_records;
    return;
  }
  Entry& of = entry(key);
  if (!log) {
    error(of, record);
    if (!of.session) forget(std::string(key));
    return;
  }
  switch (message.kind) {
    case Kind::kConnection:
    case Kind::kAuthorized:
    case Kind::kReplication:
      return connection(of, record, message);
    case Kind::kDisconnection:
      if (of.session) {
        of.session->answer(record.time, false);
        of.session->close(record.time, {CloseReason::kClientLeft, {}});
      }
      return forget(std::string(key));
    case Kind::kDuration:
      if (of.session && of.session->awaits_answer()) {
        ++counts_.timed;
        of.session->answer(record.time, true);
      }
      return;
    case Kind::kParse:
    case Kind::kBind:
      return bound(of, record, message);
    default:
      return request(of, record, message);
  }
}

void ImportSessions::connection(Entry& entry, const LogRecord& record, const LogMessage& message) {
  // The process id of a session that ended unseen.
  if (record.session.empty() && entry.session && message.kind != Kind::kReplication)
    end_unheard(entry, "another session has its process id");
  if (message.kind == Kind::kConnection) {
    const std::string_view host = logs::connection_word(message.text, "host=");
    const std::string_view port = logs::connection_word(message.text, "port=");
    entry.client = std::string(host) + (port.empty() ? "" : ":") + std::string(port);
    return;
  }
  if (message.kind == Kind::kReplication) {
    if (!entry.replication) ++counts_.replication;
    entry.replication = true;
    return;
  }
  if (!entry.session) open(entry, record, record.time, &message);
}

void ImportSessions::note_copies(const ImportedSession& session, std::uint64_t before) {
  counts_.copies += session.copies() - before;
}

void ImportSessions::ask(Entry& entry, TimeNs at, const ImportedRequest& request, std::uint64_t line) {
  const std::uint64_t copies = entry.session->copies();
  if (!entry.session->ask(at, request)) {
    counts_.left_out["fetch from a portal that is not open, as far as the log tells"].add(file_, line);
    return;
  }
  note_copies(*entry.session, copies);
  ++(request.kind == ImportedRequest::Kind::kSimple    ? counts_.simple
     : request.kind == ImportedRequest::Kind::kExecute ? counts_.executed
                                                       : counts_.fetches);
}

void ImportSessions::request(Entry& entry, const LogRecord& record, const LogMessage& message) {
  if (entry.replication) {
    ++counts_.other_records;
    return;
  }
  if (message.kind == Kind::kFunctionCall) {
    counts_.left_out["function call of the fast path"].add(file_, record.line);
    return;
  }
  if (!entry.session) open(entry, record, began(record, message), nullptr);
  std::optional<std::vector<logs::LogParameter>> parameters;
  if (message.kind == Kind::kExecute) {
    parameters = logs::read_parameters(record.detail);
    const bool promised = record.detail.find("arameters: ") == 1;
    if (!parameters && promised) {
      counts_.left_out["its parameters cannot be read"].add(file_, record.line);
      return;
    }
    if (!parameters && has_parameters(message.text)) return leave_out(entry, record, message);
    if (parameters) note_cut(*parameters, record.line);
  }
  const auto kind = message.kind == Kind::kStatement ? ImportedRequest::Kind::kSimple
                    : message.kind == Kind::kExecute ? ImportedRequest::Kind::kExecute
                                                     : ImportedRequest::Kind::kFetch;
  ask(entry, began(record, message),
      {.kind = kind,
       .name = message.name,
       .portal = message.portal,
       .text = message.text,
       .parameters = parameters ? &*parameters : nullptr},
      record.line);
  entry.extended = kind != ImportedRequest::Kind::kSimple && !message.duration;
  if (message.duration && entry.session->awaits_answer()) {
    ++counts_.timed;
    entry.session->answer(record.time, true);
  }
  entry.bound = {};
}

// To execute it without values would be to invent some.
void ImportSessions::leave_out(Entry& entry, const LogRecord& record, const LogMessage& message) {
  entry.session->answer(began(record, message), false);
  entry.extended = !message.duration;
  entry.bound = {};
  counts_.left_out[kNotLogged].add(file_, record.line);
}

// All that were cut have the length that the server was told, and no whole one is longer: which it was, a log
// does not say, so what ends like that and is as long as any is counted.
void ImportSessions::note_cut(const std::vector<logs::LogParameter>& parameters, std::uint64_t line) {
  constexpr std::string_view kEllipsis = "...";
  constexpr std::size_t kCharacter = 3;  // a character in several bytes is not cut through
  for (const logs::LogParameter& parameter : parameters) {
    if (!parameter) continue;
    if (!parameter->ends_with(kEllipsis) || parameter->size() == kEllipsis.size()) {
      longest_whole_ = std::max(longest_whole_, parameter->size());
      continue;
    }
    const std::size_t length = parameter->size() - kEllipsis.size();
    if (length + kCharacter < longest_cut_) continue;
    if (length > longest_cut_ + kCharacter) cut_ = {};
    longest_cut_ = std::max(longest_cut_, length);
    cut_.add(file_, line);
  }
}

// What is parsed and bound is executed next, or fails: then its parameters are told here and nowhere else.
void ImportSessions::bound(Entry& entry, const LogRecord& record, const LogMessage& message) {
  if (!entry.session) open(entry, record, began(record, message), nullptr);
  entry.session->answer(began(record, message), false);
  entry.bound = {};
  if (message.text.size() + record.detail.size() > kMaxBoundBytes) return;
  entry.bound = {std::string(message.name), std::string(message.portal), std::string(message.text),
                 logs::read_parameters(record.detail).value_or(std::vector<logs::LogParameter>())};
}

// ---- Errors

void ImportSessions::refused(Entry& entry, const LogRecord& record) {
  if (!entry.session && record.user.empty()) {
    ++counts_.other_records;
    return;
  }
  if (!entry.session) open(entry, record, record.time, nullptr, false);
  ++counts_.refused_logins;
  ++counts_.errors;
  entry.session->refuse(record.time, error_of(record));
  entry.session->close(record.time, {CloseReason::kServerLeft, {}});
  entry.session.reset();
}

void ImportSessions::error(Entry& entry, const LogRecord& record) {
  const bool logs_in = !entry.session || (entry.session->may_be_refused() && record.statement.empty());
  if (logs_in && refuses_login(record)) return refused(entry, record);
  if (!entry.session) open(entry, record, record.time, nullptr);
  ImportedSession& session = *entry.session;
  const bool fatal = record.severity != "ERROR";
  const bool asked = record.statement.empty()
                         ? session.awaits_answer()
                         : session.asked_for(record.statement) || ask_failed(entry, record);
  if (asked || fatal) ++counts_.errors;
  if (asked && !fatal) {
    if (state_of(record) == kCancelledState) {
      ++counts_.cancels;
      if (record.message == kUserRequest) session.cancel(record.time);
    }
    session.fail(record.time, error_of(record));
  } else if (fatal) {
    session.say(record.time, error_of(record));
    session.close(record.time, {CloseReason::kServerLeft, {}});
    entry.session.reset();
  } else {
    ++counts_.other_records;
  }
  entry.bound = {};
}

// What failed before it was logged as asked: it was not understood, or log_min_duration_statement alone logs.
bool ImportSessions::ask_failed(Entry& entry, const LogRecord& record) {
  ImportedRequest request{.text = record.statement};
  std::optional<std::vector<logs::LogParameter>> parameters;
  const bool bound = entry.bound.text == record.statement;
  if (bound && (!entry.bound.parameters.empty() || !has_parameters(record.statement))) {
    request.kind = ImportedRequest::Kind::kExecute;
    request.name = entry.bound.name;
    request.portal = entry.bound.portal;
    parameters = entry.bound.parameters;
  } else if ((parameters = logs::read_parameters(record.context))) {
    request.kind = ImportedRequest::Kind::kExecute;
  } else if (has_parameters(record.statement)) {
    entry.session->answer(record.time, false);
    counts_.left_out[kNoParameters].add(file_, record.line);
    return false;
  }
  // In which protocol it was asked the log does not tell: in that of the statement before, unless it is
  // several.
  const std::size_t semicolon = record.statement.find(';');
  if (entry.extended && (semicolon == std::string::npos ||
                         record.statement.find_first_not_of("; \t\r\n", semicolon) == std::string::npos))
    request.kind = ImportedRequest::Kind::kExecute;
  request.parameters = parameters ? &*parameters : nullptr;
  ask(entry, record.time, request, record.line);
  return true;
}

// ---- Files of pgreplay

void ImportSessions::item(const logs::PgreplayItem& item) {
  using ItemKind = logs::PgreplayItem::Kind;
  ++counts_.records;
  note_time(item.time);
  const std::string key = std::to_string(item.session);
  Entry& of = entry(key);
  if (!of.session && item.kind != ItemKind::kDisconnect) {
    SessionDescriptor descriptor;
    descriptor.opened_at = item.time;
    if (item.kind == ItemKind::kConnect) {
      descriptor.startup_parameters = {{"user", item.text}, {"database", item.name}};
    } else {
      ++counts_.begun_before;
    }
    open_session(of, std::move(descriptor), true);
  }
  switch (item.kind) {
    case ItemKind::kConnect:
      break;
    case ItemKind::kDisconnect:
      if (of.session) {
        of.session->answer(item.time, false);
        of.session->close(item.time, {CloseReason::kClientLeft, {}});
      }
      forget(key);
      break;
    case ItemKind::kSimple:
      ask(of, item.time, {.text = item.text}, item.offset);
      break;
    case ItemKind::kPrepare:
      if (of.prepared.size() < kMaxPrepared || of.prepared.contains(item.name))
        of.prepared[item.name] = item.text;
      break;
    case ItemKind::kExecute:
      execute(of, item);
      break;
    case ItemKind::kCancel:
      if (!of.session->awaits_answer()) break;
      ++counts_.cancels;
      ++counts_.errors;
      of.session->cancel(item.time);
      of.session->fail(item.time,
                       {.severity = "ERROR", .sqlstate = kCancelledState, .message = kUserRequest});
      break;
  }
}

void ImportSessions::execute(Entry& entry, const logs::PgreplayItem& item) {
  const auto prepared = entry.prepared.find(item.name);
  if (prepared == entry.prepared.end()) {
    counts_.left_out["what it executes was never prepared"].add(file_, item.offset);
    return;
  }
  // What pgreplay does not know is part of the name to it: "fetch from S_1/C_2".
  const std::string logged = "execute " + item.name + ": ";
  const LogMessage message = logs::read_log_message(logged);
  if (message.kind != Kind::kFetch && item.parameters.empty() && has_parameters(prepared->second)) {
    entry.session->answer(item.time, false);
    counts_.left_out[kNotLogged].add(file_, item.offset);
    return;
  }
  note_cut(item.parameters, item.offset);
  ask(entry, item.time,
      {.kind = message.kind == Kind::kFetch ? ImportedRequest::Kind::kFetch : ImportedRequest::Kind::kExecute,
       .name = message.name,
       .portal = message.portal,
       .text = prepared->second,
       .parameters = &item.parameters},
      item.offset);
}

}  // namespace understudy::recorder
