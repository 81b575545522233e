#include "proxy/session_state.h"

#include <array>

namespace understudy::proxy {
namespace {

using S = SessionState;
using E = SessionEvent;

struct Transition {
  S from;
  E event;
  S to;
};

constexpr Transition kTransitions[] = {
    {S::kStartup, E::kStartupReceived, S::kAuthenticating},
    {S::kAuthenticating, E::kReady, S::kReady},

    {S::kReady, E::kRequestSent, S::kQuery},
    {S::kQuery, E::kRequestSent, S::kQuery},
    {S::kQuery, E::kReadyMoreDue, S::kQuery},
    {S::kQuery, E::kReady, S::kReady},

    {S::kQuery, E::kCopyStarted, S::kCopy},
    {S::kCopy, E::kRequestSent, S::kCopy},  // pipelined behind the copy
    {S::kCopy, E::kCopyEnded, S::kQuery},
    {S::kCopy, E::kPipelineError, S::kExtendedError},
    {S::kCopy, E::kReadyMoreDue, S::kQuery},
    {S::kCopy, E::kReady, S::kReady},
    {S::kQuery, E::kCopyEnded, S::kQuery},  // CommandComplete and errors outside of a copy change nothing

    {S::kQuery, E::kPipelineError, S::kExtendedError},
    {S::kExtendedError, E::kRequestSent, S::kExtendedError},
    {S::kExtendedError, E::kReadyMoreDue, S::kQuery},
    {S::kExtendedError, E::kReady, S::kReady},

    {S::kReady, E::kDependenciesNeeded, S::kDependencies},
    {S::kDependencies, E::kRequestSent, S::kDependencies},
    {S::kDependencies, E::kReadyMoreDue, S::kQuery},
    {S::kDependencies, E::kReady, S::kReady},

    {S::kReady, E::kServerLost, S::kFailover},
    {S::kDependencies, E::kServerLost, S::kFailover},
    {S::kQuery, E::kServerLost, S::kFailover},
    {S::kCopy, E::kServerLost, S::kFailover},
    {S::kExtendedError, E::kServerLost, S::kFailover},
    {S::kFailover, E::kServerFound, S::kDependencies},

    {S::kReady, E::kReleased, S::kReset},
};

constexpr std::uint8_t kRefused = 0xFF;
using Table = std::array<std::array<std::uint8_t, kSessionEvents>, kSessionStates>;

constexpr Table make_table() {
  Table table{};
  for (auto& row : table) row.fill(kRefused);
  for (const Transition& t : kTransitions) {
    table[static_cast<std::size_t>(t.from)][static_cast<std::size_t>(t.event)] =
        static_cast<std::uint8_t>(t.to);
  }
  for (std::size_t state = 0; state + 1 < kSessionStates; ++state) {
    table[state][static_cast<std::size_t>(E::kClose)] = static_cast<std::uint8_t>(S::kClosed);
  }
  return table;
}
constexpr Table kTable = make_table();

}  // namespace

std::optional<SessionState> follow(SessionState state, SessionEvent event) {
  const std::uint8_t next = kTable[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
  if (next == kRefused) return std::nullopt;
  return static_cast<SessionState>(next);
}

std::string_view to_string(SessionState state) {
  constexpr std::string_view kNames[] = {"STARTUP", "AUTHENTICATING", "READY",    "DEPENDENCIES", "QUERY",
                                         "COPY",    "EXTENDED_ERROR", "FAILOVER", "RESET",        "CLOSED"};
  static_assert(std::size(kNames) == kSessionStates);
  return kNames[static_cast<std::size_t>(state)];
}

std::string_view to_string(SessionEvent event) {
  constexpr std::string_view kNames[] = {
      "startup received", "request sent",    "copy started", "copy ended",
      "pipeline error",   "ready, more due", "ready",        "dependencies needed",
      "server lost",      "server found",    "released",     "close"};
  static_assert(std::size(kNames) == kSessionEvents);
  return kNames[static_cast<std::size_t>(event)];
}

}  // namespace understudy::proxy
