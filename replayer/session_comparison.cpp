// The session as a whole: its login, which exchange is compared with which, its end.
#include "replayer/session_comparison.h"

#include "formats/transcript/known_replies.h"

namespace understudy::replayer {
namespace {

constexpr const char* kAnswered = "answered";

std::string setting(const std::map<std::string, std::string>& settings, const std::string& name) {
  const auto found = settings.find(name);
  return found == settings.end() ? std::string() : found->second;
}

std::string in_words(ExchangeReader::End end) {
  switch (end) {
    case ExchangeReader::End::kClient:
      return "the client had left";
    case ExchangeReader::End::kServer:
      return "the server had ended the session";
    case ExchangeReader::End::kCut:
      break;
  }
  return "not recorded";
}

std::string in_words(const Asides& asides) {
  return asides.count == 0 ? "none" : std::to_string(asides.count) + ", first: " + asides.first;
}

// What a session does not show because its recording is cut short, or because its client did not wait for an
// answer, is no difference of servers. But the client of a replay waits as long as the recorded one did: that
// it left tells something.
bool excused(const ExchangeReader& ended, bool is_replay, bool waiting) {
  return ended.end() == ExchangeReader::End::kCut ||
         (ended.end() == ExchangeReader::End::kClient && waiting && !is_replay);
}

// Severity and SQLSTATE of an error in words.
std::string kind_of(const std::string& error) { return error.substr(0, error.find(':')); }

bool is_imported(const ComparedSession& session) {
  return session.entry.summary.descriptor.attribute(kRepliesAttribute) == kOnlyErrors;
}

bool replays(const ComparedSession& session) {
  return !session.entry.summary.descriptor.attribute("origin").empty();
}

SessionIdentity identity_of(const ComparedSession& session) {
  const SessionDescriptor& descriptor = session.entry.summary.descriptor;
  return {0, {}, descriptor.user(), descriptor.database()};
}

}  // namespace

SessionComparison::SessionComparison(const ComparedSession& a, const ComparedSession& b, DiffResult& result)
    : result_(result),
      id_a_(a.entry.summary.descriptor.id),
      id_b_(b.entry.summary.descriptor.id),
      opened_at_(a.entry.summary.descriptor.opened_at),
      a_is_replay_(a.is_replay),
      b_is_replay_(b.is_replay),
      a_only_errors_(is_imported(a)),
      b_only_errors_(is_imported(b)),
      a_replays_(replays(a)),
      b_replays_(replays(b)),
      identity_a_(identity_of(a)),
      identity_b_(identity_of(b)),
      a_(a.recording, a.entry.summary, a.entry.continuing, result.catalog),
      b_(b.recording, b.entry.summary, b.entry.continuing, result.catalog),
      rows_(noise_, result.noise) {}

void SessionComparison::release() {
  a_.release();
  b_.release();
}

bool SessionComparison::step() {
  bool more_a = !end_told_ && a_.next_exchange();
  bool more_b = !end_told_ && b_.next_exchange();
  if (!begun_) begin();
  if (end_told_ || !align(more_a, more_b)) {
    finish(more_a, more_b);
    return false;
  }
  compare_exchange();
  return true;
}

// Logins are known once a first exchange is there, or none.
void SessionComparison::begin() {
  begun_ = true;
  ++result_.totals.sessions;
  const auto& login_a = a_.login();
  const auto& login_b = b_.login();
  identity_a_.process_id = login_a.process_id;
  identity_b_.process_id = login_b.process_id;
  identity_a_.server_version = setting(login_a.settings, "server_version");
  identity_b_.server_version = setting(login_b.settings, "server_version");
  noise_ = CellNoise(identity_a_, identity_b_);
  compare_logins();
}

void SessionComparison::compare_logins() {
  const auto& login_a = a_.login();
  const auto& login_b = b_.login();
  const auto outcome = [](const ExchangeReader& reader) {
    if (!reader.login().error.empty()) return reader.login().error;
    return reader.login().complete ? std::string("logged in") : in_words(reader.end()) + ", not logged in";
  };
  if (login_a.sqlstate != login_b.sqlstate || login_a.complete != login_b.complete) {
    const auto unknown = [](const ExchangeReader& reader, bool is_replay) {
      return !reader.login().complete && reader.login().error.empty() && excused(reader, is_replay, true);
    };
    if (unknown(a_, a_is_replay_) || unknown(b_, b_is_replay_)) return;
    end_told_ = true;
    if (refused_in_production_only()) return result_.noise.add(NoiseRule::kRefusedLogin);
    const auto kind = login_a.complete == login_b.complete ? DifferenceClass::kLogin
                      : login_a.complete                   ? DifferenceClass::kNewLoginFailure
                                                           : DifferenceClass::kVanishedLoginFailure;
    report_session(kind, outcome(a_), outcome(b_));
    return;
  }
  if (login_a.error != login_b.error) result_.noise.add(NoiseRule::kErrorText);
  if (login_a.process_id != 0 && login_b.process_id != 0) result_.noise.add(NoiseRule::kCancelKey);
  // Sessions open before the recording began show no login.
  if (!login_a.settings.empty() && !login_b.settings.empty()) compare_settings();
}

// A recording holds no passwords, so a replay comes with its own: that production did not take a client's
// says nothing of the other server. SQLSTATE class 28 is for who one is; too many clients, say, is not.
bool SessionComparison::refused_in_production_only() const {
  if (a_replays_ == b_replays_) return false;
  const ExchangeReader& production = a_replays_ ? b_ : a_;
  const ExchangeReader& replay = a_replays_ ? a_ : b_;
  return production.login().sqlstate.starts_with("28") && replay.login().complete;
}

void SessionComparison::compare_settings() {
  const auto& settings_a = a_.login().settings;
  const auto& settings_b = b_.login().settings;
  for (const auto& [name, value] : settings_a) {
    const auto other = settings_b.find(name);
    if (other == settings_b.end()) {
      result_.noise.add(NoiseRule::kUnreportedSetting);
    } else if (other->second == value) {
      continue;
    } else if (name == "server_version") {
      result_.noise.add(NoiseRule::kServerVersion);
    } else if (name == "session_authorization" && value == identity_a_.user &&
               other->second == identity_b_.user) {
      result_.noise.add(NoiseRule::kMappedName);
    } else if (name == "is_superuser" && identity_a_.user != identity_b_.user) {
      result_.noise.add(NoiseRule::kMappedName);
    } else {
      report_session(DifferenceClass::kLogin, name + " = " + value, name + " = " + other->second);
    }
  }
  for (const auto& [name, value] : settings_b) {
    if (!settings_a.contains(name)) result_.noise.add(NoiseRule::kUnreportedSetting);
  }
}

// Whether both readers stand at exchanges that can be compared. A replay that ended a diverged exchange added
// a Sync of its own: its answer has no counterpart. Beyond that both clients must have asked for the same, or
// nothing that follows can be compared.
bool SessionComparison::align(bool& more_a, bool& more_b) {
  const auto lone_sync = [](bool more, const ExchangeReader& reader) {
    return more && reader.request().is_lone_sync();
  };
  while (lone_sync(more_a, a_) != lone_sync(more_b, b_)) {
    ++result_.totals.exchanges_added;
    if (lone_sync(more_a, a_)) {
      more_a = a_.next_exchange();
    } else {
      more_b = b_.next_exchange();
    }
  }
  if (!more_a || !more_b) return false;
  const Request& asked_a = a_.request();
  const Request& asked_b = b_.request();
  if (asked_a.kind() == asked_b.kind() && asked_a.first_statement() == asked_b.first_statement()) return true;
  report(DifferenceClass::kRequests, result_.catalog.text(asked_a.first_statement()),
         result_.catalog.text(asked_b.first_statement()));
  end_told_ = true;
  return false;
}

// A log may not tell SQLSTATEs.
bool SessionComparison::same_farewell() const {
  const std::string a = kind_of(a_.farewell());
  const std::string b = kind_of(b_.farewell());
  if (a == b) return true;
  const auto tells = [](const std::string& kind) { return kind.find(' ') != std::string::npos; };
  const bool untold = only_errors() && !(tells(a) && tells(b));
  return untold && a.substr(0, a.find(' ')) == b.substr(0, b.find(' '));
}

void SessionComparison::compare_endings(bool more_a, bool more_b) {
  if (!same_farewell()) {
    const auto said = [](const ExchangeReader& reader, bool more) {
      if (!reader.farewell().empty()) return reader.farewell();
      return more ? std::string("went on") : in_words(reader.end());
    };
    report_session(a_.farewell().empty() ? DifferenceClass::kNewError : DifferenceClass::kVanishedError,
                   said(a_, more_a), said(b_, more_b));
  } else if (more_a != more_b) {
    const ExchangeReader& ended = more_a ? b_ : a_;
    const bool asked = ended.awaits_answer() || ended.end() == ExchangeReader::End::kServer;
    Difference made = difference(asked ? DifferenceClass::kUnanswered : DifferenceClass::kRequests,
                                 more_a ? a_ : b_, nullptr);
    made.in_a = more_a ? kAnswered : in_words(ended.end());
    made.in_b = more_b ? kAnswered : in_words(ended.end());
    add(std::move(made));
  } else if (!only_errors() && a_.notifications() != b_.notifications()) {
    report_session(DifferenceClass::kNotifications, in_words(a_.notifications()),
                   in_words(b_.notifications()));
  }
}

// One server answered an exchange, the other's session ended before.
void SessionComparison::end_unanswered(const ExchangeReader& unanswered, bool is_replay) {
  const bool unknown = excused(unanswered, is_replay, true);
  ++(unknown && !exchange_different_ ? result_.totals.exchanges_left_out : result_.totals.exchanges);
  if (unknown) return;
  end_told_ = true;
  if (failure_told_) return;  // with the error it ended the session
  const std::string why = in_words(unanswered.end());
  const bool in_a = &unanswered == &a_;
  report(DifferenceClass::kUnanswered, in_a ? why : kAnswered, in_a ? kAnswered : why);
}

// Accounts for all that is left of both sessions.
void SessionComparison::finish(bool more_a, bool more_b) {
  const bool silent_a = !more_a && excused(a_, a_is_replay_, a_.awaits_answer());
  const bool silent_b = !more_b && excused(b_, b_is_replay_, b_.awaits_answer());
  if (!end_told_ && !silent_a && !silent_b) compare_endings(more_a, more_b);
  const auto count_rest = [this](ExchangeReader& reader, bool more) {
    if (more) ++result_.totals.exchanges_left_out;
    while (reader.next_exchange()) ++result_.totals.exchanges_left_out;
  };
  count_rest(a_, more_a);
  count_rest(b_, more_b);
  const auto note_cut = [this](Side side, const ExchangeReader& reader, bool other_went_on) {
    const bool missing = other_went_on || reader.awaits_answer() || reader.has_hole();
    if (reader.end() != ExchangeReader::End::kCut || !missing) return false;
    result_.add_cut(side, reader.cut_reason());
    return true;
  };
  const bool cut_a = note_cut(Side::kA, a_, more_b);
  const bool cut_b = note_cut(Side::kB, b_, more_a);
  if (cut_a || cut_b) ++result_.totals.sessions_cut;
  if (session_different_) ++result_.totals.sessions_different;
}

Difference SessionComparison::difference(DifferenceClass kind) const {
  Difference made;
  made.difference = kind;
  made.session_a = id_a_;
  made.session_b = id_b_;
  made.time = opened_at_;
  return made;
}

Difference SessionComparison::difference(DifferenceClass kind, const ExchangeReader& at,
                                         const Reply* reply) const {
  Difference made = difference(kind);
  const Request& request = at.request();
  const Request& other = &at == &a_ ? b_.request() : a_.request();
  // A value that one of them used had already diverged. Known once both have been read to their end.
  const bool asked_otherwise =
      reply != nullptr && request.whole && other.whole && request.hash() != other.hash();
  made.downstream = transaction_diverged_ || exchange_different_ || asked_otherwise;
  made.exchange = at.number();
  made.time = request.began();
  made.statement = reply != nullptr ? reply->statement : request.first_statement();
  made.request = request.text();
  made.parameters = request.parameters(reply != nullptr ? reply->step : 0);
  return made;
}

void SessionComparison::report_session(DifferenceClass kind, std::string in_a, std::string in_b) {
  Difference made = difference(kind);
  made.in_a = std::move(in_a);
  made.in_b = std::move(in_b);
  add(std::move(made));
}

void SessionComparison::report(DifferenceClass kind, std::string in_a, std::string in_b) {
  Difference made = difference(kind, a_, reply_a_);
  made.in_a = std::move(in_a);
  made.in_b = std::move(in_b);
  add(std::move(made));
}

void SessionComparison::add(Difference made) {
  result_.add(made);
  session_different_ = true;
  exchange_different_ = true;
}

}  // namespace understudy::replayer
