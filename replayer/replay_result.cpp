#include "replayer/replay_result.h"

#include <algorithm>
#include <iterator>

namespace understudy::replayer {
namespace {

constexpr std::size_t kSessionsKept = ReplayResult::kSessionsNamed + 1;

}  // namespace

void ReplayResult::note_password_hidden(SessionId session) {
  ++passwords_hidden;
  passwords_hidden_in.insert(session);
  if (passwords_hidden_in.size() > kSessionsKept)
    passwords_hidden_in.erase(std::prev(passwords_hidden_in.end()));
}

void ReplayResult::add(const ReplayResult& other) {
  for (auto counter : {&ReplayResult::sessions,
                       &ReplayResult::sessions_failed,
                       &ReplayResult::sessions_not_admitted,
                       &ReplayResult::sessions_ended_early,
                       &ReplayResult::sessions_cut_at_gap,
                       &ReplayResult::requests_left_out,
                       &ReplayResult::bytes_left_out,
                       &ReplayResult::sessions_begun_late,
                       &ReplayResult::requests_before,
                       &ReplayResult::bytes_before,
                       &ReplayResult::sessions_unfinished,
                       &ReplayResult::sessions_skipped,
                       &ReplayResult::sessions_lost,
                       &ReplayResult::sessions_stuck,
                       &ReplayResult::lock_waits_ended,
                       &ReplayResult::exchanges,
                       &ReplayResult::events_sent,
                       &ReplayResult::bytes_sent,
                       &ReplayResult::passwords_hidden,
                       &ReplayResult::cancels,
                       &ReplayResult::cancels_late,
                       &ReplayResult::rescues,
                       &ReplayResult::unstuck,
                       &ReplayResult::errors_new,
                       &ReplayResult::errors_gone,
                       &ReplayResult::transaction_state_differs}) {
    this->*counter += other.*counter;
  }
  for (const auto& [error, times] : other.login_errors) login_errors[error] += times;
  passwords_hidden_in.insert(other.passwords_hidden_in.begin(), other.passwords_hidden_in.end());
  while (passwords_hidden_in.size() > kSessionsKept)
    passwords_hidden_in.erase(std::prev(passwords_hidden_in.end()));
  cut_at_gap.insert_all(other.cut_at_gap);
  continuing.insert_all(other.continuing);
  users_mapped.insert(other.users_mapped.begin(), other.users_mapped.end());
  databases_mapped.insert(other.databases_mapped.begin(), other.databases_mapped.end());
  recorded_span = std::max(recorded_span, other.recorded_span);
  played_span = std::max(played_span, other.played_span);
  wall_time = std::max(wall_time, other.wall_time);
  server_slower.add(other.server_slower);
  replayer_late.add(other.replayer_late);
  stopped = stopped || other.stopped;
  if (failure.empty()) failure = other.failure;
}

}  // namespace understudy::replayer
