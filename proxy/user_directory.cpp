#include "proxy/user_directory.h"

#include <algorithm>
#include <utility>

#include "proxy/clock.h"
#include "proxy/log.h"

namespace understudy::proxy {
namespace {

constexpr std::size_t kMostRemembered = 10'000;
constexpr std::size_t kMostRecent = 16;
constexpr TimeNs kRetryInterval = 50'000'000;
constexpr TimeNs kQueryPatience = 5'000'000'000;
constexpr TimeNs kUnmeasured = 1'000'000;

// The server is not ready, or full, for a moment; anything else it would say again.
bool may_pass(std::string_view sqlstate) {
  return sqlstate.empty() || sqlstate.starts_with("57P0") || sqlstate == "53300";
}

}  // namespace

UserDirectory::UserDirectory(Sources sources) : sources_(std::move(sources)) {}

UserDirectory::~UserDirectory() {
  stop();
  if (client_) client_->close();
}

void UserDirectory::start() {
  thread_ = std::thread([this] { loop_.run(); });
}

void UserDirectory::stop() {
  loop_.stop();
  if (thread_.joinable()) thread_.join();
}

void UserDirectory::look_up(std::shared_ptr<const AccessPolicy> policy, const std::string& user,
                            TimeNs patience, Told told) {
  loop_.post([this, policy = std::move(policy), user, patience, told = std::move(told)] {
    begin(policy, user, patience, told);
  });
}

void UserDirectory::forget(const std::string& user) {
  loop_.post([this, user] { remembered_.erase(user); });
}

void UserDirectory::topology_changed() {
  loop_.post([this] { go_on(); });
}

void UserDirectory::begin(const std::shared_ptr<const AccessPolicy>& policy, const std::string& user,
                          TimeNs patience, Told told) {
  use(policy->query.value());
  const TimeNs now = now_ns();
  const auto known = remembered_.find(user);
  if (known != remembered_.end() && now - known->second.at < query_.time_to_live) {
    count(sources_.statistics.auth_queries_saved);
    // As if it had been asked for: who is quick to hear has not learnt that others were here before.
    const TimeNs wait = recent_.empty() ? kUnmeasured : recent_[next_recent_++ % recent_.size()];
    const UserLookup found{UserLookup::Outcome::kAnswered, known->second.secret, {}};
    loop_.call_at(now + wait, [found, told = std::move(told)] { told(found); });
    return;
  }
  const auto same = std::ranges::find(waiting_, user, &Waiting::user);
  if (same != waiting_.end()) {
    same->told.push_back(std::move(told));
    return;
  }
  waiting_.push_back({user, now, now + patience, {std::move(told)}});
  go_on();
}

// A reload may have changed it.
void UserDirectory::use(const AuthQuery& query) {
  if (query == query_) return;
  query_ = query;
  remembered_.clear();
  oldest_.clear();
  told_wrong_ = false;
  drop();
}

void UserDirectory::go_on() {
  tell_late(now_ns());
  if (waiting_.empty()) return;
  const TopologySnapshot topology = sources_.topology.get();
  if (!topology->primary) {
    drop();
    return retry_at(now_ns() + kRetryInterval);
  }
  const BackendState& primary = topology->backends[*topology->primary];
  if (client_ && (backend_ != primary.address || client_->stale())) drop();
  if (!client_) return connect(primary);
  if (client_->resting()) ask();
}

void UserDirectory::connect(const BackendState& primary) {
  backend_ = primary.address;
  client_ = std::make_unique<DatabaseClient>(
      loop_, primary.address, sources_.tls,
      DatabaseClient::Listener{.ready = [this] { go_on(); },
                               .answered = [this](const QueryAnswer& answer) { answered(answer); },
                               .failed = [this](const std::string& why) { failed(why); },
                               .disconnected = [this] { drop(); }});
  client_->set_addresses(primary.addresses, "its name has no address");
  asked_before_ = false;
  client_->open({query_.user, query_.password, query_.database, "understudy auth_query"}, kQueryPatience);
}

void UserDirectory::drop() {
  asking_ = false;
  if (!client_) return;
  client_->close();
  loop_.bury(std::move(client_));
}

void UserDirectory::ask() {
  asking_ = true;
  waiting_.front().since = now_ns();
  count(sources_.statistics.auth_queries);
  const std::string parameters[] = {waiting_.front().user};
  client_->ask(query_.sql, kQueryPatience, parameters);
}

void UserDirectory::answered(const QueryAnswer& answer) {
  asking_ = false;
  if (!answer.error.empty()) {
    if (may_pass(answer.sqlstate)) return failed(answer.error);
    // What is no text in the database's encoding is nobody's name.
    constexpr std::string_view kDataException = "22";
    const bool nobody = answer.sqlstate.starts_with(kDataException);
    tell_front(nobody ? UserLookup{} : UserLookup{UserLookup::Outcome::kFailed, nullptr, answer.error});
    return go_on();
  }
  AuthQueryResult result = read_auth_answer(waiting_.front().user, answer);
  if (!result.wrong.empty()) {
    tell_front({UserLookup::Outcome::kFailed, nullptr, std::move(result.wrong)});
    return go_on();
  }
  told_wrong_ = false;
  asked_before_ = true;
  const TimeNs took = now_ns() - waiting_.front().since;
  if (recent_.size() < kMostRecent) {
    recent_.push_back(took);
  } else {
    recent_[next_recent_++ % kMostRecent] = took;
  }
  if (result.secret && query_.time_to_live > 0) remember(waiting_.front().user, result.secret);
  tell_front({UserLookup::Outcome::kAnswered, std::move(result.secret), {}});
  go_on();
}

// A connection that rested for long may have been dead: then it was nobody's fault. Among several servers
// another may become primary; a single one is not waited for, as it is not by sessions.
void UserDirectory::failed(const std::string& why) {
  const bool permanent = client_ && !may_pass(client_->refusal());
  const bool again = std::exchange(asked_before_, false);
  drop();
  if (!permanent && again) return go_on();
  if (sources_.suspect && !permanent) {
    const TopologySnapshot topology = sources_.topology.get();
    if (topology->primary) sources_.suspect(*topology->primary);
    return retry_at(now_ns() + kRetryInterval);
  }
  while (!waiting_.empty()) tell_front({UserLookup::Outcome::kFailed, nullptr, why});
}

void UserDirectory::tell_front(const UserLookup& lookup) {
  if (lookup.outcome == UserLookup::Outcome::kFailed) {
    count(sources_.statistics.auth_queries_failed);
    if (!std::exchange(told_wrong_, true)) {
      log_event(LogLevel::kError, "auth_query_failed",
                {{"backend", backend_.to_string()}, {"auth_user", query_.user}, {"error", lookup.error}});
    }
  }
  const Waiting waiting = std::move(waiting_.front());
  waiting_.pop_front();
  for (const Told& told : waiting.told) told(lookup);
}

void UserDirectory::tell_late(TimeNs now) {
  const auto late = [&] { return !waiting_.empty() && !asking_ && now >= waiting_.front().deadline; };
  while (late()) tell_front({UserLookup::Outcome::kNoPrimary, nullptr, "no primary to ask"});
}

void UserDirectory::remember(const std::string& user, const std::shared_ptr<const UserSecret>& secret) {
  const TimeNs now = now_ns();
  remembered_.insert_or_assign(user, Remembered{secret, now});
  oldest_.emplace_back(now, user);
  while (oldest_.size() > kMostRemembered || now - oldest_.front().first >= query_.time_to_live) {
    const auto found = remembered_.find(oldest_.front().second);
    if (found != remembered_.end() && found->second.at == oldest_.front().first) remembered_.erase(found);
    oldest_.pop_front();
  }
}

void UserDirectory::retry_at(TimeNs when) {
  loop_.cancel(timer_);
  timer_ = loop_.call_at(when, [this] { go_on(); });
}

}  // namespace understudy::proxy
