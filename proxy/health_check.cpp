#include "proxy/health_check.h"

#include <utility>

#include "proxy/log.h"

namespace understudy::proxy {
namespace {

// Membership of pg_read_server_files is not enough: it widens what may be read, not who may call.
std::string remedy(const HealthSettings& settings) {
  return "in database " + settings.database +
         ": GRANT EXECUTE ON FUNCTION pg_read_file(text, bigint, bigint, boolean) TO " + settings.user +
         "; or a superuser as health_user";
}

}  // namespace

HealthCheck::HealthCheck(EventLoop& loop, const Address& backend, const HealthSettings& settings,
                         ServerTlsSource tls, Listener listener)
    : loop_(loop), name_(backend.to_string()), settings_(settings), listener_(std::move(listener)) {
  client_ = std::make_unique<DatabaseClient>(
      loop, backend, std::move(tls),
      DatabaseClient::Listener{.ready = [this] { ask(state_query(), Step::kAsking); },
                               .answered = [this](const QueryAnswer& answer) { answered(answer); },
                               .failed =
                                   [this](std::string why) {
                                     step_ = Step::kClosed;
                                     const bool there = client_->turned_away() && listener_.turned_away;
                                     (there ? listener_.turned_away : listener_.failed)(std::move(why));
                                   },
                               .disconnected =
                                   [this] {
                                     step_ = Step::kClosed;
                                     listener_.disconnected();
                                   }});
}

// It may be in the loop's hands at this moment.
HealthCheck::~HealthCheck() {
  client_->close();
  loop_.bury(std::move(client_));
}

void HealthCheck::check() {
  if (step_ == Step::kResting && (stale_ || client_->stale())) stop();
  if (step_ == Step::kResting) return ask(state_query(), Step::kAsking);
  stale_ = false;
  history_of_ = 0;
  step_ = Step::kOpening;
  client_->open({settings_.user, settings_.password, settings_.database, "understudy health check"},
                settings_.connect_timeout);
}

void HealthCheck::ask_position() { ask("SELECT pg_last_wal_replay_lsn()", Step::kAskingPosition); }

void HealthCheck::stop() {
  client_->close();
  step_ = Step::kClosed;
}

void HealthCheck::ask(std::string_view sql, Step step) {
  step_ = step;
  client_->ask(sql, settings_.query_timeout);
}

void HealthCheck::answered(const QueryAnswer& answer) {
  if (step_ == Step::kReadingHistory) return history_answered(answer);
  if (!answer.error.empty()) return fail(answer.error);
  step_ == Step::kAskingPosition ? position_answered(answer.row) : state_answered(answer.row);
}

void HealthCheck::position_answered(const QueryRow& row) {
  step_ = Step::kResting;
  // None: it is a primary by now, as the next check will find.
  const auto position = row.size() == 1 && row[0] ? parse_lsn(*row[0]) : std::nullopt;
  listener_.replayed(position.value_or(Lsn{}));
}

void HealthCheck::state_answered(const QueryRow& row) {
  auto result = parse_state(row);
  if (!result) return fail("its answer to the health query makes no sense");
  result_ = std::move(*result);
  if (result_.in_recovery || result_.timeline == 1) {
    history_of_ = 0;
    if (!result_.in_recovery) result_.history.emplace();  // the first timeline has none
  } else if (history_of_ != result_.timeline) {
    history_of_ = result_.timeline;
    return ask(history_query(result_.timeline), Step::kReadingHistory);
  }
  succeed();
}

// Without its history a primary is as good as with it, but for commits whose outcome must be found out.
void HealthCheck::history_answered(const QueryAnswer& answer) {
  constexpr std::string_view kInsufficientPrivilege = "42501";
  result_.history.emplace();
  const bool readable = answer.error.empty() && answer.row.size() == 1 && answer.row[0];
  if (readable) {
    result_.history = parse_history(*answer.row[0]);
  } else if (!told_unreadable_) {
    const bool forbidden = answer.sqlstate == kInsufficientPrivilege;
    log_event(LogLevel::kWarning, "timeline_history_unreadable",
              {{"backend", name_},
               {"timeline", std::to_string(result_.timeline)},
               {"error", answer.error.empty() ? "the server has no such file" : answer.error},
               {"remedy", forbidden ? remedy(settings_) : "none known"}});
  }
  told_unreadable_ = !readable;
  succeed();
}

void HealthCheck::fail(std::string why) {
  stop();
  listener_.failed(std::move(why));
}

void HealthCheck::succeed() {
  step_ = Step::kResting;
  listener_.succeeded(result_);
}

}  // namespace understudy::proxy
