// The session as a whole: its login, which exchange is compared with which, its end.
#include "replayer/session_comparison.h"

namespace understudy::replayer {
namespace {

// A pipeline of nothing but its Sync.
bool is_lone_sync(const ExchangeReader& reader) {
  return reader.request().kind == Request::Kind::kPipeline && reader.request().steps.empty();
}

std::string setting(const std::map<std::string, std::string>& settings, const std::string& name) {
  const auto found = settings.find(name);
  return found == settings.end() ? std::string() : found->second;
}

}  // namespace

SessionComparison::SessionComparison(const Recording& a, const SessionDirectory::Entry& entry_a,
                                     const Recording& b, const SessionDirectory::Entry& entry_b,
                                     DiffResult& result)
    : result_(result),
      id_a_(entry_a.summary.descriptor.id),
      id_b_(entry_b.summary.descriptor.id),
      opened_at_(entry_a.summary.descriptor.opened_at),
      user_a_(entry_a.summary.descriptor.user()),
      user_b_(entry_b.summary.descriptor.user()),
      a_(a, entry_a.summary, entry_a.continuing, result.catalog),
      b_(b, entry_b.summary, entry_b.continuing, result.catalog),
      rows_(noise_, result.noise) {}

void SessionComparison::release() {
  a_.release();
  b_.release();
}

bool SessionComparison::step() {
  const bool more_a = !ended_early_ && a_.next_exchange();
  const bool more_b = !ended_early_ && b_.next_exchange();
  if (!begun_) begin();
  if (ended(more_a, more_b) || !align(more_a, more_b)) return false;
  compare_exchange();
  return true;
}

// Logins are known once a first exchange is there, or none.
void SessionComparison::begin() {
  begun_ = true;
  ++result_.totals.sessions;
  const auto& login_a = a_.login();
  const auto& login_b = b_.login();
  noise_ = CellNoise({login_a.process_id, setting(login_a.settings, "server_version")},
                     {login_b.process_id, setting(login_b.settings, "server_version")});
  compare_logins();
}

void SessionComparison::compare_logins() {
  const auto& login_a = a_.login();
  const auto& login_b = b_.login();
  if (login_a.error != login_b.error) {
    report_session(DifferenceClass::kLogin, login_a.error_text, login_b.error_text);
  } else if (login_a.error_text != login_b.error_text) {
    result_.noise.add(NoiseRule::kErrorText);
  }
  if (login_a.process_id != 0 && login_b.process_id != 0) result_.noise.add(NoiseRule::kCancelKey);
  // Sessions open before the recording began show no login.
  if (login_a.settings.empty() || login_b.settings.empty()) return;
  for (const auto& [name, value] : login_a.settings) {
    const auto other = login_b.settings.find(name);
    if (other == login_b.settings.end()) {
      result_.noise.add(NoiseRule::kUnreportedSetting);
    } else if (other->second != value) {
      compare_setting(name, value, other->second);
    }
  }
  for (const auto& [name, value] : login_b.settings) {
    if (!login_a.settings.contains(name)) result_.noise.add(NoiseRule::kUnreportedSetting);
  }
}

void SessionComparison::compare_setting(const std::string& name, const std::string& a, const std::string& b) {
  if (name == "server_version") {
    result_.noise.add(NoiseRule::kServerVersion);
  } else if (name == "session_authorization" && a == user_a_ && b == user_b_) {
    result_.noise.add(NoiseRule::kMappedUser);
  } else {
    report_session(DifferenceClass::kLogin, name + " = " + a, name + " = " + b);
  }
}

// Whether the session is over; then everything about its end is told.
bool SessionComparison::ended(bool more_a, bool more_b) {
  if (more_a && more_b) return false;
  finish(more_a, more_b);
  return true;
}

void SessionComparison::compare_endings(bool more_a, bool more_b) {
  constexpr const char* kEnded = "the session had ended";
  // Severity and SQLSTATE of a good-bye.
  const auto kind = [](const std::string& farewell) { return farewell.substr(0, farewell.find(':')); };
  if (kind(a_.farewell()) != kind(b_.farewell()))
    report_session(a_.farewell().empty() ? DifferenceClass::kNewError : DifferenceClass::kVanishedError,
                   a_.farewell(), b_.farewell());
  if (more_a || more_b) {
    Difference made = difference(DifferenceClass::kUnanswered, more_a ? a_ : b_);
    made.in_a = more_a ? "answered" : kEnded;
    made.in_b = more_b ? "answered" : kEnded;
    add(std::move(made));
  }
  const auto told = [](const Asides& asides) {
    return asides.count == 0 ? "none" : std::to_string(asides.count) + ", first: " + asides.first;
  };
  if (a_.notifications() != b_.notifications())
    report_session(DifferenceClass::kNotifications, told(a_.notifications()), told(b_.notifications()));
}

void SessionComparison::finish(bool more_a, bool more_b) {
  const std::string& hole_a = a_.messages().hole();
  const std::string& hole_b = b_.messages().hole();
  const bool cut = !hole_a.empty() || !hole_b.empty();
  if (cut) {
    ++result_.totals.sessions_cut;
    ++result_.holes[hole_a.empty() ? "B: " + hole_b : "A: " + hole_a];
  }
  if (!ended_early_ && !cut) compare_endings(more_a, more_b);
  if (more_a) ++result_.totals.exchanges_left_out;
  if (more_b) ++result_.totals.exchanges_left_out;
  while (a_.next_exchange()) ++result_.totals.exchanges_left_out;
  while (b_.next_exchange()) ++result_.totals.exchanges_left_out;
  if (session_different_) ++result_.totals.sessions_different;
}

// A replay that ended a diverged exchange added a Sync of its own: its answer has no counterpart. Beyond that
// both clients must have asked for the same, or nothing that follows can be compared.
bool SessionComparison::align(bool more_a, bool more_b) {
  while (more_a && more_b && is_lone_sync(a_) != is_lone_sync(b_)) {
    ++result_.totals.exchanges_added;
    if (is_lone_sync(a_)) {
      more_a = a_.next_exchange();
    } else {
      more_b = b_.next_exchange();
    }
  }
  if (ended(more_a, more_b)) return false;
  if (a_.request().statement() == b_.request().statement()) return true;
  report(DifferenceClass::kRequests, result_.catalog.text(a_.request().statement()),
         result_.catalog.text(b_.request().statement()));
  ended_early_ = true;
  finish(true, true);
  return false;
}

Difference SessionComparison::difference(DifferenceClass kind) const {
  Difference made;
  made.difference = kind;
  made.session_a = id_a_;
  made.session_b = id_b_;
  made.time = opened_at_;
  return made;
}

Difference SessionComparison::difference(DifferenceClass kind, const ExchangeReader& at) const {
  Difference made = difference(kind);
  const Request& request = at.request();
  made.downstream = transaction_diverged_;
  made.exchange = at.number();
  made.time = request.began;
  made.statement = request.statement();
  made.request = request.text.empty() ? result_.catalog.text(request.statement()) : request.text;
  if (!request.parameters.empty()) made.request += " [" + request.parameters + "]";
  return made;
}

void SessionComparison::report_session(DifferenceClass kind, std::string in_a, std::string in_b) {
  Difference made = difference(kind);
  made.in_a = std::move(in_a);
  made.in_b = std::move(in_b);
  add(std::move(made));
}

void SessionComparison::report(DifferenceClass kind, std::string in_a, std::string in_b) {
  Difference made = difference(kind, a_);
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
