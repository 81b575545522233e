#include "replayer/replay_report.h"

#include <Poco/JSON/Object.h>

#include <iomanip>
#include <ostream>

#include "formats/command.h"
#include "replayer/counted.h"

namespace understudy::replayer {
namespace {

struct Count {
  const char* key;
  const char* words;
  std::uint64_t ReplayResult::*value;
  bool shown_when_zero;
};

// In the order a reader asks: what was done, what was not, what had to be helped along.
constexpr Count kCounts[] = {
    {"sessions", "sessions", &ReplayResult::sessions, true},
    {"exchanges", "exchanges", &ReplayResult::exchanges, true},
    {"bytes_sent", "bytes sent", &ReplayResult::bytes_sent, false},
    {"events_sent", "pieces sent", &ReplayResult::events_sent, false},
    {"passwords_hidden", "pieces with x for a password, as recorded", &ReplayResult::passwords_hidden, false},
    {"cancels", "cancels", &ReplayResult::cancels, false},
    {"cancels_late", "cancels that had stopped nothing, left out", &ReplayResult::cancels_late, false},
    {"sessions_failed", "sessions that could not log in", &ReplayResult::sessions_failed, false},
    {"sessions_not_admitted", "sessions that never logged in, as recorded",
     &ReplayResult::sessions_not_admitted, false},
    {"sessions_ended_early", "sessions the target ended early", &ReplayResult::sessions_ended_early, false},
    {"sessions_cut_at_gap", "sessions cut at a hole in the recording", &ReplayResult::sessions_cut_at_gap,
     false},
    {"requests_left_out", "requests behind these holes, left out", &ReplayResult::requests_left_out, false},
    {"bytes_left_out", "bytes of clients behind them", &ReplayResult::bytes_left_out, false},
    {"sessions_begun_late", "sessions without a beginning, played from idle",
     &ReplayResult::sessions_begun_late, false},
    {"requests_before", "requests before they were idle, left out", &ReplayResult::requests_before, false},
    {"bytes_before", "bytes of clients before", &ReplayResult::bytes_before, false},
    {"sessions_unfinished", "sessions the recording left open", &ReplayResult::sessions_unfinished, false},
    {"sessions_skipped", "sessions left out (replication, or by choice)", &ReplayResult::sessions_skipped,
     false},
    {"sessions_lost", "sessions whose opening is damaged", &ReplayResult::sessions_lost, false},
    {"sessions_stuck", "sessions ended because nothing moved", &ReplayResult::sessions_stuck, false},
    {"lock_waits_ended", "statements cancelled at somebody else's lock", &ReplayResult::lock_waits_ended,
     false},
    {"rescues", "lock queues turned round (rescues)", &ReplayResult::rescues, false},
    {"unstuck", "diverged exchanges ended by the replay", &ReplayResult::unstuck, false},
    {"errors_new", "exchanges with an error that was not recorded", &ReplayResult::errors_new, false},
    {"errors_gone", "exchanges without an error that was recorded", &ReplayResult::errors_gone, false},
    {"transaction_state_differs", "exchanges left in another transaction state",
     &ReplayResult::transaction_state_differs, false},
};

// The longest of them, and two blanks.
constexpr int kWordsColumns = 50;

double per_second(std::uint64_t count, TimeNs time) {
  return time > 0 ? static_cast<double>(count) * 1e9 / static_cast<double>(time) : 0;
}

void print_lag(std::ostream& out, const char* words, const Histogram& lag) {
  out << "  " << std::left << std::setw(kWordsColumns) << words << "p50 "
      << format_duration(lag.percentile(0.5)) << ", p95 " << format_duration(lag.percentile(0.95)) << ", max "
      << format_duration(lag.max()) << "\n";
}

Poco::JSON::Object lag_json(const Histogram& lag) {
  Poco::JSON::Object object(Poco::JSON_PRESERVE_KEY_ORDER);
  object.set("p50_ns", lag.percentile(0.5));
  object.set("p95_ns", lag.percentile(0.95));
  object.set("max_ns", lag.max());
  return object;
}

}  // namespace

void print_summary(std::ostream& out, const ReplayResult& result, bool paced) {
  const bool early = result.stopped || !result.failure.empty();
  out << (early ? "Replay stopped early, after " + format_duration(result.played_span) + " of the "
          : result.nobody_logged_in() ? "Nothing was replayed of "
          : result.in_part()          ? "Replayed in part: "
                                      : "Replayed ")
      << format_duration(result.recorded_span) << " of recorded time in " << format_duration(result.wall_time)
      << ", " << std::fixed << std::setprecision(0) << per_second(result.exchanges, result.wall_time)
      << " exchanges/s\n";
  for (const Count& count : kCounts) {
    const std::uint64_t value = result.*count.value;
    if (value == 0 && !count.shown_when_zero) continue;
    out << "  " << std::left << std::setw(kWordsColumns) << count.words
        << (std::string_view(count.key).starts_with("bytes") ? format_size(value) : std::to_string(value))
        << "\n";
  }
  if (paced) {
    print_lag(out, "lag: the server was slower", result.server_slower);
    print_lag(out, "lag: the replay was late", result.replayer_late);
  }
  for (const auto& [error, count] : result.login_errors) {
    out << "  login failed " << count << " times: " << error << "\n";
  }
}

std::string failed_logins_in_words(const ReplayResult& result) {
  constexpr const char* kNames =
      "see --user-map, --database-map, PGPASSWORD and pgpass in --help, and the target's max_connections";
  constexpr const char* kUnreached = "the target (does it run, and accept connections?)";
  std::uint64_t unreached = 0;
  for (const auto& [error, count] : result.login_errors) {
    if (error.starts_with("08001 ")) unreached += count;
  }
  std::string out =
      result.nobody_logged_in() ? "no session could log in; " : "not every session could log in; ";
  if (unreached == 0) return out + kNames;
  if (unreached >= result.sessions_failed) return out + "they did not reach " + kUnreached;
  return out + std::to_string(unreached) + " did not reach " + kUnreached + "; for the others " + kNames;
}

std::string hidden_passwords_in_words(const ReplayResult& result) {
  if (result.passwords_hidden == 0) return {};
  std::string sessions;
  std::size_t named = 0;
  for (const SessionId session : result.passwords_hidden_in) {
    const bool room = named < ReplayResult::kSessionsNamed;
    sessions += (named++ == 0 ? "" : ", ") + (room ? session.to_string() : "...");
  }
  return "passwords in SQL are not in the recording: " + counted(result.passwords_hidden, "piece") +
         " (session " + sessions +
         ") went to the target with x in their place, and a role that was given one has it there. Its logins "
         "fail (28P01) until ALTER ROLE sets another; understudy show RECORDING --session ID tells which it "
         "is";
}

void print_json(std::ostream& out, const ReplayResult& result, bool paced) {
  Poco::JSON::Object object(Poco::JSON_PRESERVE_KEY_ORDER);
  for (const Count& count : kCounts) object.set(count.key, result.*count.value);
  object.set("recorded_span_ns", result.recorded_span);
  object.set("played_span_ns", result.played_span);
  object.set("wall_time_ns", result.wall_time);
  object.set("exchanges_per_second", per_second(result.exchanges, result.wall_time));
  object.set("in_part", result.in_part());
  object.set("stopped", result.stopped);
  object.set("failure", result.failure);
  if (paced) {
    object.set("server_slower", lag_json(result.server_slower));
    object.set("replayer_late", lag_json(result.replayer_late));
  }
  Poco::JSON::Object errors(Poco::JSON_PRESERVE_KEY_ORDER);
  for (const auto& [error, count] : result.login_errors) errors.set(error, count);
  object.set("login_errors", errors);
  object.stringify(out, 2);
  out << "\n";
}

}  // namespace understudy::replayer
